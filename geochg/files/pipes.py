"""Stdin and stdout of a process that others start, kept for messages alone."""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Thread
from typing import BinaryIO, NamedTuple

LONGEST_LINE_BYTES = 8 * 1024 * 1024
"""Longer messages are refused; the outline of a large country is far shorter."""

ROOM_BYTES = 1024 * 1024
"""Lines kept for a client that is slow to read; then what is under way waits for it."""


class Pipes(NamedTuple):
    """Where messages come from and go to."""

    inbox: BinaryIO
    outbox: BinaryIO


def claim_pipes() -> Pipes:
    """Takes stdin and stdout for messages.

    Whatever else this process or a C library in it reads or prints meets an empty stdin and
    stderr. To be called before anything that may print is imported.
    """
    sys.stdout.flush()
    inbox = os.fdopen(os.dup(0), "rb")
    outbox = os.fdopen(os.dup(1), "wb")
    null_fd = os.open(os.devnull, os.O_RDWR)
    os.dup2(null_fd, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without stderr
        os.dup2(null_fd, 1)
        os.dup2(null_fd, 2)
    os.close(null_fd)
    sys.stdout = sys.stderr
    return Pipes(inbox, outbox)


def lines_of(inbox: BinaryIO) -> Iterator[bytes | None]:
    """The lines without their ends, blank ones left out; None for one that is too long.

    A byte order mark before the first goes.
    """
    is_first = True
    while line := inbox.readline(LONGEST_LINE_BYTES + 1):
        if is_first:
            line, is_first = line.removeprefix(codecs.BOM_UTF8), False
        if len(line) > LONGEST_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = inbox.readline(LONGEST_LINE_BYTES)
            yield None
        elif line.strip():
            yield line.strip()


class Outbox:
    """Sends whole lines from any thread, in the order they were given.

    The lines are written by a thread of the outbox's own, so that a pipe nobody reads never keeps
    the thread that reads stdin from seeing that it has ended.

    Args:
        file: Where to.
        on_gone: Called when nobody listens any more.
    """

    def __init__(self, file: BinaryIO, on_gone: Callable[[], None]) -> None:
        self._file = file
        self._on_gone = on_gone
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_open = True
        self._changed = Condition()
        # A daemon: a write that nobody reads must not keep the process.
        Thread(target=self._write, daemon=True).start()

    def send(self, line: bytes) -> None:
        """Sends a line; waits while `ROOM_BYTES` are unread. What nobody listens to is lost."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_open or self._waiting_bytes <= ROOM_BYTES)
            self._enqueue(line)

    def send_at_once(self, line: bytes) -> bool:
        """Sends a line without ever waiting.

        Returns:
            False if it is lost because twice the room is full: whoever asks goes on asking and
            reads nothing.
        """
        with self._changed:
            has_room = self._waiting_bytes <= 2 * ROOM_BYTES
            if has_room:
                self._enqueue(line)
            return has_room

    def wait_until_empty(self, deadline: float) -> bool:
        """Waits until all lines are written.

        Args:
            deadline: Time of the monotonic clock, in seconds.

        Returns:
            Whether they are, or nobody listens.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._is_open or not self._waiting_bytes,
                timeout=max(0.0, deadline - time.monotonic()),
            )

    def _enqueue(self, line: bytes) -> None:
        if self._is_open:
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify_all()

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                line = self._waiting.popleft()
            try:
                self._file.write(line)
                self._file.flush()
            except (OSError, ValueError):  # a broken pipe, a closed file
                self._give_up()
                return
            with self._changed:
                self._waiting_bytes -= len(line)
                self._changed.notify_all()

    def _give_up(self) -> None:
        with self._changed:
            self._is_open = False
            self._waiting.clear()
            self._waiting_bytes = 0
            self._changed.notify_all()
        self._on_gone()
