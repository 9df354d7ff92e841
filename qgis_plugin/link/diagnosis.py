"""Why a worker did not start or stopped."""

from __future__ import annotations

from pathlib import Path

from geochg_qgis.link.errors import LinkError, SetupError

_KILLED = {-9, 137}


def cannot_start(python: Path, error: OSError) -> SetupError:
    """For an interpreter that the system refuses to start."""
    if not python.exists():
        return SetupError.coded("python-missing", python=python)
    if python.is_dir():
        return SetupError.coded("python-is-folder", python=python)
    return SetupError.coded("python-cannot-start", python=python, reason=error.strerror or error)


def stopped(python: Path, exit_code: int | None, log: str, *, greeted: bool) -> LinkError:
    """For a worker that ended by itself.

    Args:
        python: Its interpreter.
        exit_code: What it ended with.
        log: The end of what it wrote on stderr.
        greeted: Whether it ever answered.
    """
    if greeted and exit_code in _KILLED:
        return LinkError.coded("worker-killed", log, exit_code=exit_code)
    if greeted:
        return LinkError.coded("worker-stopped", log, exit_code=exit_code)
    if "No module named geochg" in log:
        return SetupError.coded("geochg-missing", log, python=python)
    if "No such command 'worker'" in log:
        return SetupError.coded("geochg-too-old", log, python=python)
    if "ModuleNotFoundError" in log or "ImportError" in log:
        return SetupError.coded("geochg-incomplete", log, python=python)
    return SetupError.coded("worker-did-not-start", log, python=python, exit_code=exit_code)


def silent(python: Path, seconds: float, log: str) -> SetupError:
    """For a program that starts and says nothing."""
    return SetupError.coded("worker-silent", log, python=python, seconds=seconds)
