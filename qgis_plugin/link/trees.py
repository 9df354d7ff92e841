"""Processes that end with all they started.

POSIX has process groups; Windows has `taskkill`, which finds children by their parent.
"""

from __future__ import annotations

import os
import signal

# What is started here is the system's own taskkill.
import subprocess  # nosec B404
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import PureWindowsPath
from typing import Any

_TASKKILL_S = 5.0


def tree_settings() -> dict[str, Any]:
    """What `subprocess.Popen` takes for a process that is to end with all it started.

    On Windows also what keeps a black window from popping up.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def terminate_tree(process: subprocess.Popen[bytes]) -> None:
    """Tells a process, started with `tree_settings`, and all it started to end."""
    if sys.platform == "win32":
        kill_tree(process)  # Windows knows no gentler way
    else:
        _signal_group(process.pid, signal.SIGTERM)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Ends a process, started with `tree_settings`, and all it started.

    To be called again when it has ended by itself: what it started is in its group still.
    """
    if sys.platform != "win32":
        _signal_group(process.pid, signal.SIGKILL)
        return
    if process.poll() is None:
        _kill_on_windows(process.pid)
        # Where taskkill failed, at least the process itself.
        process.kill()


def outlived(process: subprocess.Popen[bytes]) -> None:
    """Waits for a process and ends what it started, however it ended itself.

    That would keep the pipes open, and with them whoever waits for something to come of them.
    """
    process.wait()
    kill_tree(process)


def end(
    process: subprocess.Popen[bytes],
    steps: Iterable[tuple[Callable[[subprocess.Popen[bytes]], object], float]],
) -> None:
    """Takes steps, each with its patience in seconds, until a process is gone with its children."""
    for step, seconds in steps:
        step(process)
        try:
            process.wait(seconds)
            break
        except subprocess.TimeoutExpired:
            continue
    # On this thread as well: the program may end before any other thread of it comes to it.
    kill_tree(process)


def kill_command(pid: int, environ: Mapping[str, str] = os.environ) -> list[str]:
    """What ends a process and its children on Windows."""
    system = PureWindowsPath(environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"
    return [str(system / "taskkill.exe"), "/PID", str(pid), "/T", "/F"]


def _kill_on_windows(pid: int) -> None:
    try:
        # No shell; a number is all that is put in.
        subprocess.run(  # nosec B603
            kill_command(pid), capture_output=True, timeout=_TASKKILL_S, **tree_settings()
        )
    except (OSError, subprocess.TimeoutExpired):
        return


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS refuses a group of the dead
        return
