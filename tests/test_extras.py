"""What the base does without the packages of the extras, and what it says where it needs one."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from geochg.extras import EXTRAS, MissingExtraError, missing_extra, require_packages

ROOT = Path(__file__).parent.parent
BEFORE, AFTER = (str(ROOT / "examples" / f"ponds_{year}.tif") for year in (2012, 2014))
PAIR = (BEFORE, AFTER)
METHODS = ("hello", "devices")

# Runs the command line in a process that finds no package of an extra, as on the base.
WITHOUT_EXTRAS = """
import sys
import tomllib
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from geochg_cli.main import main
main()
"""
ABSENT = {*EXTRAS, "jiter", "httpx"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Runs `geochg` with some arguments as on the base."""
    folder = tmp_path_factory.mktemp("base")
    script = folder / "geochg_base.py"
    script.write_text(WITHOUT_EXTRAS.format(absent=ABSENT))

    def run(*arguments, stdin=""):
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            cwd=folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=240,
        )

    return run


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two small rasters with change, and the folder of a labelled pair."""
    from labelled_pairs import some_pairs

    return some_pairs(tmp_path_factory.mktemp("pairs"), count=4)


@pytest.fixture(scope="module")
def area(tmp_path_factory):
    """A square of the example pair, which takes two tiles."""
    box = [[-99.16, 47.01], [-99.15, 47.01], [-99.15, 47.02], [-99.16, 47.02], [-99.16, 47.01]]
    path = tmp_path_factory.mktemp("area") / "area.geojson"
    geometry = {"type": "Polygon", "coordinates": [box]}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return str(path)


@pytest.mark.parametrize("model", ["builtin", "irmad", "cva"])
@pytest.mark.parametrize("suffix", ["geojson", "gpkg"])
def test_the_base_maps_changes(base, area, tmp_path, model, suffix):
    layer = tmp_path / f"changes.{suffix}"
    heatmap = tmp_path / "heat.tif"
    given = ("--model", model, "--aoi", area, "--heatmap", str(heatmap), "-o", str(layer))
    done = base("analyze", *PAIR, *given)
    assert done.returncode == 0, done.stderr
    assert layer.stat().st_size > 0


def test_the_base_answers_questions(base):
    done = base("ask", *PAIR, "Has water appeared?", "--at", "-99.155,47.015")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_base_describes_a_pair_and_lists_the_models(base):
    done = base("info", *PAIR)
    assert done.returncode == 0, done.stderr
    done = base("models", "--json")
    assert all(model["broken"] is None for model in json.loads(done.stdout))


def test_the_base_scores_the_default(base, pair, tmp_path):
    done = base("evaluate", str(pair), "-o", str(tmp_path / "scores.json"))
    assert done.returncode == 0, done.stderr


def test_the_worker_of_the_base_says_hello_and_its_devices(base):
    lines = [{"jsonrpc": "2.0", "id": i, "method": name} for i, name in enumerate(METHODS)]
    done = base("worker", stdin="".join(f"{json.dumps(line)}\n" for line in lines))
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum("result" in answer for answer in answers) == len(METHODS), answers


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("analyze", *PAIR, "-o", "x.geojson", "--model", "vlm:owner/name"), "vlm"),
        (("analyze", *PAIR, "-o", "x.geojson", "--model", "deltavlm:owner/name"), "vlm"),
        (("analyze", *PAIR, "-o", "x.geojson", "--model", "clip:owner/name"), "vlm"),
        (("analyze", *PAIR, "-o", "x.geojson", "--device", "cuda"), "vlm"),
        (("analyze", *PAIR, "-o", "x.geojson", "--model", "openai:http://h/v1#m"), "openai"),
        (("analyze", *PAIR, "-o", "x.parquet"), "parquet"),
        (("analyze", *PAIR, "-o", "x.geojson", "--aoi", "area.parquet"), "parquet"),
        (("train", "run", "rows.json", "--dry-run"), "train"),
        (("train", "compact", "-o", "x", "--work", "w", "--real-dir", "."), "train"),
    ],
)
def test_what_needs_an_extra_says_the_command_that_installs_it(base, arguments, extra):
    (Path(base("--version").args[1]).parent / "area.parquet").touch()
    done = base(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert line.endswith(f' is not installed: pip install "geochg[{extra}]"')


def test_every_package_of_an_extra_is_none_of_the_base():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.match(r"[\w-]+", line)[0].replace("-", "_") for line in project["dependencies"]]
    assert not set(names) & set(EXTRAS)
    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])


def test_an_import_that_fails_otherwise_is_left_alone():
    assert missing_extra(ModuleNotFoundError("no", name="numpy")) is None
    assert missing_extra(ImportError("broken library")) is None
    assert missing_extra(ValueError()) is None


def test_the_first_package_that_lacks_is_named():
    with pytest.raises(MissingExtraError, match=r"no_such_thing .* \"geochg\[train\]\""):
        require_packages("train", "numpy", "no_such_thing")
