"""One tree of errors: each says what is wrong and what to do, and fixes the exit code.

The library knows nothing of the command line; `cli/main.py` is the one place that turns these
into messages and exit codes.
"""

from __future__ import annotations

from typing import ClassVar


class GeochgError(Exception):
    """The base of all errors: anything that geochg refuses or fails at.

    Messages name files and repeat the reasons of libraries and servers, so whatever stands in one
    is cleaned here: control codes and secrets reach no terminal, log or output.

    Args:
        message: A line that tells what is wrong and names the file or the option.
        hint: A line that tells the user what to do about it; may be empty.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        # Its patterns take a while to compile, and --help is to be instant.
        from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned

        self.message = cleaned(message, LONGEST_TEXT)
        self.hint = cleaned(hint, LONGEST_TEXT)
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InputError(GeochgError):
    """A file, an area or an endpoint that cannot be used as given."""

    exit_code = 2


class OptionError(GeochgError):
    """An option whose value makes no sense, alone or with the others."""

    exit_code = 2


class ModelError(GeochgError):
    """A model that is unknown, broken, or does not fit the pair."""

    exit_code = 2


class RunError(GeochgError):
    """A failure of something while the run was under way."""

    exit_code = 1


class TilesFailedError(RunError):
    """Some tiles could not be read or answered; nothing is written, the journal is kept."""


class CancelledRunError(GeochgError):
    """The user stopped the run; the journal keeps what was done."""

    exit_code = 130
