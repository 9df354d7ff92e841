"""What Ctrl-C does: it ends the process at once, or lets what was begun be cleared up."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CANCELLED = 130
"""Exit code of a run that the user stopped, as shells count: 128 and the number of SIGINT."""

_AGAIN_S = 0.05
_SHOW_CURSOR = b"\r\x1b[?25h"


def exit_at_once() -> None:
    """Has Ctrl-C end the process with `CANCELLED` and a line, wherever it is.

    For all that leaves nothing behind, such as the loading of modules: an exception may be raised
    anywhere then, and libraries turn it into others or print it.
    """
    if threading.current_thread() is threading.main_thread() and not _is_ignored():
        signal.signal(signal.SIGINT, _end)


@contextmanager
def interrupts_raised() -> Iterator[None]:
    """Has Ctrl-C raise `KeyboardInterrupt` within the block, so that what was begun is cleared up.

    Not while a module is being imported, nor in a finaliser, where it would be lost: it comes right
    after that.
    """
    if threading.current_thread() is not threading.main_thread() or _is_ignored():
        yield
        return
    previous = signal.signal(signal.SIGINT, _raise)
    hook, sys.unraisablehook = sys.unraisablehook, _raise_later
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, previous)


def _is_ignored() -> bool:
    """Whether whoever started this process wants it to ignore Ctrl-C, as `nohup` does."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


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
