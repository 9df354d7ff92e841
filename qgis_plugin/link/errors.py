"""The one kind of error the panel shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Kind = TypeVar("Kind", bound="LinkError")


class LinkError(Exception):
    """Something that failed, and what to do about it.

    Above this folder an error is made of words in the user's language. This folder knows no
    language: its errors are `coded`, and `link_words.worded` puts them into words where they leave
    it.

    Args:
        message: What is wrong, one line.
        hint: What to do, one line; may be empty.
        detail: More for who wants it, such as the end of a log.

    Attributes:
        code: Which error it is; empty when it is made of words.
        values: What its words are filled with; an error among them is put into words, too.
    """

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.code = ""
        self.values: Mapping[str, object] = {}

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message

    @classmethod
    def coded(cls: type[Kind], code: str, detail: str = "", **values: object) -> Kind:
        """An error that is yet to be put into words."""
        shown = ", ".join(f"{name}={value}" for name, value in values.items())
        error = cls(f"{code} ({shown})" if shown else code, detail=detail)
        error.code, error.values = code, values
        return error


class SetupError(LinkError):
    """No worker can be started: the set-up page is where to go."""


class Refused(LinkError):
    """The worker will not begin what was asked."""


class Cancelled(LinkError):
    """The user stopped it."""
