"""Ctrl-C in commands that keep what is done and stop at the next tile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event as Flag
from types import FrameType

from .interrupts import CANCELLED, handle_signals
from .terminal import echo


@contextmanager
def stop_on_interrupt() -> Iterator[Flag]:
    """Ctrl-C, or a request to end, asks to stop at the next tile; a second one stops at once."""
    cancel = Flag()

    def ask_to_stop(signum: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            from rich.console import Console

            # An exception would wait for the threads, and those for the model. The journal is
            # made to survive this.
            Console(stderr=True).show_cursor()
            os._exit(CANCELLED)
        cancel.set()
        with suppress(OSError):  # the terminal may be closed
            echo("stopping at the next tile; Ctrl-C again to stop at once", err=True)

    with handle_signals(ask_to_stop):
        yield cancel
