"""The zip of the plugin, and the addresses that the plugin site lists."""

import configparser
import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata as metadata_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from plugin_package import FOLDER, small_wheel

from geochg_qgis.build import known_addresses, published_metadata
from geochg_qgis.build import metadata as metadata_template

PROJECT = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOLD = ("--repository", "https://git.test/geochg/", "--email", "someone@git.test")


def built(folder: Path, *told: str) -> subprocess.CompletedProcess:
    folder.mkdir(exist_ok=True)
    wheels = folder.parent / f"{folder.name}_wheel"
    wheels.mkdir(exist_ok=True)
    given = "--wheel", str(small_wheel(wheels))
    command = [sys.executable, str(FOLDER / "build.py"), *told, *given, str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def metadata(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    with zipfile.ZipFile(path) as archive:
        parser.read_string(archive.read("geochg_qgis/metadata.txt").decode("utf-8"))
    return dict(parser["general"])


def test_the_addresses_arrive(tmp_path):
    assert built(tmp_path, *TOLD).returncode == 0
    told = metadata(tmp_path / "geochg_qgis.zip")
    assert told["repository"] == told["homepage"] == "https://git.test/geochg"
    assert told["tracker"] == "https://git.test/geochg/issues"
    assert told["email"] == "someone@git.test"
    assert told["version"] == PROJECT["version"]


@pytest.mark.skipif(
    all(known_addresses(PROJECT)), reason="pyproject.toml tells the addresses by now"
)
def test_without_addresses_nothing_is_built_and_the_way_out_is_told(tmp_path):
    done = built(tmp_path)
    assert done.returncode != 0
    assert "make plugin REPOSITORY=" in done.stderr
    assert "plugin-local" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", ["0.1.0", "2.0", "1.2.3rc1"])
def test_the_version_is_that_of_the_project(version):
    filled = metadata_template(version)
    assert f"\nversion={version}\n" in filled
    assert f"\nchangelog={version}: " in filled
    assert "VERSION" not in filled


@pytest.mark.parametrize(
    ("repository", "email"),
    [
        ("REPOSITORY", "someone@git.test"),
        ("https://example.org/geochg", "someone@git.test"),
        ("https://git.example.com/geochg", "someone@git.test"),
        ("http://git.test/geochg", "someone@git.test"),
        ("https://git.test", "someone@git.test"),
        ("https://git.test/a\nabout=b", "someone@git.test"),
        ("https://git.test/geochg", "EMAIL"),
        ("https://git.test/geochg", "geochg@example.org"),
        ("https://git.test/geochg", "a@git.test\nabout=b"),
        ("https://git.test/geochg", ""),
    ],
)
def test_what_stands_for_nobody_is_refused(repository, email):
    with pytest.raises(ValueError, match="is no"):
        published_metadata(metadata_template("1.2.3"), repository, email)


def test_addresses_come_from_the_project_where_it_tells_them():
    project = {
        "urls": {"Homepage": "https://git.test", "Repository": "https://git.test/geochg"},
        "authors": [{"name": "We"}, {"name": "One", "email": "one@git.test"}],
    }
    assert known_addresses(project) == ("https://git.test/geochg", "one@git.test")
    assert known_addresses({}) == ("", "")


def test_a_zip_for_this_machine_tells_no_addresses(tmp_path):
    assert built(tmp_path, "--local").returncode == 0
    told = metadata(tmp_path / "geochg_qgis-local.zip")
    assert not {"repository", "homepage", "tracker", "email"} & set(told)
    assert told["name"] == "geochg"
    assert told["version"] == PROJECT["version"]


def test_the_same_files_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        assert built(tmp_path / name, *TOLD).returncode == 0
    one, two = ((tmp_path / name / "geochg_qgis.zip").read_bytes() for name in ("one", "two"))
    assert one == two


LOCK = (FOLDER / "requirements.txt").read_text(encoding="utf-8")


def lines_of_zip(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"geochg_qgis/{name}").decode("utf-8")


def test_a_zip_for_this_machine_holds_the_wheel_and_its_checksum(tmp_path):
    assert built(tmp_path / "zip", "--local").returncode == 0
    path, name = tmp_path / "zip" / "geochg_qgis-local.zip", "geochg-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        wheel = archive.read(f"geochg_qgis/{name}")
    checksum = hashlib.sha256(wheel).hexdigest()
    assert lines_of_zip(path, "release.txt") == f"geochg @ {name} --hash=sha256:{checksum}\n"
    assert lines_of_zip(path, "requirements.txt") == LOCK


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ((), "https://git.test/geochg/releases/download/v0.1.0/geochg-0.1.0-py3-none-any.whl"),
        (("--release", "https://files.test/g.whl"), "https://files.test/g.whl"),
    ],
)
def test_that_for_the_site_names_the_release_and_holds_no_binary(tmp_path, told, address):
    done = built(tmp_path / "zip", *TOLD, *told)
    assert done.returncode == 0
    assert address in done.stderr
    path = tmp_path / "zip" / "geochg_qgis.zip"
    assert lines_of_zip(path, "release.txt").startswith(f"geochg @ {address} --hash=sha256:")
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".whl")]


def locked() -> dict[str, str]:
    """Versions in the lock by name."""
    return dict(re.findall(r"^([\w.-]+)==([^ ;]+)", LOCK, re.MULTILINE))


def needed(names: list[str]) -> set[str]:
    """What the base install needs on this machine, by the metadata of what is installed."""
    waiting, known = list(names), set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in known or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        known.add(name)
        waiting += metadata_module.requires(name) or []
    return known


def test_the_lock_is_of_today_for_all_that_is_needed_and_names_no_place():
    """Written anew by `make plugin-lock`."""
    constraints = (FOLDER.parent / "constraints.txt").read_text(encoding="utf-8")
    tested = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", constraints, re.MULTILINE)
    }
    assert needed(PROJECT["dependencies"]) <= set(locked())
    assert locked().items() <= tested.items()
    for line in LOCK.splitlines():
        assert re.fullmatch(
            r"#.*|[\w.-]+==[^ ]+(?: ; [\w .<>=\'()]+)? \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?",
            line,
        ), line
