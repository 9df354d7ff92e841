"""The worker's stdin and stdout, kept for messages alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from threading import Lock
from typing import BinaryIO, NamedTuple

LONGEST_LINE_BYTES = 8 * 1024 * 1024
"""Longer messages are refused; the outline of a large country is far shorter."""


class Pipes(NamedTuple):
    """Where messages come from and go to."""

    inbox: BinaryIO
    outbox: BinaryIO


def claimed_pipes() -> Pipes:
    """Takes stdin and stdout for messages.

    Whatever else this process or a C library in it reads or prints meets an empty stdin and
    stderr. To be called before anything that may print is imported.
    """
    sys.stdout.flush()
    inbox = os.fdopen(os.dup(0), "rb")
    outbox = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without stderr
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
    os.close(nothing)
    sys.stdout = sys.stderr
    return Pipes(inbox, outbox)


def lines_of(inbox: BinaryIO) -> Iterator[bytes | None]:
    """The lines without their ends, blank ones left out; None for one that is too long."""
    while line := inbox.readline(LONGEST_LINE_BYTES + 1):
        if len(line) > LONGEST_LINE_BYTES:
            _skip_rest(line, inbox)
            yield None
        elif line.strip():
            yield line.strip()


def _skip_rest(line: bytes, inbox: BinaryIO) -> None:
    while line and not line.endswith(b"\n"):
        line = inbox.readline(LONGEST_LINE_BYTES)


class Outbox:
    """Sends whole lines from any thread.

    Args:
        file: Where to.
        on_gone: Called when nobody listens any more.
    """

    def __init__(self, file: BinaryIO, on_gone: Callable[[], None]) -> None:
        self._file = file
        self._on_gone = on_gone
        self._lock = Lock()

    def send(self, line: bytes) -> None:
        """Sends a line; what nobody listens to is lost."""
        try:
            with self._lock:
                self._file.write(line)
                self._file.flush()
        except (OSError, ValueError):  # a broken pipe, a closed file
            self._on_gone()
