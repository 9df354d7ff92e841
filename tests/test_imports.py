"""Who imports whom, and what a bare import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import geochg

ROOT = Path(__file__).parent.parent
BASE = {
    "asked_class",
    "errors",
    "events",
    "extras",
    "files",
    "geometry",
    "chi_squared",
    "class_list",
    "classes",
    "dense_features",
    "label_lists",
    "land_cover",
    "noun_forms",
    "option_choices",
    "option_fields",
    "options",
    "pair_facts",
    "records",
    "safety",
    "scenes",
    "tasks",
    "tile_sizes",
    "windows",
}
MIDDLE = {"tiling", "models", "features", "writers"}
ALLOWED = {
    "windows": set(),
    "asked_class": set(),
    "pair_facts": set(),
    "dense_features": set(),
    "records": {"asked_class", "dense_features", "pair_facts", "scenes", "windows"},
    "scenes": {"asked_class"},
    "safety": {"records"},
    "errors": {"safety"},
    "events": {"safety"},
    "extras": {"errors"},
    "files": {"errors", "safety"},
    "option_choices": {"errors", "safety"},
    "tile_sizes": {"errors"},
    "option_fields": {"errors", "files", "safety"},
    "options": {
        *("class_list", "errors", "label_lists", "option_choices", "option_fields", "safety"),
        "tile_sizes",
    },
    "chi_squared": set(),
    "classes": set(),
    "noun_forms": set(),
    "class_list": {"asked_class", "classes", "errors", "files", "noun_forms", "safety"},
    "label_lists": set(),
    "land_cover": {"classes", "records"},
    "geometry": {"errors", "extras", "files", "records", "safety"},
    "tasks": BASE,
    **dict.fromkeys(MIDDLE, BASE),
    "report": BASE | {"tiling", "features", "writers"},
    "learning": BASE | {"features", "models"},
    "pipeline": BASE | MIDDLE | {"report", "learning"},
    "layer_check": BASE | MIDDLE | {"pipeline"},
    "accuracy": BASE | MIDDLE | {"pipeline"},
    "stac": BASE | MIDDLE | {"pipeline"},
    "timeseries": BASE | MIDDLE | {"pipeline", "report", "stac"},
    "batch": BASE | MIDDLE | {"pipeline", "report", "stac"},
    "worker": BASE
    | {"accuracy", "layer_check", "models", "pipeline", "report", "stac", "timeseries"},
    # Of the worker it has the streams.
    "mcp_server": BASE | {"models", "pipeline", "report", "stac", "timeseries", "worker"},
    # Reviewed layers and their images are found as reports and tables find them.
    "datasets": BASE | MIDDLE | {"report", "pipeline"},
    "evaluation": BASE | {"tiling", "models", "datasets", "pipeline", "writers"},
    "training": BASE | {"tiling", "models", "datasets", "evaluation", "learning"},
}
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "accelerate"}
OUTSIDE = {
    # Only the tiling opens rasters; only models and training know torch.
    "rasterio": {"accuracy", "tiling", "geometry", "writers", "datasets", "stac"},
    **{package: {"models", "training"} for package in HEAVY},
    "click": set(),
    "rich": set(),
}


def modules():
    for path in sorted((ROOT / "geochg").rglob("*.py")):
        parts = path.relative_to(ROOT / "geochg").with_suffix("").parts
        if parts != ("__init__",):
            yield path, parts[0]


def imported(path):
    """Absolute names imported anywhere in a module, but not for type checking only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize(("path", "room"), list(modules()), ids=lambda value: str(value)[-40:])
def test_rooms_import_only_what_lies_before_them(path, room):
    for name in imported(path):
        package, *rest = name.split(".")
        if package == "geochg" and rest and rest[0] != "__version__":
            assert rest[0] in ALLOWED[room] | {room}, f"{room} imports {name}"
        if package in OUTSIDE:
            assert room in OUTSIDE[package], f"{room} imports {name}"


def test_every_room_is_known():
    assert {room for _, room in modules()} <= set(ALLOWED)


def test_the_command_line_imports_the_package_and_never_the_other_way():
    for path, _ in modules():
        assert not any(name.startswith("geochg_cli") for name in imported(path))


def test_the_plugin_imports_nothing_of_geochg():
    for path in (ROOT / "qgis_plugin").rglob("*.py"):
        assert not any(name.split(".")[0] in {"geochg", "geochg_cli"} for name in imported(path))


@pytest.mark.parametrize(
    "code",
    [
        "import geochg",
        "import geochg.options, geochg.events, geochg.records, geochg.tasks",
        "from geochg.models.registry import backends; assert not any(b.broken for b in backends())",
        "import geochg_cli.main as m; m._run(['--help'])",
        "import geochg_cli.main as m; m._run(['analyze', '--help'])",
        "import geochg_cli.main as m; m._run(['models'])",
        "import geochg_cli.main as m; m._run(['evaluate', '--help'])",
        "from geochg.worker.methods import methods; methods()['hello'](None)",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    unwanted = sorted(HEAVY | {"geopandas", "rasterio", "pandas"})
    check = f"import sys; {code}; print([n for n in {unwanted} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_every_public_name_is_there():
    for name in geochg.__all__:
        assert getattr(geochg, name) is not None
