"""Processes that are ended with all their children.

POSIX has process groups; Windows has `taskkill`, which finds children by their parent.
"""

from __future__ import annotations

import os
import signal

# The command is the system's own taskkill.
import subprocess  # nosec B404
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import PureWindowsPath
from typing import Any

_TASKKILL_S = 5.0


def tree_settings() -> dict[str, Any]:
    """Arguments of `subprocess.Popen` for a process that is to end with all its children.

    On Windows they also keep a console window from opening.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def terminate_tree(process: subprocess.Popen[bytes]) -> None:
    """Terminates a process that was started with `tree_settings`, and its children."""
    if sys.platform == "win32":
        kill_tree(process)  # Windows has no SIGTERM
    else:
        _signal_group(process.pid, signal.SIGTERM)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kills a process that was started with `tree_settings`, and its children.

    Also kills the children of a process that has ended: they are still in its group.
    """
    if sys.platform != "win32":
        _signal_group(process.pid, signal.SIGKILL)
        return
    if process.poll() is None:
        _kill_on_windows(process.pid)
        # Where taskkill failed, at least the process itself.
        process.kill()


def wait_and_kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Waits until a process ends and kills its children.

    Children would keep the pipes open, and with them the threads that read those.
    """
    process.wait()
    kill_tree(process)


def end_process(
    process: subprocess.Popen[bytes],
    steps: Iterable[tuple[Callable[[subprocess.Popen[bytes]], object], float]],
) -> None:
    """Takes steps, each with the seconds to wait, until a process ends; kills its children."""
    for step, seconds in steps:
        step(process)
        try:
            process.wait(seconds)
            break
        except subprocess.TimeoutExpired:
            continue
    # On this thread as well: the program may exit before another thread does it.
    kill_tree(process)


def kill_command(pid: int, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The command that kills a process and its children on Windows."""
    system = PureWindowsPath(environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"
    return [str(system / "taskkill.exe"), "/PID", str(pid), "/T", "/F"]


def _kill_on_windows(pid: int) -> None:
    try:
        # No shell; the only value is a number.
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
