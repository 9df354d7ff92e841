"""One image described tile by tile, with a model that tells truly what it shows."""

import json
from threading import Event as Flag

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from rasters import ORIGIN, texture
from shapely.geometry import box

import geochg
from geochg.errors import CancelledRunError, InputError, OptionError, TilesFailedError
from geochg.events import Progress
from geochg.features import scenes
from geochg.features.scene_layer import SceneLayer
from geochg.features.scene_results import SceneResult
from geochg.pipeline.dialogue import open_image_dialogue
from geochg.pipeline.outputs import Outputs
from geochg.records import Label, PixelWindow, SceneAnswers, TileWindow

pytestmark = pytest.mark.usefixtures("marker_plugin")


def options(**changes):
    settings = {
        "model": "scene_marker",
        "tile_size_px": 40,
        "overlap_px": 0,
        "classes": ["building", "water", "solar panels"],
    }
    return geochg.AnalyzeOptions.from_dict(settings | changes)


def drawn(height=120, width=160):
    """Two buildings in the first tile, water in the lower left, panels in the upper right."""
    image = np.full((3, height, width), 90, np.uint8)
    image[:, 5:10, 5:10] = image[:, 20:25, 20:25] = 200
    image[:, 40:120, :80] = 50
    image[:, :8, 150:] = 230
    return image


def placed(left, top, right, bottom):
    return box(*(ORIGIN * (left, bottom)), *(ORIGIN * (right, top)))


def told(scene):
    return {",".join(row.labels): row for _, row in scene.features.iterrows()}


def test_tiles_with_the_same_labels_become_one_feature(make_raster):
    tags = {"TIFFTAG_DATETIME": "2020:06:01 10:00:00"}
    scene = geochg.describe(make_raster("image.tif", drawn(), tags=tags), options())
    rows = told(scene)
    assert set(rows) == {"", "building", "water", "solar panels"}
    assert rows["building"].geometry.equals(placed(0, 0, 40, 40))
    assert rows["water"].geometry.equals(placed(0, 40, 80, 120))
    assert rows["water"].tiles == ["r1c0", "r1c1", "r2c0", "r2c1"]
    assert json.loads(rows["building"]["count"]) == {"building": 2}
    likely = json.loads(rows["building"].probabilities)
    assert likely == {"building": 0.9, "water": 0.05, "solar panels": 0.05}
    assert rows["building"].caption == "A tile with 1 labels."
    # What was said of single tiles is not said of several.
    assert np.all(scene.features["count"].isna() == (scene.features.tiles.str.len() > 1))
    assert rows["water"].caption == "Shows: water."
    assert set(scene.features.date) == {"2020-06-01"}
    assert sum(scene.features.area_m2) == pytest.approx(120 * 160 * 100, rel=2e-3)


def test_features_do_not_depend_on_how_many_tiles_are_held(make_raster, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.choice([50, 90, 200], size=(12, 16))
    image = np.repeat(np.repeat(values, 10, axis=0), 10, axis=1).astype(np.uint8)
    path = make_raster("image.tif", np.stack([image] * 3))
    whole = geochg.describe(path, options(tile_size_px=10)).features
    monkeypatch.setattr(scenes, "BATCH_PIECES", 5)
    parts = geochg.describe(path, options(tile_size_px=10)).features
    assert len(whole) > 30
    assert whole.equals(parts)


def test_ground_without_data_is_in_no_feature(make_raster):
    mask = np.ones((120, 160), bool)
    mask[:, 100:] = False
    mask[0:10, 0:10] = False
    scene = geochg.describe(make_raster("image.tif", drawn(), mask=mask), options())
    union = scene.features.union_all()
    assert union.equals(placed(0, 0, 100, 120).difference(placed(0, 0, 10, 10)))
    assert json.loads(told(scene)["building"]["count"]) == {"building": 1}


def test_an_area_of_interest_cuts_the_image(make_raster):
    west, north = ORIGIN * (0, 40)
    east, south = ORIGIN * (80, 120)
    scene = geochg.describe(
        make_raster("image.tif", drawn()), options(aoi=f"EPSG:32633;{west},{south},{east},{north}")
    )
    assert [row.labels for _, row in scene.features.iterrows()] == [["water"]]


def test_one_image_of_16_bits_and_an_array_are_read_too(make_raster):
    from odc.geo.geobox import GeoBox

    wide = drawn().astype(np.uint16)
    assert set(told(geochg.describe(make_raster("wide.tif", wide), options()))) == {
        *("", "building", "water", "solar panels")
    }
    geobox = GeoBox((120, 160), ORIGIN, "EPSG:32633")
    scene = geochg.describe(drawn(), options(), geobox=geobox)
    assert len(scene.features) == 4


@pytest.mark.parametrize("suffix", ["geojson", "gpkg", "fgb", "parquet"])
def test_layers_and_tiles_are_written_in_each_format(make_raster, tmp_path, suffix):
    import geopandas as gpd

    outputs = Outputs(tmp_path / f"scene.{suffix}", tmp_path / f"tiles.{suffix}")
    geochg.describe(make_raster("image.tif", drawn()), options(), outputs=outputs)
    read = gpd.read_parquet if suffix == "parquet" else gpd.read_file
    features, tiles = read(outputs.features), read(outputs.tiles)
    assert len(features) == 4
    assert len(tiles) == 12
    assert set(tiles.status) == {"answered"}
    counts = features["count"].dropna().map(lambda v: v if isinstance(v, dict) else json.loads(v))
    assert {"building": 2} in list(counts)
    assert not list(tmp_path.glob("*.journal"))


def test_geojson_holds_probabilities_as_an_object(make_raster, tmp_path):
    outputs = Outputs(tmp_path / "scene.geojson")
    geochg.describe(make_raster("image.tif", drawn()), options(), outputs=outputs)
    collection = json.loads(outputs.features.read_text())
    properties = collection["features"][0]["properties"]
    assert properties["labels"] == ["building"]
    assert properties["probabilities"]["building"] == 0.9
    facts = collection["geochg"]
    assert list(facts["sources"]) == ["image"]
    assert facts["labels"] == ["building", "water", "solar panels"]
    assert facts["tiles"]["labelled"] == 6
    assert "{things}" in facts["questions"]["presence"]


def test_a_stopped_run_goes_on_and_gives_the_same(make_raster, tmp_path):
    path = make_raster("image.tif", drawn())
    whole = Outputs(tmp_path / "whole.geojson")
    geochg.describe(path, options(), outputs=whole)
    cancel, outputs = Flag(), Outputs(tmp_path / "scene.geojson")

    def stop(event):
        if isinstance(event, Progress) and event.stage == "tiles" and event.done >= 2:
            cancel.set()

    with pytest.raises(CancelledRunError):
        geochg.describe(path, options(), outputs=outputs, listener=stop, cancel=cancel)
    assert not outputs.features.exists()
    with pytest.raises(InputError, match="unfinished run"):
        geochg.describe(path, options(), outputs=outputs)
    with pytest.raises(OptionError, match="classes"):
        geochg.describe(path, options(resume=True, classes=["water"]), outputs=outputs)
    geochg.describe(path, options(resume=True), outputs=outputs)
    assert outputs.features.read_bytes() == whole.features.read_bytes()


def test_tiles_that_fail_are_named_and_may_be_left_out(make_raster, tmp_path):
    path = make_raster("image.tif", drawn())
    fails = {"model_options": {"fail_tiles": [0]}}
    with pytest.raises(TilesFailedError, match="r0c0"):
        geochg.describe(path, options(**fails))
    outputs = Outputs(None, tmp_path / "tiles.gpkg")
    scene = geochg.describe(path, options(**fails, allow_failed_tiles=True), outputs=outputs)
    assert "building" not in told(scene)
    assert scene.metadata["failed_tiles"] == {"r0c0": "told to fail"}


def test_an_answer_without_sense_is_no_absence(make_raster, tmp_path):
    import geopandas as gpd

    outputs = Outputs(None, tmp_path / "tiles.gpkg")
    senseless = options(model_options={"senseless": ["water"]})
    scene = geochg.describe(make_raster("image.tif", drawn()), senseless, outputs=outputs)
    assert scene.metadata["tiles"]["unparsed"] == 12
    assert "water" not in json.loads(told(scene)["building"].probabilities)
    assert json.loads(gpd.read_file(outputs.tiles).unparsed[0]) == ["water"]
    assert told(scene)[""].caption == "Shows none of the other labels. Not known: water."
    nothing = options(model_options={"senseless": ["water"]}, classes=["water"])
    scene = geochg.describe(make_raster("image.tif", drawn()), nothing)
    assert set(scene.features.caption) == {"Not known: water."}


def test_a_tile_without_a_known_answer_is_not_joined_with_those_that_have_one():
    layer = SceneLayer(GeoBox((10, 20), ORIGIN, "EPSG:32633"))
    results = []
    for index, present in enumerate([False, None]):
        core = PixelWindow(0, 10, 10 * index, 10 * index + 10)
        answers = SceneAnswers({"building": Label(True), "water": Label(present)})
        ground = (box(core.col_start, 0, core.col_stop, 10),)
        results.append(SceneResult(TileWindow(index, 0, index, core, core), answers, ground))
    scenes.merge_scenes(results, GeoBox((10, 20), ORIGIN, "EPSG:32633"), layer)
    known, unknown = layer.frame().caption
    assert known == "Shows: building."
    assert unknown == "Shows: building. Not known: water."


def test_a_probability_that_is_none_fails_the_tile(make_raster):
    broken = options(model_options={"probability": 2.0})
    with pytest.raises(TilesFailedError, match="between 0 and 1"):
        geochg.describe(make_raster("image.tif", drawn()), broken)


@pytest.mark.parametrize("model", ["cva", "builtin", "marker"])
def test_models_of_pairs_are_refused_with_those_that_can(make_raster, model):
    with pytest.raises(OptionError, match="cannot tell of one") as refusal:
        geochg.describe(make_raster("image.tif", texture(60, 60, 3)), options(model=model))
    assert all(name in refusal.value.hint for name in ("clip", "openai", "vlm", "scene_marker"))


def test_options_about_two_dates_are_refused(make_raster):
    path = make_raster("image.tif", drawn())
    for changes in ({"vote": True, "overlap_px": 20}, {"clue": True}, {"match": True}):
        with pytest.raises(OptionError, match="two dates"):
            geochg.describe(path, options(**changes))
    with pytest.raises(OptionError, match="heatmap"):
        geochg.describe(path, options(), outputs=Outputs(heatmap="a.tif"))


def test_an_image_without_data_is_refused(make_raster):
    path = make_raster("image.tif", drawn(), mask=np.zeros((120, 160), bool))
    with pytest.raises(InputError, match="no valid pixel"):
        geochg.describe(path, options())


def test_a_damaged_journal_is_refused(make_raster, tmp_path):
    import sqlite3

    path, outputs = make_raster("image.tif", drawn()), Outputs(tmp_path / "scene.geojson")
    with pytest.raises(TilesFailedError):
        geochg.describe(path, options(model_options={"fail_tiles": [5]}), outputs=outputs)
    database = sqlite3.connect(tmp_path / "scene.geojson.journal")
    (record,) = database.execute("SELECT record FROM tile WHERE number = 0").fetchone()
    broken = record.replace('"building": [true', '"castle": [true')
    assert broken != record
    database.execute("UPDATE tile SET record = ? WHERE number = 0", (broken,))
    database.commit()
    database.close()
    again = options(model_options={"fail_tiles": [5]}, resume=True)
    with pytest.raises(InputError, match="a label is not one"):
        geochg.describe(path, again, outputs=outputs)


def test_questions_are_answered_about_one_image(make_raster):
    path = make_raster("image.tif", drawn())
    dialogue = open_image_dialogue(path, options(tile_size_px=160))
    assert "".join(dialogue.ask("How much is built?")) == "50 pixels of buildings"
    assert len(dialogue.tile.dates) == 1
    assert dialogue.tile.valid.shape == (120, 160)
    with pytest.raises(OptionError, match="cannot tell of one"):
        open_image_dialogue(path, options(model="cva"))
