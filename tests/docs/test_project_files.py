"""What stands in several files of the project agrees."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def written(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere():
    told = {
        "installed": version("geochg"),
        "CITATION.cff": yaml.safe_load(written("CITATION.cff"))["version"],
        "CHANGELOG.md": re.search(r"^## (\S+?),? ", written("CHANGELOG.md"), re.MULTILINE)[1],
    }
    assert set(told.values()) == {PROJECT["version"]}, told


def test_the_version_stands_in_no_other_file_that_is_published():
    metadata = written("qgis_plugin/metadata.txt")
    assert "version=VERSION" in metadata.splitlines()
    assert PROJECT["version"] not in metadata
    assert "version(" in written("geochg/__init__.py")


def test_the_citation_has_what_its_format_asks_for():
    citation = yaml.safe_load(written("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["license"] == PROJECT["license"]
    assert all(citation[key] for key in ("message", "title", "authors"))
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]


def test_commits_are_checked_by_what_the_gate_runs():
    hooks = yaml.safe_load(written(".pre-commit-config.yaml"))["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    run = [hook["entry"].removeprefix("python -m ") for hook in hooks[0]["hooks"]]
    recipe = written("Makefile").split("\nlint: install\n")[1].split("\n\n")[0]
    assert run == [line.strip().removeprefix("$(BIN)/") for line in recipe.splitlines()]


def test_changes_stand_under_a_version_and_a_date():
    headings = re.findall(r"^(#+) (.+)$", written("CHANGELOG.md"), re.MULTILINE)[1:]
    assert headings[0][0] == "##"
    for level, text in headings:
        shape = r"\S+, (not released|\d{4}-\d\d-\d\d)" if level == "##" else r"\d{4}-\d\d-\d\d"
        assert re.fullmatch(shape, text), text
