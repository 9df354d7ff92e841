"""Why a worker did not start or stopped, in words that help."""

from __future__ import annotations

from pathlib import Path

from geochg_qgis.link.errors import LinkError, SetupError

_KILLED = {-9, 137}


def cannot_start(python: Path, error: OSError) -> SetupError:
    """For an interpreter that the system refuses to start."""
    if not python.exists():
        return SetupError(f"there is no {python}", "choose another Python, or install geochg")
    if python.is_dir():
        return SetupError(f"{python} is a folder", "choose the Python program in it")
    return SetupError(
        f"cannot start {python}: {error.strerror or error}",
        "check its permissions, or choose another Python",
    )


def stopped(python: Path, exit_code: int | None, log: str, *, greeted: bool) -> LinkError:
    """For a worker that ended by itself.

    Args:
        python: Its interpreter.
        exit_code: What it ended with.
        log: The end of what it wrote on stderr.
        greeted: Whether it ever answered.
    """
    if greeted:
        killed = exit_code in _KILLED
        return LinkError(
            f"the worker stopped (exit code {exit_code})",
            "memory may have run out: choose a smaller batch or model; what was done is kept, "
            "run again to go on"
            if killed
            else "what was done is kept: run again to go on; the log tells more",
            log,
        )
    if "No module named geochg" in log:
        return SetupError(
            f"geochg is not installed in {python}",
            "install it there, or choose another Python",
            log,
        )
    if "No such command 'worker'" in log:
        return SetupError(f"the geochg in {python} is too old for this plugin", "update it", log)
    if "ModuleNotFoundError" in log or "ImportError" in log:
        return SetupError(
            f"geochg in {python} is incomplete", "install it again, into a new environment", log
        )
    return SetupError(
        f"{python} did not start the worker (exit code {exit_code})",
        "choose a Python with geochg; the log tells more",
        log,
    )


def silent(python: Path, seconds: float, log: str) -> SetupError:
    """For a program that starts and says nothing."""
    return SetupError(
        f"{python} did not answer within {seconds:g} s",
        "check that it is a Python with geochg; on a slow disk, try again",
        log,
    )
