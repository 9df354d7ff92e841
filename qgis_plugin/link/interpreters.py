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
"""What QGIS's launchers set for its own libraries, and other libraries trip over."""

_QGIS_ONLY_STARTS = ("DYLD_", "PIP_", "__PYVENV_LAUNCHER__")

_BRING_A_PYTHON = ("win32", "darwin")
"""Platforms on which QGIS brings a Python of its own."""

_SHARED_PREFIXES = {Path("/usr"), Path("/usr/local")}
"""Elsewhere it runs in the system's, which is everybody's."""


@dataclass(frozen=True)
class System:
    """What tells where Pythons lie on a machine; tests make machines up.

    Attributes:
        platform: As `sys.platform` names it.
        environ: The environment.
        home: The user's folder.
        root: What the system's own folders lie in.
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
            qgis: As the attribute; who runs in QGIS's Python knows them.
        """
        root = Path(os.environ.get("SYSTEMDRIVE", "C:") + "\\") if _is_windows() else Path("/")
        return cls(sys.platform, os.environ, Path.home(), root, tuple(qgis))

    @property
    def is_windows(self) -> bool:
        """Whether programs are files with a suffix."""
        return self.platform == "win32"

    def folder(self, variable: str, default: Path) -> Path:
        """The folder an environment variable names, or what it is when unset."""
        return Path(self.environ.get(variable) or default)

    def is_program(self, path: Path) -> bool:
        """Whether a file can be started."""
        if not path.is_file():
            return False
        if not self.is_windows:
            return os.access(path, os.X_OK)
        # Windows goes by the suffix; its X_OK is true of any file.
        known = self.environ.get("PATHEXT") or ".COM;.EXE;.BAT;.CMD"
        return path.suffix.lower() in known.lower().split(";")


def clean_environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without what is QGIS's own, and with UTF-8 and unbuffered output."""
    kept = {
        name: value
        for name, value in given.items()
        if name.upper() not in _QGIS_ONLY and not name.upper().startswith(_QGIS_ONLY_STARTS)
    }
    return {**kept, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    if _is_windows():
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def own_prefixes(platform: str, prefixes: Iterable[str | Path]) -> tuple[Path, ...]:
    """The folders of QGIS's own Python.

    Args:
        platform: As `sys.platform` names it.
        prefixes: `sys.prefix` and `sys.base_prefix` within QGIS.
    """
    found = {Path(prefix) for prefix in prefixes}
    shared = set() if platform in _BRING_A_PYTHON else _SHARED_PREFIXES
    return tuple(sorted(found - shared))


def is_qgis(python: Path, system: System) -> bool:
    """Whether a program is QGIS, or a Python that came with one."""
    path = Path(os.path.abspath(python))
    if "qgis" in path.name.lower():
        return True
    # A virtual environment is its own, whatever its Python is a link to.
    places = {path} if _is_in_environment(path) else {path, Path(os.path.realpath(path))}
    folders = {folder for place in places for folder in place.parents}
    if folders.intersection(system.qgis):
        return True
    return system.platform in _BRING_A_PYTHON and any(map(_holds_qgis, folders))


def refuse_qgis(python: Path, system: System) -> None:
    """Refuses QGIS's own Python, whoever chose it.

    Raises:
        SetupError: Then.
    """
    if is_qgis(python, system):
        raise SetupError.coded("python-is-qgis", python=python)


def _is_windows() -> bool:
    return sys.platform == "win32"


def _is_in_environment(python: Path) -> bool:
    return (python.parent.parent / "pyvenv.cfg").is_file()


def _holds_qgis(folder: Path) -> bool:
    """Whether a folder is an installation of QGIS: OSGeo4W's and the installers', or an app."""
    if (folder / "Contents" / "MacOS" / "QGIS").exists():
        return True
    return (folder / "apps").is_dir() and any((folder / "bin").glob("qgis*"))
