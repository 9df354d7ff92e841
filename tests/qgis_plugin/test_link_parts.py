import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plugin_package import small_wheel
from processes import wait_until_gone

from geochg_qgis.link.dates import date_in, guessed_pair
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link.installation import InstallOptions, install, size_mb
from geochg_qgis.link.installed_versions import check_versions
from geochg_qgis.link.interpreters import System, clean_environment, python_of
from geochg_qgis.link.output_paths import has_journal, path_without_journal, result_path
from geochg_qgis.link.process_tree import kill_command
from geochg_qgis.link.progress import ProgressMeter
from geochg_qgis.link.release import LOCK, Release


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
    options = InstallOptions(Path(sys.executable), tmp_path / "env", "no-such-thing")
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
    options = InstallOptions(Path(sys.executable), tmp_path / "env", "no-such-thing")
    with pytest.raises(LinkError, match="python-is-qgis"):
        install(options, print, lambda: False, qgis)


def test_windows_ends_a_process_with_its_children():
    told = kill_command(7, {"SYSTEMROOT": "D:\\Windows"})
    assert told == [r"D:\Windows\System32\taskkill.exe", "/PID", "7", "/T", "/F"]


def test_folders_and_pythons_that_do_not_serve(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(LinkError, match="folder-holds-other-things"):
        install(
            InstallOptions(Path(sys.executable), tmp_path / "full", "no-such-thing"),
            print,
            lambda: False,
        )
    assert (tmp_path / "full" / "thesis.txt").exists()
    with pytest.raises(LinkError, match="python-cannot-start"):
        install(InstallOptions(tmp_path / "no", tmp_path / "env", "x"), print, lambda: False)
    missing = InstallOptions(Path(sys.executable), tmp_path / "env", "x", wheels=tmp_path / "no")
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
        install(
            InstallOptions(Path(sys.executable), folder, "no-such-thing"),
            print,
            lambda: is_cancelled,
        )
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
        install(
            InstallOptions(Path(sys.executable), folder, "no-such-thing"),
            print,
            lambda: is_cancelled,
        )
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
        install(InstallOptions(Path(sys.executable), Path(folder), "absent"), print, lambda: True)
    with pytest.raises(LinkError, match="python-not-named"):
        install(InstallOptions(Path(""), tmp_path / "new", "x"), print, lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["pyvenv.cfg"]


def test_pip_is_told_all_and_takes_a_package_for_nothing_else(tmp_path):
    told = InstallOptions(
        Path("p"), tmp_path, "--index-url=evil", proxy="http://proxy:1", without_gpu=True
    )
    (arguments,) = told.pip_commands(tmp_path / "r")
    assert arguments[-2:] == ["--", "--index-url=evil"]
    assert arguments[arguments.index("--proxy") + 1] == "http://proxy:1"
    assert "--extra-index-url" in arguments
    offline = InstallOptions(Path("p"), tmp_path, "x", wheels=tmp_path, without_gpu=True)
    (arguments,) = offline.pip_commands(tmp_path / "r")
    assert "--no-index" in arguments
    assert "--extra-index-url" not in arguments


RELEASE = Release("https://git.test/geochg-1.2.0-py3-none-any.whl", "0" * 64)


def test_the_release_of_the_plugin_is_installed_with_locked_versions(tmp_path):
    options = InstallOptions(Path("p"), tmp_path, release=RELEASE, without_gpu=True)
    (arguments,) = options.pip_commands(tmp_path / "r")
    assert "--require-hashes" in arguments
    assert arguments[-4:] == ["-r", str(LOCK), "-r", str(tmp_path / "r")]
    # An index of more than the locked files would be one more to trust.
    assert "--extra-index-url" not in arguments
    larger = replace(options, larger_models=True)
    _, arguments = larger.pip_commands(tmp_path / "r")
    assert arguments[-1] == f"geochg[vlm] @ {RELEASE.address}#sha256={'0' * 64}"
    assert "--extra-index-url" in arguments


def test_a_plugin_knows_its_release(tmp_path):
    assert Release.of_plugin(tmp_path) is None
    (tmp_path / "release.txt").write_text("geochg\n")
    assert Release.of_plugin(tmp_path) is None
    (tmp_path / "release.txt").write_text(RELEASE.requirement())
    assert Release.of_plugin(tmp_path) == RELEASE
    assert (RELEASE.version, RELEASE.is_fetched) == ("1.2.0", True)
    folder = tmp_path / "a b"
    folder.mkdir()
    line = f"geochg @ {RELEASE.wheel_name} --hash=sha256:{'0' * 64}\n"
    (folder / "release.txt").write_text(line)
    own = Release.of_plugin(folder)
    assert own.address == (folder / RELEASE.wheel_name).as_uri()
    assert not own.is_fetched
    (folder / RELEASE.wheel_name).touch()
    assert RELEASE.within(folder) == own
    assert RELEASE.within(tmp_path) == RELEASE


def test_without_a_release_nothing_of_that_name_is_fetched(tmp_path):
    options = InstallOptions(Path(sys.executable), tmp_path / "env", release=None)
    with pytest.raises(LinkError, match="release-missing"):
        install(options, print, lambda: False)
    assert not options.folder.exists()


@pytest.mark.parametrize("is_right", [True, False])
def test_the_checksum_of_the_wheel_is_checked(tmp_path, monkeypatch, is_right):
    """What it needs is left out here: it would be fetched."""
    (tmp_path / "lock.txt").write_text("# nothing\n")
    monkeypatch.setattr("geochg_qgis.link.installation.LOCK", tmp_path / "lock.txt")
    folder = tmp_path / "a b"
    folder.mkdir()
    wheel = small_wheel(folder)
    checksum = hashlib.sha256(wheel.read_bytes()).hexdigest() if is_right else "0" * 64
    options = InstallOptions(
        Path(sys.executable), tmp_path / "env", release=Release(wheel.as_uri(), checksum)
    )
    if is_right:
        python = install(options, print, lambda: False)
        listed = subprocess.run([str(python), "-m", "pip", "list"], capture_output=True, text=True)
        assert "geochg" in listed.stdout
    else:
        with pytest.raises(LinkError, match="wrong-checksum"):
            install(options, print, lambda: False)
        assert not options.folder.exists()


HERE = System.here()


def test_versions_are_checked_before_a_worker_is_started(tmp_path):
    import venv

    check_versions(Path(sys.executable), HERE)
    with pytest.raises(LinkError, match="python-missing"):
        check_versions(tmp_path / "no", HERE)
    venv.create(tmp_path / "env", symlinks=sys.platform != "win32", with_pip=False)
    with pytest.raises(LinkError, match="geochg-missing"):
        check_versions(python_of(tmp_path / "env"), HERE)


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for a Python")
@pytest.mark.parametrize(
    ("told", "code"),
    [
        ('{"python": [3, 9, 2], "geochg": null}', "python-is-older"),
        ('{"python": [3, 12, 0], "geochg": "0.0.9"}', "geochg-is-older"),
        ('{"python": [3, 12, 0], "geochg": "0.1.0"}', None),
        ('{"python": [3, 12, 0], "geochg": "12.0"}', None),
        ("hello", "no-python"),
        ("[]", "no-python"),
    ],
)
def test_what_is_too_old_is_named_with_its_version(tmp_path, told, code):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{told}'\n")
    python.chmod(0o755)
    if code is None:
        check_versions(python, HERE)
        return
    with pytest.raises(LinkError, match=code):
        check_versions(python, HERE)


def test_the_link_knows_neither_qt_nor_qgis():
    folder = Path(sys.modules["geochg_qgis"].__file__).parent / "link"
    sources = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    assert len(sources) > 5
    assert not [text for text in sources if "import qgis" in text or "from qgis" in text]
