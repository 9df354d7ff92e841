"""The zip of the plugin, and the addresses that the plugin site lists."""

import configparser
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from plugin_package import FOLDER

from geochg_qgis.build import known_addresses, published_metadata
from geochg_qgis.build import metadata as metadata_template

PROJECT = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOLD = ("--repository", "https://git.test/geochg/", "--email", "someone@git.test")


def built(folder: Path, *told: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(FOLDER / "build.py"), *told, str(folder)]
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
