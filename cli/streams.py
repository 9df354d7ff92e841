"""Stdin, stdout and stderr of any kind: of any code page, full, or closed."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

_FAILED = 1


def prepare_streams() -> None:
    """Sees to it that no letter, and no stream that is not there, ends a run.

    Letters that a code page lacks are written as escapes, and read as U+FFFD. In the place of a
    closed stream an empty one is opened: else the first raster would take its number, and be
    written to.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")
    for stream, errors in (
        (sys.stdin, "replace"),
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)


def close_stdout(code: int) -> int:
    """Writes what is left for stdout, says so where that fails, and gives the exit code then."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has enough
        _forget_stdout()
        return code or _FAILED
    except OSError as error:
        _forget_stdout()
        if code == 0:
            from .terminal import echo_error

            echo_error(error)
        return code or _FAILED
    return code


def _forget_stdout() -> None:
    """Lets Python flush what could not be written to nowhere, when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
