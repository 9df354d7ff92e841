"""An answer as an endpoint streams it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from geochg.models.chat.conversation import spoken_pieces
from geochg.models.endpoint.reply import (
    NO_SENSE,
    THOUGHTS,
    NoAnswerError,
    refuse_silence,
    sentence,
    text_of,
)
from geochg.tasks.thoughts import has_bare_thoughts

CUT_OFF = " …"
"""Ends an answer that ran into the most tokens it may have."""


class Stream:
    """Reads the pieces of one answer.

    Args:
        parts: Of the answer, as OpenAI's client gives them.
        max_tokens: Most tokens of the answer.
        holds_back: Whether nothing is given before all is there.
    """

    def __init__(self, parts: Iterable[Any], max_tokens: object, *, holds_back: bool) -> None:
        self._parts = parts
        self._max_tokens = max_tokens
        self._holds_back = holds_back
        self._said: list[str] = []
        self._refusal = ""
        self._finish_reason: object = None
        self._has_thoughts = False
        self._has_calls = False

    @property
    def has_bare_thoughts(self) -> bool:
        """Whether thoughts ended in the text that had not begun there."""
        return has_bare_thoughts("".join(self._said))

    def pieces(self) -> Iterator[str]:
        """The words that are meant for the user.

        Raises:
            NoAnswerError: If there are none.
        """
        shown = False
        for piece in spoken_pieces(self._read(), holds_back=self._holds_back):
            shown = True
            yield piece
        said = "".join(self._said)
        if shown and self._finish_reason in ("length", "max_tokens"):
            yield CUT_OFF
        elif not shown:
            refuse_silence(
                "" if self._has_thoughts else said,
                self._finish_reason,
                refusal=self._refusal,
                has_thoughts=self._has_thoughts or bool(said.strip()),
                has_calls=self._has_calls,
                max_tokens=self._max_tokens,
            )
            raise NoAnswerError(NO_SENSE)

    def _read(self) -> Iterator[str]:
        for part in self._parts:
            if told := sentence(getattr(part, "error", None)):
                raise NoAnswerError(f"the endpoint broke the answer off: {told}")
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
            if text := text_of(delta.content):
                self._said.append(text)
                yield text
