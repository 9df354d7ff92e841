"""What the base does without the packages of the extras, and what it says where it needs one."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image
from question_rows import some_rows

from geochg.extras import EXTRAS, MissingExtraError, missing_extra, require_packages

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOOLS = {"dev", "docs"}
"""Extras for those who change geochg: nothing that it does asks for them."""
OTHER_NAMES = {"cv2": "opencv_python_headless", "odc.stac": "odc_stac", "sklearn": "scikit_learn"}
"""Packages that are imported by another name than they are installed by."""
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
        if {{name, name.partition(".")[0]}} & {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from geochg_cli.main import main
main()
"""
ABSENT = {*EXTRAS, "jiter", "httpx"}


def write_sources(folder):
    """Writes files that each need an extra."""
    (folder / "area.parquet").touch()
    some_rows(folder)
    shots = ["image,location_id,timestamp,category,split"]
    for year in (2014, 2016):
        Image.new("RGB", (30, 20)).save(folder / f"{year}.png")
        shots.append(f"{year}.png,7,{year}-05-01,car_park,val")
    (folder / "shots.csv").write_text("\n".join(shots))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Runs `geochg` with some arguments as on the base."""
    folder = tmp_path_factory.mktemp("base")
    write_sources(folder)
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
        (("evaluate", "rows_test.json", "--task", "caption"), "evaluate"),
        (("dataset", "pairs", "shots.csv", "pairs", "--videos"), "video"),
        (("train", "run", "rows.json", "--dry-run"), "train"),
        (("train", "compact", "-o", "x", "--work", "w", "--real-dir", "."), "train"),
    ],
)
def test_what_needs_an_extra_says_the_command_that_installs_it(base, arguments, extra):
    done = base(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert line.endswith(f' is not installed: pip install "geochg[{extra}]"')


def test_every_package_of_an_extra_is_none_of_the_base():
    of_extras = {OTHER_NAMES.get(name, name) for name in EXTRAS}
    assert not installed_by(PROJECT["dependencies"]) & of_extras


def test_every_extra_is_hinted_at_and_brings_what_the_hint_is_about():
    extras = PROJECT["optional-dependencies"]
    hints = hinted_packages()
    assert set(hints) == set(extras) - TOOLS
    for extra, packages in hints.items():
        named = {OTHER_NAMES.get(package, package) for package in packages}
        assert named <= installed_by(extras[extra]), extra


def test_the_table_names_every_package_of_an_extra():
    listed = {(extra, OTHER_NAMES.get(name, name)) for name, extra in EXTRAS.items()}
    extras = PROJECT["optional-dependencies"]
    direct = {(e, n) for e in set(extras) - TOOLS for n in installed_by(extras[e], within=False)}
    assert listed == direct


@pytest.mark.parametrize("page", ["README.md", "docs/using.md"])
def test_the_pages_for_users_list_the_extras(page):
    named = re.findall(r"`geochg\[(\w+)\]`", (ROOT / page).read_text(encoding="utf-8"))
    assert set(named) == set(PROJECT["optional-dependencies"]) - TOOLS


def test_no_other_module_words_the_command():
    wording = [path for path in modules() if "geochg[" in path.read_text(encoding="utf-8")]
    assert wording == [ROOT / "geochg" / "extras.py"]


@pytest.mark.parametrize(
    ("command", "entry"), [("train_run", "finetune.run"), ("train_compact", "builtin.recipe")]
)
def test_training_asks_first_for_what_its_modules_import(command, entry):
    needed = set(import_module(f"geochg_cli.{command}").NEEDED)
    imported = imported_with(f"geochg.training.{entry}")
    assert {package for package in imported if EXTRAS[package] == "train"} <= needed


def imported_with(entry):
    """The packages of extras that are imported as soon as a module of geochg is."""
    packages, modules, ahead = set(), set(), [entry]
    while ahead:
        name = ahead.pop()
        path = ROOT.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in modules or not path.is_file():
            continue
        modules.add(name)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                ahead += [node.module, *(f"{node.module}.{part.name}" for part in node.names)]
            elif isinstance(node, ast.Import):
                ahead += [part.name for part in node.names]
        packages |= {part for name in ahead for part in (name, name.partition(".")[0])} & set(
            EXTRAS
        )
    return packages


def installed_by(requirements, *, within=True):
    """The packages of some requirements, also of the extras of geochg among them."""
    names = set()
    for line in requirements:
        if extra := re.match(r"geochg\[(.*)\]", line):
            inner = PROJECT["optional-dependencies"][extra[1]]
            names |= installed_by(inner) if within else set()
        else:
            names.add(re.match(r"[\w-]+", line)[0].replace("-", "_"))
    return names


def modules():
    """The files of the library and of the command line."""
    return sorted(path for part in ("geochg", "cli") for path in (ROOT / part).rglob("*.py"))


def hinted_packages():
    """The packages that hints name, by extra: those of the table, and of every call."""
    hints = defaultdict(set)
    for package, extra in EXTRAS.items():
        hints[extra].add(package)
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and path.name != "extras.py":
                match ast.unparse(node.func):
                    case "require_packages" | "install_command":
                        extra, *packages = values(node.args, path)
                        hints[extra].update(packages)
                    case "MissingExtraError.of":
                        package, extra = values(node.args, path)
                        hints[extra].add(package)
    return hints


def values(arguments, path):
    """The values of a call's arguments: constants, or names of its module."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    module = import_module(re.sub("^cli", "geochg_cli", name))
    return eval(f"[{', '.join(map(ast.unparse, arguments))}]", vars(module))


def test_an_import_that_fails_otherwise_is_left_alone():
    assert missing_extra(ModuleNotFoundError("no", name="numpy")) is None
    assert missing_extra(ImportError("broken library")) is None
    assert missing_extra(ValueError()) is None


def test_the_first_package_that_lacks_is_named():
    with pytest.raises(MissingExtraError, match=r"no_such_thing .* \"geochg\[train\]\""):
        require_packages("train", "numpy", "no_such_thing")
