"""The one kind of error the panel shows."""

from __future__ import annotations


class LinkError(Exception):
    """Something that failed, and what to do about it.

    Args:
        message: What is wrong, one line.
        hint: What to do, one line; may be empty.
        detail: More for who wants it, such as the end of a log.
    """

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class SetupError(LinkError):
    """No worker can be started: the set-up page is where to go."""


class Refused(LinkError):
    """The worker will not begin what was asked."""


class Cancelled(LinkError):
    """The user stopped it."""
