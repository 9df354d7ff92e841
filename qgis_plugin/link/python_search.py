"""Finds Pythons: on the path, in the folders of installers, and in those of their managers."""

from __future__ import annotations

import re

# The launcher of Windows knows what is installed.
import subprocess  # nosec B404
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from geochg_qgis.link.interpreters import System, clean_environment, is_qgis, python_of
from geochg_qgis.link.process_tree import tree_settings

OLDEST = 11
"""The minor version of the oldest Python 3 that geochg runs on."""

NEWEST = 16
"""The minor version of the newest Python 3 that is looked for by name."""

_LAUNCHER_S = 10.0

_CONDA_HOMES = (
    "miniforge3",
    "mambaforge",
    "miniconda3",
    "anaconda3",
    "micromamba",
    "opt/miniconda3",
    "opt/anaconda3",
)
"""Folders of conda below the user's; Anaconda's installer for macOS uses `opt`."""


def pythons_with_geochg(own_environment: Path, system: System) -> Iterator[Path]:
    """Interpreters that may hold geochg, the likeliest first.

    Args:
        own_environment: Virtual environment that the set-up page makes.
        system: Machine; its variable `GEOCHG_PYTHON` may name an interpreter.
    """
    if named_python := system.environ.get("GEOCHG_PYTHON", ""):
        yield Path(named_python)
    candidates = [python_of(own_environment), *_command_pythons(system)]
    candidates += [python for python in pythons(system) if _has_command(python, system)]
    yield from _usable(candidates, system)


def launcher_listing(system: System) -> str:
    """The list of interpreters of Windows' launcher; empty where there is none."""
    launcher = next(filter(system.is_program, _launchers(system)), None)
    if launcher is None:
        return ""
    try:
        # No shell; nothing of the user's is put in.
        process = subprocess.run(  # nosec B603
            [str(launcher), "-0p"],
            env=clean_environment(system.environ),
            capture_output=True,
            timeout=_LAUNCHER_S,
            **tree_settings(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return process.stdout.decode("utf-8", "replace")


def pythons_for_environments(
    system: System, launcher: Callable[[System], str] = launcher_listing
) -> Iterator[Path]:
    """Interpreters that may make a virtual environment for geochg.

    Args:
        system: Machine.
        launcher: Function that gives the list of Windows' launcher.
    """
    candidates = pythons(system)
    if system.is_windows:
        candidates += listed_pythons(launcher(system))
    recent = (python for python in candidates if not 0 < _minor_version(python) < OLDEST)
    yield from _usable(recent, system)


def pythons(system: System) -> list[Path]:
    """Interpreters on the path, newest first, then those installed elsewhere, newest first."""
    elsewhere = [*_system_pythons(system), *_managed_pythons(system)]
    # Those whose path has no version come last.
    return [*_on_path(system), *sorted(elsewhere, key=_minor_version, reverse=True)]


def listed_pythons(listing: str) -> list[Path]:
    """The interpreters that `py -0p` lists, one a line, in its order."""
    matches = (re.search(r"[A-Za-z]:\\.*?\.exe", line) for line in listing.splitlines())
    return [Path(match.group()) for match in matches if match]


def _usable(candidates: Iterable[Path], system: System) -> Iterator[Path]:
    """The candidates that can be started and are not QGIS's own, without repetition."""
    seen_paths: set[Path] = set()
    for python in candidates:
        if python not in seen_paths and system.is_program(python) and not is_qgis(python, system):
            yield python
        seen_paths.add(python)


def _names(system: System) -> list[str]:
    """File names of interpreters, the newest first."""
    versions = [f"python3.{minor}" for minor in range(NEWEST, OLDEST - 1, -1)]
    suffix = ".exe" if system.is_windows else ""
    # Never with_suffix: of python3.12 it would leave python3.
    return [name + suffix for name in (*versions, "python3", "python")]


def _path(system: System) -> list[Path]:
    folders = system.environ.get("PATH", "").split(";" if system.is_windows else ":")
    return [Path(folder) for folder in folders if Path(folder).is_absolute()]


def _launchers(system: System) -> Iterator[Path]:
    local = system.folder("LOCALAPPDATA", system.home / "AppData" / "Local")
    windows = system.folder("SYSTEMROOT", system.root / "Windows")
    for folder in (*_path(system), windows, local / "Programs" / "Python" / "Launcher"):
        yield folder / "py.exe"


def _on_path(system: System) -> Iterator[Path]:
    for name in _names(system):
        for folder in _path(system):
            python = folder / name
            if system.is_program(python) and not _is_stub(python, system):
                yield python


def _is_stub(python: Path, system: System) -> bool:
    """Whether a Python is Apple's own, which is too old and may open a dialog."""
    return system.platform == "darwin" and python.parent == system.root / "usr" / "bin"


def _system_pythons(system: System) -> Iterator[Path]:
    """Pythons in the folders of installers."""
    root, home = system.root, system.home
    if system.is_windows:
        local = system.folder("LOCALAPPDATA", home / "AppData" / "Local")
        for folder in (
            local / "Programs" / "Python",
            local / "Python",  # of the install manager: pythoncore-3.14-64
            system.folder("PROGRAMFILES", root / "Program Files"),
            root,
        ):
            yield from _below(folder, "[Pp]ython*3*/python.exe")
    elif system.platform == "darwin":
        frameworks = root / "Library" / "Frameworks" / "Python.framework" / "Versions"
        yield from _below(frameworks, "3.*/bin/python3")
        for folder in ("opt/homebrew", "usr/local"):
            yield from _below(root / folder / "opt", "python@3.*/bin/python3.*")
        for folder in ("opt/homebrew/bin", "usr/local/bin", "opt/local/bin"):
            yield from _below(root / folder, "python3.*")
    else:
        for folder in ("usr/local/bin", "usr/bin"):
            yield from _below(root / folder, "python3*")


def _managed_pythons(system: System) -> Iterator[Path]:
    """Pythons of conda, mamba, pyenv and uv."""
    python = "python.exe" if system.is_windows else "bin/python"
    for conda in _conda_homes(system):
        yield from _below(conda, python)
        yield from _below(conda, f"envs/*/{python}")
    home = system.home
    if system.is_windows:
        yield from _below(home / ".pyenv" / "pyenv-win", "versions/*/python.exe")
        data = system.folder("APPDATA", home / "AppData" / "Roaming")
    else:
        yield from _below(system.folder("PYENV_ROOT", home / ".pyenv"), "versions/*/bin/python")
        data = system.folder("XDG_DATA_HOME", home / ".local" / "share")
    uv = system.folder("UV_PYTHON_INSTALL_DIR", data / "uv" / "python")
    yield from _below(uv, f"cpython-3.*/{python}")


def _conda_homes(system: System) -> Iterator[Path]:
    for variable in ("CONDA_PREFIX", "MAMBA_ROOT_PREFIX"):
        if named_home := system.environ.get(variable):
            yield Path(named_home)
    below = [system.home]
    if system.is_windows:
        below.append(system.folder("LOCALAPPDATA", system.home / "AppData" / "Local"))
        below.append(system.folder("PROGRAMDATA", system.root / "ProgramData"))
    else:
        yield system.root / "opt" / "conda"
        below.append(system.root / "opt")
    for folder in below:
        yield from (folder / name for name in _CONDA_HOMES)


def _below(folder: Path, pattern: str) -> Iterator[Path]:
    """Interpreters below a folder, in a fixed order; none where it may not be read."""
    try:
        paths = sorted(folder.glob(pattern)) if folder.is_dir() else []
    except OSError:
        return
    # Beside python3.12 lie python3.12-config and the like.
    yield from (path for path in paths if re.fullmatch(r"python[\d.]*?(\.exe)?", path.name.lower()))


def _minor_version(python: Path) -> int:
    """The x of 3.x in the path of an interpreter; 0 where it has none."""
    # Folders further up are the user's, and may be called anything.
    for part in (python.name, python.parent.name, python.parent.parent.name):
        if match := re.search(r"3\.(\d{1,2})|[Pp]ython3(\d{1,2})", part):
            return int(match.group(1) or match.group(2))
    return 0


def _command_pythons(system: System) -> Iterator[Path]:
    """Interpreters of environments whose command `geochg` is on the path, or a tool's."""
    command = "geochg.exe" if system.is_windows else "geochg"
    # A program that is started from a desktop has a shorter path than a terminal.
    for folder in (*_path(system), system.home / ".local" / "bin"):
        program = folder / command
        if not system.is_program(program):
            continue
        # pipx and uv put a link there; the environment is at its target.
        for parent in dict.fromkeys((program.parent, program.resolve().parent)):
            names = ("python.exe",) if system.is_windows else ("python3", "python")
            siblings = [parent / name for name in names if (parent / name).exists()]
            yield from siblings[:1]


def _has_command(python: Path, system: System) -> bool:
    """Whether geochg is installed with an interpreter, by its command."""
    if system.is_windows:
        return (python.parent / "Scripts" / "geochg.exe").is_file()
    return (python.parent / "geochg").is_file()
