"""The errors that the panel shows, and those of a worker that does not start or ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

ErrorT = TypeVar("ErrorT", bound="LinkError")

_KILLED = {-9, 137}  # exit codes of a process that the system killed, mostly for want of memory


class LinkError(Exception):
    """An error with a hint for the user.

    Above this folder the message and hint are in the user's language. This folder knows no
    language: it makes errors by `from_code`, and `link_messages.translated_error` gives them their
    message and hint where they leave it.

    Args:
        message: One line that says what is wrong.
        hint: One line that says what to do; may be empty.
        detail: More text to copy, such as the end of a log.

    Attributes:
        code: Code of the error; empty when the message is in the user's language.
        values: Values for the message and hint; an error among them is translated, too.
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
    def from_code(cls: type[ErrorT], code: str, detail: str = "", **values: object) -> ErrorT:
        """An error whose message and hint are still to be translated."""
        shown_values = ", ".join(f"{name}={value}" for name, value in values.items())
        error = cls(f"{code} ({shown_values})" if shown_values else code, detail=detail)
        error.code, error.values = code, values
        return error


def drop_frames(error: BaseException) -> None:
    """Drops the tracebacks of an error that is kept: their frames hold what functions opened."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


class SetupError(LinkError):
    """No worker can be started: the set-up page helps."""


class Refused(LinkError):
    """The worker refuses a request."""


class Cancelled(LinkError):
    """The user cancelled a request, an export or an installation."""


def start_error(python: Path, error: OSError) -> SetupError:
    """The error for an interpreter that the system does not start."""
    if not python.exists():
        return SetupError.from_code("python-missing", python=python)
    if python.is_dir():
        return SetupError.from_code("python-is-folder", python=python)
    return SetupError.from_code(
        "python-cannot-start", python=python, reason=error.strerror or error
    )


def exit_error(python: Path, exit_code: int | None, log: str, *, has_answered: bool) -> LinkError:
    """The error for a worker that ended by itself.

    Args:
        python: Interpreter of the worker.
        exit_code: Exit code of the process.
        log: Last lines that the worker wrote on stderr.
        has_answered: Whether it ever answered.
    """
    if has_answered and exit_code in _KILLED:
        return LinkError.from_code("worker-killed", log, exit_code=exit_code)
    if has_answered:
        return LinkError.from_code("worker-stopped", log, exit_code=exit_code)
    if "No module named geochg" in log:
        return SetupError.from_code("geochg-missing", log, python=python)
    if "No such command 'worker'" in log:
        return SetupError.from_code("geochg-too-old", log, python=python)
    if "ModuleNotFoundError" in log or "ImportError" in log:
        return SetupError.from_code("geochg-incomplete", log, python=python)
    return SetupError.from_code("worker-did-not-start", log, python=python, exit_code=exit_code)


def timeout_error(python: Path, seconds: float, log: str) -> SetupError:
    """The error for a program that starts and does not answer."""
    return SetupError.from_code("worker-silent", log, python=python, seconds=seconds)
