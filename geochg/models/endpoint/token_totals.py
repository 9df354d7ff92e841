"""The tokens that an endpoint says it has read and written."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeGuard

_MOST_TOKENS = 10**12
"""No request has more; what is beyond is no number of tokens."""


@dataclass(slots=True)
class TokenTotals:
    """Sums over all requests to a model.

    Attributes:
        prompt: Tokens of the requests, images among them.
        completion: Tokens of the answers.
        untold: Answers whose server told no numbers.
    """

    prompt: int = 0
    completion: int = 0
    untold: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def add(self, usage: Any) -> None:
        """Adds the `usage` of a completion, whatever the server put there."""
        prompt = getattr(usage, "prompt_tokens", None)
        completion = getattr(usage, "completion_tokens", None)
        with self._lock:
            if _is_number(prompt) and _is_number(completion):
                self.prompt += prompt
                self.completion += completion
            else:
                self.untold += 1

    def values(self) -> dict[str, int]:
        """The sums as plain values."""
        with self._lock:
            return {"prompt": self.prompt, "completion": self.completion, "untold": self.untold}


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _MOST_TOKENS
