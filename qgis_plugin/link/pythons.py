"""Where Pythons lie: on the path, where installers put them, and in the homes of their managers."""

from __future__ import annotations

import re

# The launcher of Windows knows what is installed.
import subprocess  # nosec B404
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from geochg_qgis.link.interpreters import System, clean_environment, is_qgis, python_of
from geochg_qgis.link.trees import tree_settings

OLDEST = 11
"""geochg wants Python 3.11 or newer."""

NEWEST = 16
"""The last of the names that are looked for one by one."""

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
"""Below the user's folder; `opt` is where Anaconda's installer for macOS puts it."""


def with_geochg(own_environment: Path, system: System) -> Iterator[Path]:
    """Interpreters that may hold geochg, the likeliest first.

    Args:
        own_environment: The virtual environment that the set-up page makes.
        system: The machine; its variable `GEOCHG_PYTHON` may name one.
    """
    if named := system.environ.get("GEOCHG_PYTHON", ""):
        yield Path(named)
    known = [python_of(own_environment), *_beside_the_command(system)]
    known += [python for python in pythons(system) if _has_command(python, system)]
    yield from _usable(known, system)


def told_by_launcher(system: System) -> str:
    """What Windows' launcher says is installed; empty where there is none."""
    launcher = next(filter(system.is_program, _launchers(system)), None)
    if launcher is None:
        return ""
    try:
        # No shell; nothing of the user's is put in.
        done = subprocess.run(  # nosec B603
            [str(launcher), "-0p"],
            env=clean_environment(system.environ),
            capture_output=True,
            timeout=_LAUNCHER_S,
            **tree_settings(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def able_to_make_environments(
    system: System, launcher: Callable[[System], str] = told_by_launcher
) -> Iterator[Path]:
    """Interpreters that may make a virtual environment for geochg.

    Args:
        system: The machine.
        launcher: What Windows' launcher says.
    """
    found = pythons(system)
    if system.is_windows:
        found += launched(launcher(system))
    recent = (each for each in found if not 0 < _minor_version(each) < OLDEST)
    yield from _usable(recent, system)


def pythons(system: System) -> list[Path]:
    """Interpreters on the path, newest first, then those installed elsewhere, newest first."""
    elsewhere = [*_installed(system), *_managed(system)]
    # Those whose place tells no version come last.
    return [*_on_path(system), *sorted(elsewhere, key=_minor_version, reverse=True)]


def launched(told: str) -> list[Path]:
    """The interpreters that `py -0p` lists, one a line, in its order."""
    lines = (re.search(r"[A-Za-z]:\\.*?\.exe", line) for line in told.splitlines())
    return [Path(found.group()) for found in lines if found]


def _usable(candidates: Iterable[Path], system: System) -> Iterator[Path]:
    """Those that can be started and are not QGIS's own, each once."""
    seen: set[Path] = set()
    for python in candidates:
        if python not in seen and system.is_program(python) and not is_qgis(python, system):
            yield python
        seen.add(python)


def _names(system: System) -> list[str]:
    """What interpreters are called, the newest first."""
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
    """Apple's own opens a dialog where its developer tools are missing, and is too old."""
    return system.platform == "darwin" and python.parent == system.root / "usr" / "bin"


def _installed(system: System) -> Iterator[Path]:
    """Where installers put Pythons."""
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


def _managed(system: System) -> Iterator[Path]:
    """Where conda, mamba, pyenv and uv keep Pythons."""
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
        if named := system.environ.get(variable):
            yield Path(named)
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
    """What lies there, in a fixed order; a folder that may not be read holds nothing."""
    try:
        found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    except OSError:
        return
    # Beside python3.12 lie python3.12-config and the like.
    yield from (path for path in found if re.fullmatch(r"python[\d.]*?(\.exe)?", path.name.lower()))


def _minor_version(python: Path) -> int:
    """The x of 3.x as the place of an interpreter tells it; 0 where it does not."""
    # Folders further up are the user's, and may be called anything.
    for part in (python.name, python.parent.name, python.parent.parent.name):
        if found := re.search(r"3\.(\d{1,2})|[Pp]ython3(\d{1,2})", part):
            return int(found.group(1) or found.group(2))
    return 0


def _beside_the_command(system: System) -> Iterator[Path]:
    """Interpreters of environments whose command `geochg` is on the path, or a tool's."""
    command = "geochg.exe" if system.is_windows else "geochg"
    # A program that is started from a desktop is told less of the path than a terminal.
    for folder in (*_path(system), system.home / ".local" / "bin"):
        found = folder / command
        if not system.is_program(found):
            continue
        # pipx and uv put a link there; the environment is where it leads.
        for place in dict.fromkeys((found.parent, found.resolve().parent)):
            names = ("python.exe",) if system.is_windows else ("python3", "python")
            beside = [place / name for name in names if (place / name).exists()]
            yield from beside[:1]


def _has_command(python: Path, system: System) -> bool:
    """Whether geochg is installed with an interpreter, by its command."""
    if system.is_windows:
        return (python.parent / "Scripts" / "geochg.exe").is_file()
    return (python.parent / "geochg").is_file()
