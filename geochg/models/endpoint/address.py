"""Where a chat model is to be had: `http://host:port/v1#name`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from geochg.errors import ModelError

_HINT = "write --model openai:http://localhost:8000/v1#name"


@dataclass(frozen=True, slots=True)
class Address:
    """A chat model at an endpoint.

    Attributes:
        url: Of the protocol's root, such as `http://localhost:8000/v1`.
        name: The model's; empty for the only one there is.
    """

    url: str
    name: str

    @classmethod
    def parse(cls, source: str) -> Address:
        """Takes an address apart.

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
            raise ModelError("the endpoint's address makes no sense", _HINT) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ModelError("this is no address of an endpoint", _HINT)
        url = parts._replace(fragment="", path=parts.path.rstrip("/")).geturl()
        return cls(url, parts.fragment)

    def __str__(self) -> str:
        return f"openai:{self.url}#{self.name}"
