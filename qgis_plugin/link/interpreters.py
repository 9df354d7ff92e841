"""Interpreters: the environment they are started in, and which of them are QGIS's own.

`sys.executable` is never one to start: on Windows and macOS it is QGIS itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from geochg_qgis.link.errors import SetupError

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
"""Variables that QGIS's launchers set for its own libraries, and that break others."""

_QGIS_ONLY_STARTS = ("DYLD_", "PIP_", "__PYVENV_LAUNCHER__")

_BUNDLED_PYTHON = ("win32", "darwin")  # platforms on which QGIS brings a Python of its own
_SHARED_PREFIXES = {Path("/usr"), Path("/usr/local")}
"""Elsewhere QGIS runs in the system's Python, which other programs use too."""


@dataclass(frozen=True)
class System:
    """The platform, environment and folders of a machine, by which Pythons are found.

    Attributes:
        platform: Platform, as `sys.platform` names it.
        environ: Environment variables.
        home: Home folder of the user.
        root: Root folder, or drive, of the system's own folders.
        qgis: Folders of QGIS's own Python.
    """

    platform: str
    environ: Mapping[str, str]
    home: Path
    root: Path
    qgis: tuple[Path, ...] = ()

    @classmethod
    def here(cls, qgis: Iterable[Path] = ()) -> System:
        """This machine.

        Args:
            qgis: Folders of QGIS's own Python, for callers that run in it.
        """
        root = Path(os.environ.get("SYSTEMDRIVE", "C:") + "\\") if _is_windows() else Path("/")
        return cls(sys.platform, os.environ, Path.home(), root, tuple(qgis))

    @property
    def is_windows(self) -> bool:
        """Whether the platform is Windows."""
        return self.platform == "win32"

    def folder(self, variable: str, default: Path) -> Path:
        """The folder that an environment variable names; the default where it is unset."""
        return Path(self.environ.get(variable) or default)

    def is_program(self, path: Path) -> bool:
        """Whether a file can be started."""
        if not path.is_file():
            return False
        if not self.is_windows:
            return os.access(path, os.X_OK)
        # Windows goes by the suffix; its X_OK is true of any file.
        suffixes = self.environ.get("PATHEXT") or ".COM;.EXE;.BAT;.CMD"
        return path.suffix.lower() in suffixes.lower().split(";")


def clean_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without QGIS's own variables, and with UTF-8 and unbuffered output."""
    kept_variables = {
        name: value
        for name, value in environ.items()
        if name.upper() not in _QGIS_ONLY and not name.upper().startswith(_QGIS_ONLY_STARTS)
    }
    return {**kept_variables, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    if _is_windows():
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def own_prefixes(platform: str, prefixes: Iterable[str | Path]) -> tuple[Path, ...]:
    """The folders of QGIS's own Python.

    Args:
        platform: Platform, as `sys.platform` names it.
        prefixes: `sys.prefix` and `sys.base_prefix` within QGIS.
    """
    folders = {Path(prefix) for prefix in prefixes}
    shared = set() if platform in _BUNDLED_PYTHON else _SHARED_PREFIXES
    return tuple(sorted(folders - shared))


def is_qgis(python: Path, system: System) -> bool:
    """Whether a program is QGIS, or a Python that came with one."""
    path = Path(os.path.abspath(python))
    if "qgis" in path.name.lower():
        return True
    # A virtual environment is its own, whatever its Python is a link to.
    paths = {path} if _is_in_environment(path) else {path, Path(os.path.realpath(path))}
    folders = {folder for path in paths for folder in path.parents}
    if folders.intersection(system.qgis):
        return True
    return system.platform in _BUNDLED_PYTHON and any(map(_holds_qgis, folders))


def check_not_qgis(python: Path, system: System) -> None:
    """Checks that an interpreter does not belong to QGIS.

    Raises:
        SetupError: If it does.
    """
    if is_qgis(python, system):
        raise SetupError.from_code("python-is-qgis", python=python)


def _is_windows() -> bool:
    return sys.platform == "win32"


def _is_in_environment(python: Path) -> bool:
    return (python.parent.parent / "pyvenv.cfg").is_file()


def _holds_qgis(folder: Path) -> bool:
    """Whether a folder is an installation of QGIS: OSGeo4W's and the installers', or an app."""
    if (folder / "Contents" / "MacOS" / "QGIS").exists():
        return True
    return (folder / "apps").is_dir() and any((folder / "bin").glob("qgis*"))
