"""Whole runs with a small model that outlines, tells land cover and does not see through clouds."""

import json
from threading import Event as Flag

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from pairs import PLANTED, planted_mask, planted_pair

import geochg
from geochg.errors import CancelledRunError, OptionError
from geochg.events import Notice, Progress
from geochg.pipeline.outputs import Outputs
from geochg_cli.main import main

pytestmark = pytest.mark.usefixtures("marker_plugin")

CLOUD = np.s_[:, 100:150, 0:90]
"""Its white reaches the edge, as a collar would: `keep_collars` tells that it is ground."""


def options(**changes):
    settings = {
        "model": "marker",
        "model_options": {"land_cover": True},
        "tile_size_px": 64,
        "overlap_px": 16,
        "align": "off",
        "keep_collars": True,
    }
    return geochg.AnalyzeOptions.from_dict(settings | changes)


@pytest.fixture
def pair(make_raster):
    before, after = planted_pair()
    after[CLOUD] = 255
    return make_raster("before.tif", before), make_raster("after.tif", after)


def written(tmp_path, suffix=".geojson"):
    return Outputs(tmp_path / f"c{suffix}", tmp_path / f"t{suffix}", tmp_path / "h.tif")


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".fgb", ".parquet"])
def test_every_format_has_the_land_cover_of_both_dates(pair, tmp_path, suffix):
    outputs = written(tmp_path, suffix)
    geochg.analyze(*pair, options(classes=["building"]), outputs=outputs)
    read = gpd.read_parquet if suffix == ".parquet" else gpd.read_file
    found = read(outputs.features)
    kinds = list(zip(found["change"], found["before_class"], found["after_class"], strict=True))
    assert sorted(kinds) == [
        ("appeared", "low plants", "building"),
        ("appeared", "low plants", "building"),
        ("disappeared", "building", "low plants"),
    ]
    assert found["count"].tolist() == [1, 1, 1]
    assert found["caption"].str.contains("building").all()
    assert not found["caption"].str.contains("tile").any()


@pytest.mark.parametrize("classes", [[], ["building", "other"], ["other", "building", "water"]])
def test_buildings_that_went_are_not_named_where_others_are_kept(pair, classes):
    found = geochg.analyze(*pair, options(classes=classes)).features
    kinds = list(zip(found["class"], found["change"], strict=True))
    assert kinds.count(("building", "appeared")) == 2
    assert kinds.count(("other", "altered")) == 1
    assert found["count"].sum() == 2


def test_hysteresis_reaches_whole_features_and_sensitivity_moves_it(pair):
    for sensitivity in ("normal", "high"):
        found = geochg.analyze(*pair, options(sensitivity=sensitivity)).features
        assert found["area_m2"].sum() == pytest.approx(planted_mask().sum() * 100, rel=0.01)
    # The sure pixels are left, single ones, which are below the least size.
    quiet = geochg.analyze(*pair, options(sensitivity="low"))
    assert len(quiet.features) == 0
    assert quiet.metadata["caption"].startswith("Nothing changed in the area analysed.")
    specks = geochg.analyze(*pair, options(sensitivity="low", min_area_m2=0)).features
    assert len(specks) > 50
    with pytest.raises(OptionError, match="no threshold for a sensitivity"):
        geochg.analyze(*pair, options(sensitivity="low", model_options={"location": "grid"}))


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({"max_area_m2": 1}, "--max-area"),
        ({"max_area_m2": 0, "classes": ["building"]}, "--classes, --max-area"),
        ({"min_area_m2": 1e9}, "--min-area"),
        ({"min_confidence": 1}, "--min-confidence"),
    ],
)
def test_options_that_leave_no_feature_are_named(pair, changed, flags):
    events = []
    result = geochg.analyze(*pair, options(**changed), listener=events.append)
    assert result.features.empty
    notices = [event for event in events if isinstance(event, Notice) and event.warning]
    assert any(notice.message.endswith(f"no feature is left; see {flags}") for notice in notices)


def test_options_that_leave_features_are_not_named(pair):
    events = []
    assert len(geochg.analyze(*pair, options(min_area_m2=1), listener=events.append).features)
    assert not any("is left" in event.message for event in events if isinstance(event, Notice))


def test_buildings_are_squared_where_that_is_asked_for_and_counted(pair, tmp_path, capsys):
    plain = geochg.analyze(*pair, options())
    assert "regularized" not in plain.metadata
    features = {}
    for tile_size_px in (64, 128):
        outputs = Outputs(tmp_path / f"c{tile_size_px}.geojson")
        run_options = options(regularize=True, tile_size_px=tile_size_px)
        result = geochg.analyze(*pair, run_options, outputs=outputs)
        features[tile_size_px] = result.features
        facts = result.metadata["regularized"]
        count = int((result.features["class"] == "building").sum())
        assert facts["buildings"] == count == facts["squared"] + facts["left"]
        assert facts["squared"] > 0
        written_facts = json.loads(outputs.features.read_text("utf-8"))["geochg"]
        assert written_facts["regularized"] == facts
        assert written_facts["options"]["regularize"] is True
    shapes = [
        set(frame.geometry.normalize().set_precision(1e-3).to_wkt()) for frame in features.values()
    ]
    assert shapes[0] == shapes[1]
    settings = ["--model", "marker", "--model-option", "land_cover=true", "--align", "off"]
    flags = [*settings, "--keep-collars", "--regularize", "-o", str(tmp_path / "told.gpkg")]
    with pytest.raises(SystemExit, match="0"):
        main(["analyze", *map(str, pair), *flags])
    assert capsys.readouterr().out.splitlines()[-1] == (
        "  2 of 2 buildings were squared, 0 left as they were"
    )


def test_cells_of_a_grid_cannot_be_squared(pair):
    with pytest.raises(OptionError, match="no outlines that can be squared"):
        options(regularize=True, geometry="cells")
    events = []
    grid = options(regularize=True, model_options={"location": "grid"})
    facts = geochg.analyze(*pair, grid, listener=events.append).metadata
    assert facts["regularized"]["squared"] == 0 < facts["regularized"]["left"]
    notices = [event.message for event in events if isinstance(event, Notice) and event.warning]
    assert any("this model gives none" in message for message in notices)


def test_what_was_not_seen_is_told_and_is_not_unchanged(pair, tmp_path):
    outputs = written(tmp_path, ".gpkg")
    facts = geochg.analyze(*pair, options(), outputs=outputs).metadata
    assert facts["not_seen_m2"] == pytest.approx(50 * 90 * 100 / 0.9996**2, rel=1e-3)
    assert 0 < facts["tiles"]["not_seen"] < facts["tiles"]["read"]
    assert "of it was not seen" in facts["caption"]
    tiles = pyogrio.read_dataframe(outputs.tiles)
    assert (tiles["not_seen"] > 0).sum() == facts["tiles"]["not_seen"]
    hidden = tiles[tiles["not_seen"] == 1]
    assert len(hidden)
    assert hidden["changed"].isna().all()
    assert (hidden["caption"] == "The ground of this tile was not seen.").all()
    with rasterio.open(outputs.heatmap) as heat:
        assert (heat.read(1)[CLOUD[1:]] == 255).all()
        assert (heat.read(1) == 255).sum() == 50 * 90


def test_models_that_cannot_tell_say_nothing_of_it(pair, tmp_path):
    outputs = written(tmp_path, ".gpkg")
    result = geochg.analyze(*pair, options(model_options={}), outputs=outputs)
    assert result.metadata["not_seen_m2"] is None
    assert result.metadata["tiles"]["not_seen"] == 0
    assert result.features["before_class"].isna().all()
    assert result.features["after_class"].isna().all()
    assert pyogrio.read_dataframe(outputs.tiles)["not_seen"].isna().all()


def test_counts_of_tiles_add_up_to_those_of_features(pair, tmp_path):
    outputs = written(tmp_path, ".gpkg")
    result = geochg.analyze(*pair, options(classes=["building"]), outputs=outputs)
    tiles = pyogrio.read_dataframe(outputs.tiles)
    assert tiles["count_building"].sum() == result.features["count"].sum() == len(PLANTED)


def test_a_run_that_was_stopped_ends_with_the_same_bytes(pair, tmp_path):
    whole, parts = (written(tmp_path / name) for name in ("whole", "parts"))
    for outputs in (whole, parts):
        outputs.features.parent.mkdir()
    geochg.analyze(*pair, options(batch_size=2), outputs=whole)
    cancel = Flag()

    def stop(event):
        if isinstance(event, Progress) and event.stage == "tiles" and event.done >= 8:
            cancel.set()

    with pytest.raises(CancelledRunError):
        geochg.analyze(*pair, options(batch_size=2), outputs=parts, listener=stop, cancel=cancel)
    geochg.analyze(*pair, options(batch_size=3, resume=True), outputs=parts)
    for one, other in zip(whole.paths(), parts.paths(), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_summary_tells_what_was_not_seen(pair, tmp_path, capsys):
    given = [
        *map(str, pair), "-o", str(tmp_path / "c.geojson"), "--model", "marker", "--align", "off",
        "--tile-size", "64", "--model-option", "land_cover=true", "--sensitivity", "high",
        "--keep-collars",
    ]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(["analyze", *given])
    assert stop.value.code == 0
    assert "ha not seen (cloud, shadow or snow)" in capsys.readouterr().out
    saved = json.loads((tmp_path / "c.geojson").read_text())
    assert saved["geochg"]["options"]["sensitivity"] == "high"
    assert saved["geochg"]["options"]["min_area_m2"] is None
    assert pd.notna(saved["features"][0]["properties"]["after_class"])
