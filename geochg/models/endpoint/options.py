"""The options of the backend `openai`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geochg.errors import OptionError
from geochg.option_fields import ModelOptions, option
from geochg.safety.untrusted_text import secret_names


@dataclass(frozen=True)
class EndpointOptions(ModelOptions):
    """The options of `openai`."""

    concurrency: int = option(
        8, "Requests under way at once.", least=1, greatest=256, shapes_result=False
    )
    timeout_s: float = option(
        120.0,
        "How long a whole answer may take, in seconds.",
        unit="s",
        least=0.1,
        greatest=86_400,
        shapes_result=False,
    )
    retries: int = option(
        5,
        "How often a request is sent again after 408, 409, 429, 5xx or a lost connection, waiting"
        " longer each time, as long as the endpoint says.",
        least=0,
        greatest=20,
        shapes_result=False,
    )
    directions: bool = option(
        True,
        "Whether a further question asks of each change in which of the two images it is; else all"
        " whose direction the answers do not tell are `altered`.",
    )
    image_px: int | None = option(
        None,
        "Longest side of the images that are sent, to which they are shrunk or enlarged.",
        unit="px",
        least=28,
        greatest=8_000,
        usual="as large as tiles are",
    )
    max_tokens: int = option(256, "Most tokens of an answer.", least=1, greatest=1_000_000)
    key_variable: str = option(
        "OPENAI_API_KEY",
        "Environment variable that holds the key; needed by endpoints that want one.",
        shapes_result=False,
    )
    extra: Mapping[str, Any] = option(
        {}, 'Further members of each request, such as `{"seed": 1}`, over those above.'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if names := secret_names(self.extra):
            raise OptionError(
                f"extra holds the secret {names[0]!r}, and options are written into every output",
                f"put the key into the environment variable {self.key_variable}",
            )

    def request(self) -> dict[str, Any]:
        """The members of each request beside model and messages."""
        extra = dict(self.extra)
        usual = {"max_tokens": self.max_tokens, "temperature": 0.0}
        if "max_completion_tokens" in extra:
            del usual["max_tokens"]
        return {**{k: v for k, v in usual.items() if k not in extra}, "extra_body": extra}
