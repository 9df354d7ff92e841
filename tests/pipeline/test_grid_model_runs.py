"""Closer looks and votes through whole runs, with a model that answers by the 3x3 grid."""

import json
from threading import Event as Flag

import numpy as np
import pytest
import rasterio
from pairs import planted_mask, planted_pair
from rasterio.features import rasterize
from rasters import ORIGIN, texture

import geochg
from geochg.errors import CancelledRunError, OptionError, TilesFailedError
from geochg.events import Progress
from geochg.pipeline.describe import describe_pair
from geochg.pipeline.dialogue import open_dialogue
from geochg.pipeline.outputs import Outputs

pytestmark = pytest.mark.usefixtures("marker_plugin")

BOTH = {"refine": 1, "vote": True}


def options(**changes):
    model_options = {"location": "grid", "difference": 30.0} | changes.pop("model_options", {})
    settings = {"model": "marker", "tile_size_px": 81, "align": "off", "geometry": "cells"}
    return geochg.AnalyzeOptions.from_dict(settings | changes | {"model_options": model_options})


@pytest.fixture
def make_pair(make_raster):
    """A pair of 243 x 243 px in which rectangles of rows and columns appeared."""

    def make(*blocks, size=(243, 243), mask=None):
        before = texture(*size, 2) // 4 + 90
        after = before.copy()
        for top, bottom, left, right in blocks:
            after[:, top:bottom, left:right] += 60
        return make_raster("before.tif", before, mask=mask), make_raster("after.tif", after)

    return make


@pytest.fixture
def planted(make_raster):
    return [make_raster(f"{i}.tif", image) for i, image in enumerate(planted_pair())]


def drawn(features, shape=(243, 243)):
    if features.empty:
        return np.zeros(shape, bool)
    return rasterize(features.geometry, out_shape=shape, transform=ORIGIN).astype(bool)


def agreement(found, truth):
    return (found & truth).sum() / (found | truth).sum()


def block_mask(*blocks, shape=(243, 243)):
    mask = np.zeros(shape, bool)
    for top, bottom, left, right in blocks:
        mask[top:bottom, left:right] = True
    return mask


# --- closer looks --------------------------------------------------------------------------------


def test_an_aligned_block_comes_back_exactly(make_pair):
    block = (99, 108, 117, 126)
    pair = make_pair(block)
    coarse = geochg.analyze(*pair, options(overlap_px=0)).features
    (fine,) = geochg.analyze(*pair, options(overlap_px=0, refine=1)).features.itertuples()
    assert coarse.geometry[0].area == 27 * 27 * 100
    assert fine.geometry.area == 81 * 100
    assert (drawn(geochg.analyze(*pair, options(overlap_px=0, refine=1)).features)
            == block_mask(block)).all()  # fmt: skip
    assert fine.cells == ["r1c1/top-center"]
    # The mean of the share of the cell and that of its part, all of which changed.
    assert fine.confidence == pytest.approx((1 / 9 + 1) / 2, abs=0.005)


def test_each_look_is_closer_to_the_truth(make_pair):
    block = (95, 131, 20, 51)
    pair = make_pair(block)
    found = [
        agreement(drawn(geochg.analyze(*pair, options(overlap_px=9, refine=n)).features), truth)
        for n in range(3)
        for truth in [block_mask(block)]
    ]
    assert found[0] < found[1] < found[2]
    assert found[0] < 0.6
    assert found[2] > 0.8


def test_pieces_of_closer_looks_join_across_cells_and_tiles(make_pair):
    block = (70, 92, 60, 103)
    features = geochg.analyze(*make_pair(block), options(overlap_px=9, refine=2)).features
    assert len(features) == 1
    assert len(features.tiles[0]) == 4
    assert agreement(drawn(features), block_mask(block)) > 0.8


# --- votes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block",
    [
        (48, 60, 48, 60),  # across the border of four cells of one tile
        (76, 88, 76, 88),  # across the border of four tiles
        (76, 88, 10, 20),
    ],
)
@pytest.mark.parametrize("refine", [0, 1])
def test_votes_cut_what_lies_on_a_border_tighter(make_pair, block, refine):
    pair, truth = make_pair(block), block_mask(block)
    alone = drawn(geochg.analyze(*pair, options(overlap_px=0, refine=refine)).features)
    together = drawn(geochg.analyze(*pair, options(vote=True, refine=refine)).features)
    assert agreement(together, truth) > 1.15 * agreement(alone, truth)
    assert together[truth].mean() > 0.6


def test_confidence_and_heat_follow_the_votes(make_pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson", heatmap=tmp_path / "h.tif")
    pair = make_pair((100, 112, 100, 112))
    features = geochg.analyze(*pair, options(vote=True), outputs=outputs).features
    with rasterio.open(outputs.heatmap) as file:
        heat = file.read(1)
    inside = drawn(features)
    assert heat[inside].mean() / 254 == pytest.approx(features.confidence[0], abs=0.005)
    assert heat[~inside].max() < heat[inside].max()
    assert (heat != 255).all()
    # Some tile sees a change beyond what most of them see.
    assert heat[~inside].any()


@pytest.mark.parametrize("size", [(40, 40), (81, 100), (82, 121), (130, 243)])
@pytest.mark.parametrize("tile_size_px", [64, 81])
def test_any_size_of_grid_and_tile_is_covered_once(make_pair, tmp_path, size, tile_size_px):
    outputs = Outputs(heatmap=tmp_path / "h.tif")
    pair = make_pair((4, 24, 4, 24), size=size)
    settings = options(tile_size_px=tile_size_px, **BOTH)
    features = geochg.analyze(*pair, settings, outputs=outputs).features
    truth = block_mask((4, 24, 4, 24), shape=size)
    assert drawn(features, size)[truth].mean() > 0.5
    with rasterio.open(outputs.heatmap) as file:
        assert (file.read(1) != 255).all()


def test_only_the_area_of_interest_and_valid_pixels_are_mapped(make_pair, tmp_path):
    mask = np.ones((243, 243), bool)
    mask[:, 110:] = False
    pair = make_pair((100, 120, 95, 125), mask=mask)
    west, north = ORIGIN * (60, 60)
    east, south = ORIGIN * (180, 112)
    aoi = f"EPSG:32633;{west},{south},{east},{north}"
    outputs = Outputs(tmp_path / "c.geojson", heatmap=tmp_path / "h.tif")
    result = geochg.analyze(*pair, options(aoi=aoi, tile_size_px=36, **BOTH), outputs=outputs)
    with rasterio.open(outputs.heatmap) as file:
        grid_mask = file.read(1) != 255
        place = file.transform
    assert 0 < grid_mask.sum() <= 50 * 52
    (feature,) = result.features.geometry
    left, low, right, high = feature.bounds
    cols = (np.array([left, right]) - place.c) / place.a
    rows = (np.array([high, low]) - place.f) / place.e
    # The whole of the change lies in columns 95 to 110 of the area that starts at 60.
    assert cols.min() >= 35 - 4
    assert grid_mask[int(rows[0]) : int(rows[1]), int(cols[0]) : 50].any()
    assert low >= south


# --- runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [{"refine": 2}, {"vote": True}, BOTH])
def test_equal_runs_give_equal_bytes_however_they_run(planted, tmp_path, way):
    contents = set()
    for run, how in enumerate(({"workers": 1, "batch_size": 1}, {"workers": 3, "batch_size": 7})):
        folder = tmp_path / str(run)
        folder.mkdir()
        outputs = Outputs(folder / "c.gpkg", folder / "t.gpkg", folder / "h.tif")
        result = geochg.analyze(*planted, options(**way, **how), outputs=outputs)
        contents.add(tuple(path.read_bytes() for path in outputs.paths()))
        assert agreement(drawn(result.features, (200, 300)), planted_mask()) > 0.3
    assert len(contents) == 1


def test_a_run_that_was_cancelled_resumes_to_the_same_bytes(planted, tmp_path):
    folders = [tmp_path / name for name in ("whole", "cut")]
    outputs = []
    for folder in folders:
        folder.mkdir()
        outputs.append(Outputs(folder / "c.geojson", folder / "t.gpkg", folder / "h.tif"))
    geochg.analyze(*planted, options(**BOTH), outputs=outputs[0])
    cancel = Flag()

    def listen(event):
        if isinstance(event, Progress) and event.stage == "tiles" and event.done >= 6:
            cancel.set()

    settings = options(batch_size=2, **BOTH)
    with pytest.raises(CancelledRunError):
        geochg.analyze(*planted, settings, outputs=outputs[1], listener=listen, cancel=cancel)
    resumed = []
    settings = options(batch_size=3, resume=True, **BOTH)
    geochg.analyze(*planted, settings, outputs=outputs[1], listener=resumed.append)
    assert next(event for event in resumed if isinstance(event, Progress)).done >= 6
    for one, other in zip(*(each.paths() for each in outputs), strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("change", [{"refine": 2}, {"vote": False}])
def test_an_unfinished_run_is_not_gone_on_with_otherwise(planted, tmp_path, change):
    outputs = Outputs(tmp_path / "c.geojson")
    failing = options(**BOTH, model_options={"fail_tiles": [3]})
    with pytest.raises(TilesFailedError):
        geochg.analyze(*planted, failing, outputs=outputs)
    other = options(**BOTH | change, resume=True, model_options={"fail_tiles": [3]})
    with pytest.raises(OptionError, match=f"differs in option .*{next(iter(change))}"):
        geochg.analyze(*planted, other, outputs=outputs)


def test_failed_tiles_leave_their_neighbours_votes(planted, tmp_path):
    whole = geochg.analyze(*planted, options(**BOTH)).features
    failing = options(**BOTH, allow_failed_tiles=True, model_options={"fail_tiles": [8]})
    outputs = Outputs(tmp_path / "c.geojson", tmp_path / "t.gpkg", tmp_path / "h.tif")
    result = geochg.analyze(*planted, failing, outputs=outputs)
    assert list(result.metadata["failed_tiles"]) == ["r1c1"]
    found, expected = drawn(result.features, (200, 300)), drawn(whole, (200, 300))
    lost = expected & ~found
    with rasterio.open(outputs.heatmap) as file:
        blank = file.read(1) == 255
    assert blank.any()
    assert not found[blank].any()
    # Of what is lost, most lies in the core of the tile that failed.
    assert lost[blank].sum() >= 0.8 * lost.sum()


def test_what_was_used_is_noted(planted, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    result = geochg.analyze(*planted, options(**BOTH), outputs=outputs)
    noted = json.loads(outputs.features.read_text())["geochg"]["options"]
    assert (noted["refine"], noted["vote"], noted["overlap_px"]) == (1, True, 40)
    assert result.metadata["model"]["id"] == "marker"
    plain = geochg.analyze(*planted, options()).metadata["options"]
    assert (plain["refine"], plain["vote"], plain["overlap_px"]) == (0, False, 32)


# --- where it makes no sense ---------------------------------------------------------------------


@pytest.mark.parametrize("model", ["builtin", "irmad", "cva", "marker"])
@pytest.mark.parametrize(
    ("way", "flags"),
    [({"refine": 1}, "--refine"), ({"vote": True}, "--vote"), (BOTH, "--refine and --vote")],
)
def test_models_that_outline_are_refused(planted, model, way, flags):
    settings = geochg.AnalyzeOptions.from_dict({"model": model, **way})
    for run in (geochg.analyze, describe_pair):
        with pytest.raises(OptionError) as caught:
            run(*planted, settings)
        assert (
            str(caught.value)
            == f"{model} gives outlines, which are finer than cells\nleave out {flags}"
        )


@pytest.mark.parametrize("overlap_px", [0, 32, 41, 80])
def test_votes_take_half_a_tile(overlap_px):
    with pytest.raises(OptionError, match="must be half a tile, 40 px") as caught:
        options(vote=True, overlap_px=overlap_px)
    assert caught.value.message == f"overlap {overlap_px} px"
    assert options(vote=True, overlap_px=40).tile_overlap_px == 40
    assert options(vote=True).tile_overlap_px == 40


def test_a_description_counts_the_tiles_and_looks(planted):
    plain, voting = describe_pair(*planted, options()), describe_pair(*planted, options(vote=True))
    assert voting.tiles > plain.tiles
    slow = {"delay_s": 0.2}
    once = describe_pair(*planted, options(model_options=slow)).seconds
    again = describe_pair(*planted, options(refine=2, model_options=slow)).seconds
    assert again > 1.5 * once


def test_a_talk_is_as_it_would_be_without(planted):
    plain, finer = (
        "".join(open_dialogue(*planted, options(**way)).ask("How many?")) for way in ({}, BOTH)
    )
    assert plain == finer != ""
