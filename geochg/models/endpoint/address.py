"""The address of a chat model: `http://host:port/v1#name`."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from geochg.errors import ModelError

_HINT = "write --model openai:http://localhost:8000/v1#name"


@dataclass(frozen=True, slots=True)
class Address:
    """A chat model at an endpoint.

    Attributes:
        url: Root of the protocol, such as `http://localhost:8000/v1`.
        name: The model's name; empty for the only model of the endpoint.
    """

    url: str
    name: str

    @classmethod
    def parse(cls, source: str) -> Self:
        """Reads an address.

        Raises:
            ModelError: If it is no http address, or holds a secret.
        """
        # What may be a secret is neither taken nor repeated.
        if "@" in source.partition("#")[0] or "?" in source.partition("#")[0]:
            raise ModelError(
                "the endpoint's address holds a secret, which would end up in every output",
                "put the key into the environment variable OPENAI_API_KEY",
            )
        try:
            parts = urlsplit(source)
            _ = parts.port
        except ValueError:
            raise ModelError("the endpoint's address is not valid", _HINT) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ModelError("the source is no http address of an endpoint", _HINT)
        url = parts._replace(fragment="", path=parts.path.rstrip("/")).geturl()
        return cls(url, parts.fragment)

    def __str__(self) -> str:
        return f"openai:{self.url}#{self.name}"
