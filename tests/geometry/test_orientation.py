"""Rasters that lie another way give what their north-up twins give, for every use of a pair."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasters import ORIGIN, UTM

import geochg
from geochg.datasets.builder.build import build_dataset
from geochg.datasets.builder.options import BuildOptions, class_coding
from geochg.datasets.builder.rasters import raster_scene
from geochg.geometry.orientation import Turn
from geochg.options import AlignMode, AnalyzeOptions
from geochg.pipeline.dialogue import open_dialogue
from geochg.pipeline.outputs import Outputs

SIZE = 96
NORTH_WEST = (slice(6, 30), slice(4, 28))
TURNS = {
    "south up": Turn(rows_reversed=True),
    "east on the left": Turn(cols_reversed=True),
    "upside down": Turn(rows_reversed=True, cols_reversed=True),
    "a quarter": Turn(True, cols_reversed=True),
    "mirrored along the diagonal": Turn(True),
}

every_turn = pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)


def scene():
    rng = np.random.default_rng(0)
    fields = rng.integers(75, 125, (3, 6, 6)).repeat(16, axis=1).repeat(16, axis=2)
    before = (fields + rng.integers(-12, 13, fields.shape)).astype(np.uint8)
    after = before + rng.integers(0, 4, before.shape).astype(np.uint8)
    after[:, NORTH_WEST[0], NORTH_WEST[1]] = 230
    return before, after


@pytest.fixture
def pair(make_raster):
    """Gives a pair that lies so that a turn brings it north up."""

    def make(turn=None, values=None):
        turn = turn or Turn()
        grid = turn.inverse.grid(GeoBox((SIZE, SIZE), ORIGIN, UTM))
        kind = "-".join(map(str, (turn.transposed, turn.rows_reversed, turn.cols_reversed)))
        return [
            make_raster(
                f"{name}-{kind}.tif",
                np.ascontiguousarray(turn.inverse.turned_pixels(pixels)),
                transform=grid.transform,
            )
            for name, pixels in zip("abc", values or scene(), strict=False)
        ]

    return make


def options(model, **more):
    return AnalyzeOptions(model=model, align=AlignMode.OFF, tile_size_px=SIZE, **more)


@pytest.mark.parametrize(
    ("model", "turn"),
    [
        *(("cva", turn) for turn in TURNS.values()),
        ("irmad", TURNS["upside down"]),
        ("builtin", TURNS["south up"]),
        ("builtin", TURNS["a quarter"]),
    ],
)
def test_the_features_are_those_of_the_twin(pair, model, turn):
    twin, turned = (geochg.analyze(*pair(one), options(model)).features for one in (None, turn))
    assert len(twin)
    one, other = (shapely.union_all(found.geometry.to_numpy()) for found in (twin, turned))
    assert one.intersection(other).area / one.union(other).area > 0.99
    assert list(turned["cells"]) == list(twin["cells"])
    assert list(turned["class"]) == list(twin["class"])


@every_turn
def test_tiles_that_are_cut_and_voted_on_are_those_of_the_twin(pair, turn):
    more = {"tile_size_px": 32, "overlap_px": 8}
    twin, turned = (
        geochg.analyze(
            *pair(one), AnalyzeOptions(model="cva", align=AlignMode.OFF, **more)
        ).features
        for one in (None, turn)
    )
    assert twin.geometry.geom_equals(turned.geometry).all()


@every_turn
def test_the_heatmap_lies_on_the_before_raster_pixel_on_pixel(pair, turn, tmp_path):
    found = {}
    for name, one in (("twin", Turn()), ("turned", turn)):
        before, after = pair(one)
        path = tmp_path / f"{name}.tif"
        geochg.analyze(before, after, options("cva"), outputs=Outputs(heatmap=path))
        with rasterio.open(path) as heat, rasterio.open(before) as raster:
            assert heat.transform.almost_equals(raster.transform)
            assert heat.shape == raster.shape
            found[name] = one.turned_pixels(heat.read(1))
    assert (found["twin"] == found["turned"]).all()


@every_turn
def test_ask_speaks_of_the_north_west(pair, turn):
    dialogue = open_dialogue(*pair(turn), options("cva"))
    assert "(north-west)" in "".join(dialogue.ask("Where has it changed?"))
    rows, cols = np.nonzero((dialogue.tile.after > 220).all(axis=0))
    assert max(rows.max(), cols.max()) < SIZE / 3


@every_turn
def test_rows_of_a_data_set_speak_of_the_top_left(pair, turn, tmp_path):
    mask = np.zeros((1, SIZE, SIZE), np.uint8)
    mask[0][NORTH_WEST] = 1
    before, after, label = pair(turn, [*scene(), mask])
    coding = ("1=building",)
    built = raster_scene(str(before), str(after), str(label), class_coding(coding), AlignMode.OFF)
    build_dataset(
        tmp_path / "set",
        [built],
        BuildOptions(coding=coding, tile_size_px=SIZE, shares=(1.0, 0.0, 0.0)),
    )
    rows = json.loads((tmp_path / "set" / "train.json").read_text())
    said = [
        turn["value"]
        for row in rows
        for turn in row["conversations"]
        if turn["from"] == "gpt" and "-" in turn["value"]
    ]
    assert said
    assert all("top-left" in text for text in said)
    with rasterio.open(next((tmp_path / "set" / "B").iterdir())) as chip:
        assert chip.transform.almost_equals(ORIGIN)


def test_dates_that_lie_unlike_each_other_meet(pair):
    before, _ = pair(TURNS["south up"])
    _, after = pair(TURNS["a quarter"])
    twin = geochg.analyze(*pair(), options("cva")).features
    found = geochg.analyze(before, after, options("cva")).features
    assert twin.geometry.geom_equals(found.geometry).all()


def test_a_raster_rotated_by_160_degrees_is_seen_the_right_way_up(make_raster):
    placed = ORIGIN * Affine.rotation(160)
    paths = [make_raster(f"{i}.tif", values, transform=placed) for i, values in enumerate(scene())]
    dialogue = open_dialogue(*paths, options("cva"))
    rows, cols = np.nonzero((dialogue.tile.after > 220).all(axis=0))
    assert min(rows.min(), cols.min()) > SIZE / 2  # what the file holds top left
