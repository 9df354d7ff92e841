import subprocess
import sys
from pathlib import Path

import pytest
from processes import wait_until_gone

from geochg_qgis.link.dates import date_in, guessed_pair
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link.installation import InstallOptions, install, size_mb
from geochg_qgis.link.interpreters import System, clean_environment, python_of
from geochg_qgis.link.output_paths import has_journal, path_without_journal, result_path
from geochg_qgis.link.process_tree import kill_command
from geochg_qgis.link.progress import ProgressMeter


def test_what_is_qgis_own_stays_out_of_the_workers_environment():
    given = {
        "PATH": "p", "PYTHONHOME": "q", "PYTHONPATH": "q", "PROJ_LIB": "q", "GDAL_DATA": "q",
        "LD_LIBRARY_PATH": "q", "DYLD_LIBRARY_PATH": "q", "PIP_INDEX_URL": "q", "HOME": "h",
    }  # fmt: skip
    kept = clean_environment(given)
    assert {"PATH": "p", "HOME": "h"}.items() <= kept.items()
    assert "q" not in kept.values()


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("dubai_2015", "2015"),
        ("S2_20180503T064629_tile", "2018-05-03"),
        ("scene 2018-05", "2018-05"),
        ("2019.12.31 ortho", "2019-12-31"),
        ("tile_120159", ""),
        ("plot 1850", ""),
        ("before", ""),
    ],
)
def test_dates_in_names(name, date):
    assert date_in(name) == date


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["dubai_2018", "dubai_2015"], (1, 0)),
        (["a 2018-05", "OpenStreetMap", "a 2018-01", "a 2017"], (3, 0)),
        (["After flood", "Before flood", "map"], (1, 0)),
        (["post_event", "pre_event"], (1, 0)),
        (["x_2015", "y_2015"], None),
        (["one", "two"], None),
        (["one"], None),
        ([], None),
    ],
)
def test_the_pair_is_guessed(names, pair):
    assert guessed_pair(names) == pair


def test_results_go_where_they_can_be_written_and_over_nothing(tmp_path):
    path = result_path("dubai 2018/ü", [tmp_path / "missing", tmp_path])
    assert path == tmp_path / "dubai_2018_ü_changes.gpkg"
    path.write_text("")
    second = result_path("dubai 2018/ü", [tmp_path])
    assert second.name == "dubai_2018_ü_changes_2.gpkg"
    second.with_name(second.name + ".journal").write_text("")
    assert has_journal(second)
    assert path_without_journal(second).name == "dubai_2018_ü_changes_2_2.gpkg"
    assert result_path("x", [tmp_path / "missing"]) is None


def test_rate_and_time_left():
    now = [0.0]
    meter = ProgressMeter(lambda: now[0])
    progress = {"kind": "progress", "stage": "tiles", "total": 100}
    first = meter.measure({**progress, "done": 20})
    assert (first.rate, first.left_s) == (None, None)
    now[0] = 10.0
    later = meter.measure({**progress, "done": 40})
    assert later.rate == pytest.approx(2)
    assert later.left_s == pytest.approx(30)
    assert first.percent < later.percent < 97
    assert meter.measure({**progress, "stage": "write", "done": 0, "total": 0}).percent == 97


def wheel_folder(folder: Path) -> Path:
    """A folder with a wheel that needs nothing, made by hand."""
    import zipfile

    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_thing.py", "")
        info = "tiny_thing-1.0.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def test_an_environment_is_made_and_a_package_installed_offline(tmp_path):
    lines = []
    options = InstallOptions(
        Path(sys.executable), tmp_path / "env", "tiny-thing", wheels=wheel_folder(tmp_path / "w")
    )
    python = install(options, lines.append, lambda: False)
    assert subprocess.run([str(python), "-c", "import tiny_thing"]).returncode == 0
    assert any("Successfully installed" in line for line in lines)
    assert size_mb(options.folder) > 1


def test_pips_own_error_is_told_in_full_and_nothing_is_left(tmp_path):
    (tmp_path / "empty").mkdir()
    options = InstallOptions(
        Path(sys.executable), tmp_path / "env", "no-such-thing", wheels=tmp_path / "empty"
    )
    with pytest.raises(LinkError, match="no-distribution") as caught:
        install(options, print, lambda: False)
    assert "No matching distribution" in caught.value.detail
    assert not options.folder.exists()


def test_an_installation_can_be_cancelled(tmp_path):
    options = InstallOptions(Path(sys.executable), tmp_path / "env")
    with pytest.raises(Cancelled):
        install(options, print, lambda: True)
    assert not options.folder.exists()


BACKEND = """
import subprocess, sys

def build_wheel(folder, config_settings=None, metadata_directory=None):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open({told!r}, "w") as file:
        file.write(str(child.pid))
    child.wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="asks the system by POSIX signals")
def test_what_pip_started_ends_when_the_installation_is_cancelled(tmp_path):
    """Pip builds a package in a process of its own, which here starts another that sleeps."""
    told, package = tmp_path / "child", tmp_path / "package"
    package.mkdir()
    (package / "backend.py").write_text(BACKEND.format(told=str(told)))
    (package / "pyproject.toml").write_text(
        '[project]\nname = "sleepy"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    options = InstallOptions(Path(sys.executable), tmp_path / "env", str(package))
    with pytest.raises(Cancelled):
        install(options, print, lambda: told.exists() and bool(told.read_text()))
    wait_until_gone(int(told.read_text()), 5)
    assert not options.folder.exists()


def test_the_python_of_qgis_makes_no_environment(tmp_path):
    qgis = System(sys.platform, {}, tmp_path, tmp_path, qgis=(Path(sys.prefix),))
    options = InstallOptions(Path(sys.executable), tmp_path / "env")
    with pytest.raises(LinkError, match="python-is-qgis"):
        install(options, print, lambda: False, qgis)


def test_windows_ends_a_process_with_its_children():
    told = kill_command(7, {"SYSTEMROOT": "D:\\Windows"})
    assert told == [r"D:\Windows\System32\taskkill.exe", "/PID", "7", "/T", "/F"]


def test_folders_and_pythons_that_do_not_serve(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(LinkError, match="folder-holds-other-things"):
        install(InstallOptions(Path(sys.executable), tmp_path / "full"), print, lambda: False)
    assert (tmp_path / "full" / "thesis.txt").exists()
    with pytest.raises(LinkError, match="python-cannot-start"):
        install(InstallOptions(tmp_path / "no", tmp_path / "env"), print, lambda: False)
    missing = InstallOptions(Path(sys.executable), tmp_path / "env", wheels=tmp_path / "no")
    with pytest.raises(LinkError, match="wheels-missing"):
        install(missing, print, lambda: False)


def existing_environment(folder: Path) -> Path:
    """An environment with something of the user's in it."""
    import venv

    venv.create(folder, symlinks=sys.platform != "win32", with_pip=False)
    (folder / "mine.txt").write_text("mine")
    return folder


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_an_environment_that_was_there_survives_what_goes_wrong(tmp_path, is_cancelled):
    folder = existing_environment(tmp_path / "env")
    with pytest.raises(LinkError) as caught:
        install(InstallOptions(Path(sys.executable), folder), print, lambda: is_cancelled)
    assert (folder / "mine.txt").exists()
    assert python_of(folder).exists()
    assert caught.value.code == "environment-half-changed"
    assert caught.value.values["folder"] == folder


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_an_environment_whose_python_is_gone_is_refused_and_kept(tmp_path, is_cancelled):
    folder = existing_environment(tmp_path / "env")
    python = python_of(folder)
    python.unlink()
    if sys.platform != "win32":
        python.symlink_to(tmp_path / "uninstalled")
    with pytest.raises(LinkError, match="environment-broken") as caught:
        install(InstallOptions(Path(sys.executable), folder), print, lambda: is_cancelled)
    assert (folder / "mine.txt").exists()
    assert caught.value.values["folder"] == folder


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "env").mkdir()
    options = InstallOptions(
        Path(sys.executable), tmp_path / "env", "tiny-thing", wheels=wheel_folder(tmp_path / "w")
    )
    assert install(options, print, lambda: False).exists()


@pytest.mark.parametrize("folder", ["", "env"])
def test_fields_left_empty_are_refused(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("")
    with pytest.raises(LinkError, match="folder-not-in-full"):
        install(InstallOptions(Path(sys.executable), Path(folder)), print, lambda: True)
    with pytest.raises(LinkError, match="python-not-named"):
        install(InstallOptions(Path(""), tmp_path / "new"), print, lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["pyvenv.cfg"]


def test_pip_is_told_all_and_takes_a_package_for_nothing_else(tmp_path):
    told = InstallOptions(
        Path("p"), tmp_path, "--index-url=evil", "http://proxy:1", without_gpu=True
    ).pip_arguments()
    assert told[-2:] == ["--", "--index-url=evil"]
    assert told[told.index("--proxy") + 1] == "http://proxy:1"
    assert "--extra-index-url" in told
    offline = InstallOptions(Path("p"), tmp_path, wheels=tmp_path, without_gpu=True).pip_arguments()
    assert "--no-index" in offline
    assert "--extra-index-url" not in offline


def test_the_link_knows_neither_qt_nor_qgis():
    folder = Path(sys.modules["geochg_qgis"].__file__).parent / "link"
    sources = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    assert len(sources) > 5
    assert not [text for text in sources if "import qgis" in text or "from qgis" in text]
