"""Where Pythons are looked for, on machines that are made up in a folder."""

from pathlib import Path

import pytest

from geochg_qgis.link.errors import SetupError
from geochg_qgis.link.interpreters import System, check_not_qgis, is_qgis, own_prefixes
from geochg_qgis.link.python_search import (
    listed_pythons,
    pythons_for_environments,
    pythons_with_geochg,
)


def machine(folder, platform, environ=None, qgis=()):
    """A machine whose root is a folder."""
    home = folder / ("Users/me" if platform in ("win32", "darwin") else "home/me")
    home.mkdir(parents=True, exist_ok=True)
    environ = {name: str(value) for name, value in (environ or {}).items()}
    return System(platform, environ, home, folder, tuple(folder / each for each in qgis))


def put(folder, *places):
    """Programs at places below a folder."""
    for place in places:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        path.chmod(0o755)


def able(system, launcher=""):
    """What may make environments, as places below the root."""
    found = pythons_for_environments(system, lambda _: launcher)
    return [each.relative_to(system.root).as_posix() for each in found]


def test_linux(tmp_path):
    put(
        tmp_path,
        "usr/bin/python3", "usr/bin/python3.11", "usr/bin/python3.9", "usr/bin/python3.11-config",
        "bin/mine/python3.12",
        "home/me/.pyenv/versions/3.13.1/bin/python",
        "home/me/.pyenv/versions/3.8.2/bin/python",
        "home/me/miniforge3/bin/python", "home/me/miniforge3/envs/geo/bin/python",
        "opt/conda/bin/python",
        "home/me/.local/share/uv/python/cpython-3.14.0-linux-x86_64-gnu/bin/python",
    )  # fmt: skip
    assert able(machine(tmp_path, "linux", {"PATH": f"{tmp_path}/bin/mine:relative:"})) == [
        "bin/mine/python3.12",
        "home/me/.local/share/uv/python/cpython-3.14.0-linux-x86_64-gnu/bin/python",
        "home/me/.pyenv/versions/3.13.1/bin/python",
        "usr/bin/python3.11",
        "usr/bin/python3",
        "opt/conda/bin/python",
        "home/me/miniforge3/bin/python",
        "home/me/miniforge3/envs/geo/bin/python",
    ]


def test_homes_that_the_environment_names(tmp_path):
    put(
        tmp_path,
        "tools/pyenv/versions/3.12.0/bin/python",
        "tools/mamba/envs/a/bin/python",
        "tools/uv/cpython-3.13.0-linux/bin/python",
    )
    named = {"PYENV_ROOT": "pyenv", "MAMBA_ROOT_PREFIX": "mamba", "UV_PYTHON_INSTALL_DIR": "uv"}
    environ = {name: tmp_path / "tools" / folder for name, folder in named.items()}
    assert sorted(able(machine(tmp_path, "linux", environ))) == [
        "tools/mamba/envs/a/bin/python",
        "tools/pyenv/versions/3.12.0/bin/python",
        "tools/uv/cpython-3.13.0-linux/bin/python",
    ]


def test_macos(tmp_path):
    app = "Applications/QGIS-LTR.app/Contents/MacOS"
    put(
        tmp_path,
        "usr/bin/python3",  # Apple's own
        "Library/Frameworks/Python.framework/Versions/3.12/bin/python3",
        "Library/Frameworks/Python.framework/Versions/3.10/bin/python3",
        "opt/homebrew/bin/python3.13",
        "usr/local/bin/python3.11",
        "usr/local/opt/python@3.14/bin/python3.14",
        "Users/me/opt/miniconda3/bin/python",
        f"{app}/QGIS", f"{app}/bin/python3.12",
    )  # fmt: skip
    # As told to a program that is started from the Finder.
    path = f"{tmp_path}/usr/bin:{tmp_path}/bin:{tmp_path}/{app}/bin"
    assert able(machine(tmp_path, "darwin", {"PATH": path})) == [
        "usr/local/opt/python@3.14/bin/python3.14",
        "opt/homebrew/bin/python3.13",
        "Library/Frameworks/Python.framework/Versions/3.12/bin/python3",
        "usr/local/bin/python3.11",
        "Users/me/opt/miniconda3/bin/python",
    ]


@pytest.fixture
def windows(tmp_path):
    """A Windows machine."""
    local = "Users/me/AppData/Local"
    put(
        tmp_path,
        "Program Files/QGIS 3.40.6/bin/qgis-bin.exe",
        "Program Files/QGIS 3.40.6/apps/Python312/python.exe",
        "OSGeo4W/bin/qgis.bat", "OSGeo4W/bin/python.exe",
        "OSGeo4W/apps/Python312/python3.exe",
        "Program Files/Python311/python.exe",
        f"{local}/Programs/Python/Python313/python.exe",
        f"{local}/Programs/Python/Python39/python.exe",
        f"{local}/Python/pythoncore-3.14-64/python.exe",
        f"{local}/miniforge3/python.exe",
        "Users/me/.pyenv/pyenv-win/versions/3.12.7/python.exe",
        "Users/me/AppData/Roaming/uv/python/cpython-3.12.1-windows/python.exe",
        "path/python.exe", "path/python3.bat", "path/python3.12",
    )  # fmt: skip
    environ = {
        "PATH": f"{tmp_path / 'path'};{tmp_path / 'OSGeo4W' / 'bin'}",
        "PATHEXT": ".COM;.EXE",
        "LOCALAPPDATA": tmp_path / local,
        "APPDATA": tmp_path / "Users/me/AppData/Roaming",
        "PROGRAMFILES": tmp_path / "Program Files",
    }
    return machine(tmp_path, "win32", environ)


def test_windows(windows):
    local = "Users/me/AppData/Local"
    assert able(windows) == [
        "path/python.exe",
        f"{local}/Python/pythoncore-3.14-64/python.exe",
        f"{local}/Programs/Python/Python313/python.exe",
        "Users/me/.pyenv/pyenv-win/versions/3.12.7/python.exe",
        "Users/me/AppData/Roaming/uv/python/cpython-3.12.1-windows/python.exe",
        "Program Files/Python311/python.exe",
        f"{local}/miniforge3/python.exe",
    ]


def test_the_launcher_of_windows_is_asked(tmp_path, monkeypatch):
    put(tmp_path, "odd/place/python.exe")
    found = tmp_path / "odd" / "place" / "python.exe"
    monkeypatch.setattr(
        "geochg_qgis.link.python_search.listed_pythons", lambda told: [found] * len(told)
    )
    system = machine(tmp_path, "win32", {"PATHEXT": ".EXE"})
    assert able(system, launcher="a line") == ["odd/place/python.exe"]
    assert able(machine(tmp_path, "linux"), launcher="a line") == []


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (r" -V:3.12 *    C:\Users\an a\3.12\python.exe", r"C:\Users\an a\3.12\python.exe"),
        (r" -3.10-64         C:\Python310\python.exe *", r"C:\Python310\python.exe"),
        (r" -V:Astral/CPython3.13.1 d:\uv\python3.13.exe", r"d:\uv\python3.13.exe"),
        ("Installed Pythons found by py Launcher for Windows", None),
        ("", None),
    ],
)  # fmt: skip
def test_lines_of_the_launcher(line, path):
    assert listed_pythons(f"{line}\n") == ([Path(path)] if path else [])


@pytest.mark.parametrize(
    ("platform", "place", "is_own"),
    [
        ("win32", "Program Files/QGIS 3.40.6/apps/Python312/python.exe", True),
        ("win32", "OSGeo4W/bin/python.exe", True),
        ("win32", "OSGeo4W/apps/Python312/python3.exe", True),
        ("win32", "path/python.exe", False),
        ("linux", "conda/envs/qgis/bin/python", True),
        ("linux", "conda/envs/other/bin/python", False),
        ("linux", "home/me/.local/share/QGIS/QGIS3/profiles/default/geochg/env/bin/python", False),
        ("linux", "usr/bin/qgis", True),
    ],
)
def test_the_python_of_qgis_is_known(windows, tmp_path, platform, place, is_own):
    put(tmp_path, place)
    system = machine(tmp_path, platform, qgis=["conda/envs/qgis"])
    assert is_qgis(tmp_path / place, system) == is_own
    if is_own:
        with pytest.raises(SetupError, match="python-is-qgis"):
            check_not_qgis(tmp_path / place, system)


@pytest.mark.skipif("sys.platform == 'win32'", reason="links want a privilege there")
def test_a_link_to_the_python_of_qgis_is_its_own_unless_in_an_environment(tmp_path):
    put(tmp_path, "conda/envs/qgis/bin/python")
    system = machine(tmp_path, "linux", qgis=["conda/envs/qgis"])
    for folder in ("links", "env/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "python").symlink_to(tmp_path / "conda/envs/qgis/bin/python")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert is_qgis(tmp_path / "links" / "python", system)
    assert not is_qgis(tmp_path / "env" / "bin" / "python", system)


def test_on_linux_the_python_of_the_system_is_everybodys():
    assert own_prefixes("linux", ("/usr", "/usr")) == ()
    assert own_prefixes("linux", ("/opt/conda", "/usr")) == (Path("/opt/conda"),)
    assert own_prefixes("darwin", ("/usr",)) == (Path("/usr"),)


def test_interpreters_with_geochg_come_in_order(tmp_path):
    put(
        tmp_path,
        "own/bin/python",
        "path/geochg", "path/python3", "path/python",
        "home/me/.local/share/pipx/venvs/geochg/bin/python",
        "home/me/.local/share/pipx/venvs/geochg/bin/geochg",
        "home/me/miniforge3/envs/geo/bin/python", "home/me/miniforge3/envs/geo/bin/geochg",
        "home/me/miniforge3/envs/none/bin/python",
        "conda/envs/qgis/bin/python", "conda/envs/qgis/bin/geochg",
    )  # fmt: skip
    links = tmp_path / "home/me/.local/bin"
    links.mkdir(parents=True)
    (links / "geochg").symlink_to(tmp_path / "home/me/.local/share/pipx/venvs/geochg/bin/geochg")
    environ = {"GEOCHG_PYTHON": "/named", "PATH": f"{tmp_path}/path:{tmp_path}/conda/envs/qgis/bin"}
    system = machine(tmp_path, "linux", environ, qgis=["conda/envs/qgis"])
    assert list(pythons_with_geochg(tmp_path / "own", system)) == [
        Path("/named"),
        tmp_path / "own/bin/python",
        tmp_path / "path/python3",
        tmp_path / "home/me/.local/share/pipx/venvs/geochg/bin/python",
        tmp_path / "path/python",
        tmp_path / "home/me/miniforge3/envs/geo/bin/python",
    ]
    assert list(pythons_with_geochg(tmp_path / "none", machine(tmp_path / "bare", "linux"))) == []


def test_interpreters_with_geochg_on_windows(tmp_path):
    put(
        tmp_path,
        "Python313/python.exe", "Python313/Scripts/geochg.exe",
        "Python312/python.exe",
    )  # fmt: skip
    system = machine(tmp_path, "win32", {"PATHEXT": ".EXE"})
    assert list(pythons_with_geochg(tmp_path / "own", system)) == [
        tmp_path / "Python313" / "python.exe"
    ]
