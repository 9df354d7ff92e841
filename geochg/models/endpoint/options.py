"""The options of the backend `openai`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from geochg.errors import OptionError
from geochg.options import Options
from geochg.safety.untrusted_text import secret_names


@dataclass(frozen=True)
class EndpointOptions(Options):
    """The options of `openai`.

    Attributes:
        concurrency: Requests under way at once.
        timeout_s: How long a whole answer may take.
        retries: How often a request is sent again after 408, 409, 429, 5xx or a lost connection,
            waiting longer each time, as long as the endpoint says.
        max_tokens: Most tokens of an answer.
        key_variable: Environment variable that holds the key; needed by endpoints that want one.
        extra: Further members of each request, such as `{"seed": 1}`, over those above.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "concurrency": (1, 256),
        "timeout_s": (0.1, 86_400),
        "retries": (0, 20),
        "max_tokens": (1, 1_000_000),
    }

    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ("concurrency", "timeout_s", "retries", "key_variable")

    concurrency: int = 8
    timeout_s: float = 120.0
    retries: int = 5
    max_tokens: int = 256
    key_variable: str = "OPENAI_API_KEY"
    extra: Mapping[str, Any] = field(default_factory=dict)

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
