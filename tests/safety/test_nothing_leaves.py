"""No socket, and no file outside the outputs: whatever runs, nothing leaves the machine."""

import os
import subprocess
import sys
from pathlib import Path

import deltavlm_factory
import numpy as np
import pytest
import rasterio
from four_bits import needs_four_bits
from labelled_pairs import some_pairs
from masked_pairs import plain_pair
from pairs import planted_pair
from tuning_rows import write_rows
from vlm_factory import save_adapter, save_vlm

from geochg.safety.telemetry import SWITCHES, switch_telemetry_off

WATCHED = Path(__file__).parents[1] / "support" / "watched_process.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A tiny model and rows to train on and to be tested with."""
    folder = tmp_path_factory.mktemp("place")
    deltavlm_factory.save(deltavlm_factory.tiny_model(), folder / "model")
    save_adapter(save_vlm("llava", folder / "vlm"), folder / "adapter")
    write_rows(folder / "data")
    return folder


@pytest.fixture
def watched(tmp_path):
    """Runs geochg with a home of its own, sure that nothing leaves or lies there."""
    for name in ("home", "tmp", "out"):
        (tmp_path / name).mkdir()

    def run(*words):
        home, temporary, out = (tmp_path / name for name in ("home", "tmp", "out"))
        # torch names its caches to the processes it starts, once another test has used them.
        others = ("XDG_", "HF_", "ORT_", "TORCHINDUCTOR_", "TRITON_")
        usual = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        environment = {
            **{name: value for name, value in usual.items() if name not in SWITCHES},
            **dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA"), str(home)),
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
            # As conda sets it; PROJ would fetch grids, and keep them in the home folder.
            "PROJ_NETWORK": "ON",
            "PYTHONDONTWRITEBYTECODE": "1",
            "WATCHED_FOLDERS": os.pathsep.join(map(str, (out, temporary))),
        }
        done = subprocess.run(
            [sys.executable, str(WATCHED), *map(str, words)],
            env=environment,
            cwd=out,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        assert [str(path) for path in home.rglob("*")] == []
        assert not [word for word in ("telemetry", "kernels") if word in done.stderr.lower()]

    return run


@pytest.fixture
def pair(make_raster):
    return [
        make_raster(name, np.concatenate([values, values[:1]]))
        for name, values in zip(("a.tif", "b.tif"), planted_pair(), strict=True)
    ]


def test_analyze_and_info_with_the_default_model(watched, pair, tmp_path):
    watched("analyze", *pair, "-o", tmp_path / "out" / "c.gpkg", "--align", "off")
    watched("info", *pair)


@pytest.mark.parametrize("crs", ["EPSG:26914", "EPSG:26714", "EPSG:27700"])
def test_no_grid_of_a_datum_is_fetched(watched, make_raster, tmp_path, crs):
    place = {"crs": crs, "transform": rasterio.transform.from_origin(400_000, 500_000, 10, 10)}
    pair = [
        make_raster(name, values, **place)
        for name, values in zip(("a.tif", "b.tif"), planted_pair(), strict=True)
    ]
    words = ("--model", "cva", "--align", "off", "-o", tmp_path / "out" / "c.geojson")
    watched("analyze", *pair, *words)


def test_an_mrf_of_another_raster_keeps_nothing_beside_itself(watched, pair, tmp_path):
    for path in pair:
        with rasterio.open(path) as raster:
            (west, south, east, north), (height, width) = raster.bounds, raster.shape
            size = f'x="{width}" y="{height}" c="{raster.count}"'
            box = f'minx="{west}" miny="{south}" maxx="{east}" maxy="{north}"'
            Path(path).with_suffix(".mrf").write_text(
                f"<MRF_META><CachedSource><Source>{path}</Source></CachedSource><Raster>"
                f"<Size {size}/><PageSize {size}/><DataType>Byte</DataType></Raster><GeoTags>"
                f"<BoundingBox {box}/><Projection>{raster.crs}</Projection></GeoTags></MRF_META>"
            )
    mrfs = [Path(path).with_suffix(".mrf") for path in pair]
    before = sorted(mrfs[0].parent.iterdir())
    watched("info", *mrfs, "--model", "cva")
    assert sorted(mrfs[0].parent.iterdir()) == before


def test_ask_with_the_default_model(watched, pair):
    watched("ask", *pair, "What changed?")


def test_train_and_evaluate(watched, place, tmp_path):
    rows, model = place / "data" / "train.json", f"deltavlm:{place / 'model'}"
    few = ("--steps", 1, "--batch-size", 2, "--device", "cpu", "--no-bf16")
    watched("train", rows, "--model", model, *few, "-o", tmp_path / "out" / "adapter")
    watched("evaluate", rows, "--model", model, "--device", "cpu", "--no-meteor")


@pytest.mark.parametrize("more", [(), ("--adapter",), ("--quantize", "4bit")])
def test_a_vision_language_model(watched, place, pair, tmp_path, more):
    if "--quantize" in more:
        needs_four_bits()
    more = (*more, place / "adapter") if "--adapter" in more else more
    model = ("--model", f"vlm:{place / 'vlm'}", "--model-option", "max_tokens=4")
    tiles = ("--tile-size", 128, "--align", "off", "--allow-failed-tiles")
    watched("analyze", *pair, *model, *more, *tiles, "-o", tmp_path / "out" / "c.gpkg")


def test_a_vision_language_model_is_trained(watched, place, tmp_path):
    few = ("--steps", 1, "--batch-size", 2, "--device", "cpu", "--no-bf16", "--lora", "language")
    rows, model = place / "data" / "train.json", f"vlm:{place / 'vlm'}"
    watched("train", rows, "--model", model, *few, "-o", tmp_path / "out" / "adapter")


def test_evaluate_on_pairs_and_on_kinds(watched, tmp_path):
    some_pairs(tmp_path / "pairs")
    plain_pair(tmp_path / "kinds" / "houses" / "plain")
    files = ("-o", tmp_path / "out" / "s.json", "--markdown", tmp_path / "out" / "s.md")
    watched("evaluate", tmp_path / "pairs", "--device", "cpu", *files)
    watched("evaluate", tmp_path / "kinds", "--model", "cva", "--tile-size", 128, *files)


def test_info_about_every_model_that_comes_along(watched, pair):
    for model in ("cva", "irmad", "builtin"):
        watched("info", *pair, "--model", model, "--json")
    watched("models")


def test_the_watch_sees_sockets_and_files(tmp_path):
    for code in (
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        f"open({str(tmp_path / 'x')!r}, 'w')",
        f"import os; os.mkdir({str(tmp_path / 'x')!r})",
    ):
        start = "import sys; from watched_process import watch; sys.addaudithook(watch); "
        done = subprocess.run(
            [sys.executable, "-c", start + code],
            env={
                **os.environ,
                "PYTHONPATH": str(WATCHED.parent),
                "WATCHED_FOLDERS": str(tmp_path / "allowed"),
            },
            capture_output=True,
        )
        assert done.returncode == 97


def test_the_switches_are_set_whatever_was_there():
    environment = {"ORT_DISABLE_TELEMETRY": "0"}
    switch_telemetry_off(environment)
    assert environment == SWITCHES
