"""An answer as an endpoint streams it."""

from collections.abc import Iterable, Iterator
from typing import Any

from geochg.models.chat.dialogue import spoken_pieces
from geochg.models.endpoint.reply import (
    NO_SENSE,
    THOUGHTS,
    NoAnswerError,
    check_answer,
    content_text,
    error_text,
)
from geochg.tasks.thoughts import has_bare_thoughts

CUT_OFF = " …"
"""Ends an answer that was cut off by `max_tokens`."""


class Stream:
    """Reads the pieces of one answer.

    Args:
        parts: The parts of the answer, from OpenAI's client.
        max_tokens: Most tokens of the answer.
        holds_back: Whether nothing is given before the answer is complete.
    """

    def __init__(self, parts: Iterable[Any], max_tokens: object, *, holds_back: bool) -> None:
        self._parts = parts
        self._max_tokens = max_tokens
        self._holds_back = holds_back
        self._texts: list[str] = []
        self._refusal = ""
        self._finish_reason: object = None
        self._has_thoughts = False
        self._has_calls = False

    @property
    def has_bare_thoughts(self) -> bool:
        """Whether the text ends thoughts that it did not begin."""
        return has_bare_thoughts("".join(self._texts))

    def pieces(self) -> Iterator[str]:
        """The text that is meant for the user.

        Raises:
            NoAnswerError: If there is none.
        """
        is_shown = False
        for piece in spoken_pieces(self._part_texts(), holds_back=self._holds_back):
            is_shown = True
            yield piece
        text = "".join(self._texts)
        if is_shown and self._finish_reason in ("length", "max_tokens"):
            yield CUT_OFF
        elif not is_shown:
            check_answer(
                "" if self._has_thoughts else text,
                self._finish_reason,
                refusal=self._refusal,
                has_thoughts=self._has_thoughts or bool(text.strip()),
                has_calls=self._has_calls,
                max_tokens=self._max_tokens,
            )
            raise NoAnswerError(NO_SENSE)

    def _part_texts(self) -> Iterator[str]:
        for part in self._parts:
            if error := error_text(getattr(part, "error", None)):
                raise NoAnswerError(f"the endpoint broke the answer off: {error}")
            if not part.choices:
                continue
            choice = part.choices[0]
            self._finish_reason = choice.finish_reason or self._finish_reason
            delta = choice.delta
            if delta is None:
                continue
            self._refusal += str(getattr(delta, "refusal", None) or "")
            self._has_calls |= bool(getattr(delta, "tool_calls", None))
            for name in THOUGHTS:
                self._has_thoughts |= bool(getattr(delta, name, None))
            if text := content_text(delta.content):
                self._texts.append(text)
                yield text
