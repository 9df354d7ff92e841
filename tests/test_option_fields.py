"""A field of `AnalyzeOptions` is all that a new option of a run needs to be offered everywhere."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from pairs import planted_pair
from worker_process import MARKER_PLUGIN, Worker

import geochg
from geochg.errors import OptionError
from geochg.options import AlignMode, AnalyzeOptions, Options, option

PACKAGE = Path(geochg.__file__).parent
NEW_FIELDS = """
    snow_line_m: float | None = option(
        None, "Leave out features above this height.", unit="m", least=0, greatest=9000,
        usual="none are",
    )
    season: AlignMode = option(AlignMode.OFF, "Say the season.", commands=ANALYZE)
    masks: tuple[str, ...] = option((), "Name rasters of what is hidden.", commands=ANALYZE)
    only_new: bool = option(False, "Keep what appeared.", commands=ANALYZE)
"""
FLAGS = ("--snow-line", "--season", "--masks", "--only-new")


@pytest.fixture(scope="module")
def with_more_fields(tmp_path_factory):
    """A folder whose `geochg` differs from ours in four more fields of `AnalyzeOptions`."""
    folder = tmp_path_factory.mktemp("more") / "geochg"
    folder.mkdir()
    for path in PACKAGE.iterdir():
        if path.name not in ("options.py", "__pycache__"):
            (folder / path.name).symlink_to(path)
    text = (PACKAGE / "options.py").read_text(encoding="utf-8")
    mark = "\n    def __post_init__"
    assert text.count(mark) == 1
    (folder / "options.py").write_text(text.replace(mark, NEW_FIELDS + mark), encoding="utf-8")
    return folder.parent


@pytest.fixture(autouse=True)
def only_named_folders(monkeypatch):
    """Python looks for packages where it is told, not in the folder that tests run in."""
    monkeypatch.setenv("PYTHONSAFEPATH", "1")


@pytest.fixture
def run(with_more_fields):
    """`geochg` with the fields, in a process."""

    def run(*arguments):
        path = os.pathsep.join(map(str, (with_more_fields, MARKER_PLUGIN)))
        return subprocess.run(
            [sys.executable, "-m", "geochg_cli", *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def pair(make_raster):
    before, after = planted_pair()
    return make_raster("before.tif", before), make_raster("after.tif", after)


def test_the_command_line_offers_new_fields(run):
    told = run("analyze", "--help").stdout
    assert all(flag in told for flag in FLAGS)
    assert "Leave out features above this height." in " ".join(told.split())
    asked = run("ask", "--help").stdout
    assert "--snow-line" in asked
    assert "--season" not in asked


def test_runs_take_new_fields_and_files_keep_them(run, pair, tmp_path):
    given = ("--model", "marker", "--tile-size", 64, "--overlap", 16, "--snow-line", 1500)
    more = ("--season", "report", "--masks", "a.tif,b.tif", "--only-new")
    first, file = tmp_path / "first.geojson", tmp_path / "run.toml"
    done = run("analyze", *pair, "-o", first, *given, *more, "--save-options", file)
    assert done.returncode == 0, done.stderr
    second = tmp_path / "second.geojson"
    again = run("analyze", *pair, "-o", second, "--options", file, "--no-only-new")
    assert again.returncode == 0, again.stderr
    names = ("snow_line_m", "season", "masks", "only_new")
    told = [json.loads(path.read_text())["geochg"]["options"] for path in (first, second)]
    assert [told[0][name] for name in names] == [1500.0, "report", ["a.tif", "b.tif"], True]
    assert [told[1][name] for name in names] == [1500.0, "report", ["a.tif", "b.tif"], False]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--snow-line", "-1"), "snow line -1.0 m\nit must lie between 0 and 9,000"),
        (("--snow-line", "nan"), "snow line nan m"),
        (("--season", "spring"), "'spring' is not one of"),
    ],
)
def test_new_fields_are_checked(run, pair, tmp_path, given, message):
    done = run("analyze", *pair, "-o", tmp_path / "c.geojson", "--model", "marker", *given)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_worker_tells_new_fields_and_takes_them(with_more_fields, pair, tmp_path):
    worker = Worker(tmp_path, os.pathsep.join(map(str, (with_more_fields, MARKER_PLUGIN))))
    try:
        told = {entry["name"]: entry for entry in worker.ask("hello")["options"]}
        options = {"model": "marker", "snow_line_m": 20, "season": "auto", "masks": ["a"]}
        names = dict(zip(("before", "after"), map(str, pair), strict=True))
        assert worker.ask("describe", **names, options=options)["tiles"] > 0
    finally:
        worker.kill()
    assert told["snow_line_m"] == {
        "name": "snow_line_m",
        "label": "snow line",
        "type": "number",
        "default": None,
        "unit": "m",
        "least": 0,
        "greatest": 9000,
        "choices": [],
        "usual": "none are",
        "help": "Leave out features above this height.",
        "commands": None,
    }
    assert told["season"]["choices"] == ["auto", "shift", "field", "report", "off"]
    assert (told["masks"]["type"], told["only_new"]["type"]) == ("array", "boolean")


def test_every_field_says_what_it_is():
    specs = AnalyzeOptions.specs()
    assert [spec.name for spec in specs] == [field.name for field in fields(AnalyzeOptions)]
    assert all(spec.facts.help.endswith(".") for spec in specs)
    types = {"boolean", "integer", "number", "string", "array", "object"}
    assert {spec.type for spec in specs} <= types
    assert json.loads(json.dumps([spec.to_dict() for spec in specs]))


@dataclass(frozen=True)
class SomeOptions(Options):
    plain: int = 1
    bounded: int | None = option(None, "A number.", least=1, greatest=3, shapes_result=False)
    mode: AlignMode = option(AlignMode.OFF, "A mode.")


def test_fields_with_and_without_facts_live_together():
    assert SomeOptions.bounds() == {"bounded": (1, 3)}
    assert SomeOptions.how_it_runs() == {"bounded"}
    assert SomeOptions(bounded=2).shaping() == {"plain": 1, "mode": "off"}
    for wrong in ({"bounded": 0}, {"bounded": 4}):
        with pytest.raises(OptionError):
            SomeOptions(**wrong)
