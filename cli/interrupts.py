"""What Ctrl-C does: it ends the process at once, or lets what was begun be cleared up.

The other requests to end do the same: those of `kill`, of service managers and of a terminal that
is closed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

CANCELLED = 130
"""Exit code of a run that the user stopped, as shells count: 128 and the number of SIGINT."""

REQUESTS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
"""Signals that ask a process to end. Windows sends SIGBREAK for Ctrl-Break and a closed window."""

_AGAIN_S = 0.05
_SHOW_CURSOR = b"\r\x1b[?25h"


def exit_at_once() -> None:
    """Has Ctrl-C end the process with `CANCELLED` and a line, wherever it is.

    For all that leaves nothing behind, such as the loading of modules: an exception may be raised
    anywhere then, and libraries turn it into others or print it.
    """
    _handle(_end)


@contextmanager
def interrupts_raised() -> Iterator[None]:
    """Has Ctrl-C raise `KeyboardInterrupt` within the block, so that what was begun is cleared up.

    Not while a module is being imported, nor in a finaliser, where it would be lost: it comes right
    after that.
    """
    with handle_signals(_raise) as is_handled:
        if not is_handled:
            yield
            return
        hook, sys.unraisablehook = sys.unraisablehook, _raise_later
        try:
            yield
        finally:
            sys.unraisablehook = hook


@contextmanager
def handle_signals(handler: Callable[[int, FrameType | None], object]) -> Iterator[bool]:
    """Has a handler called within the block when the process is asked to end.

    Yields:
        Whether that can be: other threads than the main one are told of no signal.
    """
    previous = _handle(handler)
    try:
        yield bool(previous)
    finally:
        for number, former in previous.items():
            signal.signal(number, former)


def _handle(handler: Callable[[int, FrameType | None], object]) -> dict[signal.Signals, Any]:
    """Installs a handler; gives those that stood there.

    A signal that whoever started this process wants it to ignore, as `nohup` does, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    unheard = (signal.SIG_IGN, None)
    wanted_signals = [number for number in REQUESTS if signal.getsignal(number) not in unheard]
    return {number: signal.signal(number, handler) for number in wanted_signals}


def _end(signum: int, frame: FrameType | None) -> None:
    try:
        cursor = _SHOW_CURSOR if os.isatty(2) else b""
        os.write(2, cursor + b"Error: cancelled\n")
    except OSError:  # no stderr, or a full one
        pass
    os._exit(CANCELLED)


def _raise(signum: int, frame: FrameType | None) -> None:
    if not _is_importing(frame):
        raise KeyboardInterrupt
    _interrupt_again()


def _raise_later(unraisable: sys.UnraisableHookArgs) -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _interrupt_again()
    else:
        sys.__unraisablehook__(unraisable)


def _interrupt_again() -> None:
    timer = threading.Timer(_AGAIN_S, _interrupt_main_thread)
    timer.daemon = True
    timer.start()


def _interrupt_main_thread() -> None:
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main()
    else:
        # Unlike the former, this also ends what the thread waits for.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
