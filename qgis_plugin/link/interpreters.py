"""Pythons that may hold geochg, and the environment they are started in.

`sys.executable` is never one of them: on Windows and macOS it is QGIS itself.
"""

from __future__ import annotations

import os
import shutil

# Starting another Python is what this file is for.
import subprocess  # nosec B404
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_QGIS_ONLY = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONEXECUTABLE",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "PROJ_LIB",
    "PROJ_DATA",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""What QGIS's launchers set for its own libraries, and other libraries trip over."""

_QGIS_ONLY_STARTS = ("DYLD_", "PIP_", "__PYVENV_LAUNCHER__")


def clean_environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without what is QGIS's own, and with UTF-8 and unbuffered output."""
    kept = {
        name: value
        for name, value in given.items()
        if name.upper() not in _QGIS_ONLY and not name.upper().startswith(_QGIS_ONLY_STARTS)
    }
    return {**kept, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def window_settings() -> dict[str, Any]:
    """What keeps a black window from popping up on Windows, for `subprocess.Popen`."""
    if sys.platform != "win32":
        return {}
    return {"creationflags": subprocess.CREATE_NO_WINDOW}


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    if sys.platform == "win32":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def is_qgis(python: Path) -> bool:
    """Whether a program is QGIS rather than a Python."""
    return "qgis" in python.name.lower()


def with_geochg(own_environment: Path, environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Interpreters that may hold geochg, the likeliest first.

    Args:
        own_environment: The virtual environment that the set-up page makes.
        environ: `GEOCHG_PYTHON` may name one.
    """
    if named := environ.get("GEOCHG_PYTHON", ""):
        yield Path(named)
    if python_of(own_environment).exists():
        yield python_of(own_environment)
    command = shutil.which("geochg", path=environ.get("PATH"))
    if command:
        # The command lies beside the interpreter of its environment.
        for name in ("python3", "python", "python.exe"):
            beside = Path(command).parent / name
            if beside.exists():
                yield beside
                return


def able_to_make_environments(environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Interpreters on the path that may make a virtual environment, the newest first."""
    for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3", "python"):
        found = shutil.which(name, path=environ.get("PATH"))
        if found and not is_qgis(Path(found)):
            yield Path(found)
