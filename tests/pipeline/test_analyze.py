import json
import threading
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from displacements import DISPLACEMENTS, displaced, example
from pairs import PLANTED, planted_mask, planted_pair
from rasterio.errors import RasterioIOError
from rasters import ORIGIN, texture

import geochg
from geochg.errors import CancelledRunError, InputError, OptionError, RunError, TilesFailedError
from geochg.events import Notice, Progress
from geochg.options import Geometry
from geochg.pipeline.outputs import Outputs
from geochg.tiling.date_reader import DateReader

pytestmark = pytest.mark.usefixtures("marker_plugin")


def options(**changes):
    settings = {"model": "marker", "tile_size_px": 64, "overlap_px": 16, "align": "off"}
    return geochg.AnalyzeOptions.from_dict(settings | changes)


@pytest.fixture
def pair(make_raster):
    before, after = planted_pair()
    return make_raster("before.tif", before), make_raster("after.tif", after)


def test_planted_changes_come_back_whole_with_class_and_direction(pair):
    features = geochg.analyze(*pair, options()).features
    found = {(row["class"], row["change"], round(row["area_m2"])) for _, row in features.iterrows()}
    assert {kind[:2] for kind in found} == {("building", "appeared"), ("building", "disappeared")}
    assert len(features) == len(PLANTED)
    for rows, cols, appeared in PLANTED.values():
        area_m2 = (rows.stop - rows.start) * (cols.stop - cols.start) * 100 / 0.9996**2
        change = "appeared" if appeared else "disappeared"
        (match,) = [a for _, c, a in found if c == change and a == pytest.approx(area_m2, rel=0.1)]
        assert match


def test_features_lie_where_the_change_is(pair):
    features = geochg.analyze(*pair, options(geometry="outline")).features
    from rasterio.features import rasterize

    burnt = rasterize(features.geometry, out_shape=(200, 300), transform=ORIGIN).astype(bool)
    mask = planted_mask()
    assert (burnt & mask).sum() / (burnt | mask).sum() > 0.97


def test_cells_instead_of_outlines(pair):
    features = geochg.analyze(*pair, options(geometry=Geometry.CELLS)).features
    assert len(features)
    assert features.area.sum() > planted_mask().sum() * 100
    assert features.cells.map(len).min() >= 1


def test_a_model_that_answers_in_grid_cells(pair):
    features = geochg.analyze(*pair, options(model_options={"location": "grid"})).features
    from rasterio.features import rasterize

    burnt = rasterize(features.geometry, out_shape=(200, 300), transform=ORIGIN).astype(bool)
    mask = planted_mask()
    mask[PLANTED["small"][:2]] = False  # 16 of 441 pixels of a cell: below 5 %
    assert burnt[mask].mean() > 0.9
    assert burnt.mean() < 0.5


def test_outputs_and_their_provenance(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson", tmp_path / "t.gpkg", tmp_path / "h.tif")
    result = geochg.analyze(*pair, options(), outputs=outputs)
    collection = json.loads(outputs.features.read_text())
    assert len(collection["features"]) == len(result.features) == 3
    facts = collection["geochg"]
    assert facts == json.loads(json.dumps(result.metadata))
    assert facts["version"] == geochg.__version__
    assert facts["model"]["id"] == "marker"
    assert facts["sources"]["before"]["path"] == str(pair[0])
    assert facts["sources"]["before"]["size_bytes"] == pair[0].stat().st_size
    assert facts["options"]["tile_size_px"] == 64
    assert "resume" not in facts["options"]
    assert facts["tiles"]["total"] == facts["tiles"]["read"] == 24
    assert 0 < facts["tiles"]["changed"] < 24
    tiles = pyogrio.read_dataframe(outputs.tiles)
    assert len(tiles) == 24
    assert int(tiles.changed.sum()) == facts["tiles"]["changed"]
    with rasterio.open(outputs.heatmap) as heat:
        assert heat.shape == (200, 300)
        assert ((heat.read(1) > 0) == planted_mask()).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "after.tif",
        "before.tif",
        "c.geojson",
        "h.tif",
        "t.gpkg",
    ]


def test_a_run_resumes_where_its_output_lies_in_the_current_folder(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outputs = Outputs(Path("c.geojson"))
    interrupted(pair, outputs)
    assert len(geochg.analyze(*pair, options(resume=True), outputs=outputs).features) == 3


@pytest.mark.parametrize("model", ["irmad", "cva"])
def test_a_resumed_run_keeps_the_survey_of_the_first(make_raster, tmp_path, monkeypatch, model):
    """What could not be read at first and can be now must not shift the statistics."""
    noise = np.random.default_rng(3).integers(0, 9, (2, 2, 200, 300), dtype=np.uint8)
    pair = [make_raster(f"{i}.tif", image + noise[i]) for i, image in enumerate(planted_pair())]
    outputs, again = Outputs(tmp_path / "c.geojson"), Outputs(tmp_path / "d.geojson")
    real = DateReader.read_finished

    def failing(self, window):
        if window.row_start < 40:
            raise RasterioIOError("out of reach")
        return real(self, window)

    monkeypatch.setattr(DateReader, "read_finished", failing)
    for target in (outputs, again):
        with pytest.raises(TilesFailedError):
            geochg.analyze(*pair, options(model=model), outputs=target)
    allowed = options(model=model, resume=True, allow_failed_tiles=True)
    kept = geochg.analyze(*pair, allowed, outputs=again).features
    monkeypatch.setattr(DateReader, "read_finished", real)
    whole = geochg.analyze(*pair, options(model=model, resume=True), outputs=outputs).features
    # Features away from the tiles that failed are the same to the last digit.
    away = kept[kept.tiles.map(lambda names: set(names) <= {"r2c1", "r2c2", "r3c0", "r3c1"})]
    assert len(away)
    for one in away.itertuples():
        same = whole[whole.geometry.geom_equals(one.geometry)]
        assert same.confidence.tolist() == [one.confidence]


@pytest.mark.parametrize("model", ["marker", "irmad", "cva"])
def test_a_pair_that_cannot_be_read_at_all_names_the_file(make_raster, tmp_path, model):
    data = np.random.default_rng(0).integers(0, 255, (2, 200, 300), dtype=np.uint8)
    cut = tmp_path / "cut.tif"
    rasterio.shutil.copy(make_raster("whole.tif", data), cut, driver="COG", blocksize=512)
    cut.write_bytes(cut.read_bytes()[:3000])
    outputs = Outputs(tmp_path / "c.geojson")
    with pytest.raises(RunError, match=r"cut\.tif"):
        geochg.analyze(make_raster("a.tif", data), cut, options(model=model), outputs=outputs)
    assert not outputs.features.exists()


@pytest.mark.parametrize("model", ["irmad", "cva"])
def test_small_areas_far_apart_are_surveyed(make_raster, tmp_path, model):
    side = 700
    ground = texture(side, side, 2)
    pair = [make_raster(f"{i}.tif", np.roll(ground, i, 1)) for i in range(2)]
    area = tmp_path / "area.geojson"
    corners = [(500_050, 4_999_700), (506_700, 4_993_100)]
    boxes = [shapely.box(x, y, x + 200, y + 200) for x, y in corners]
    gpd.GeoDataFrame(geometry=boxes, crs=32633).to_file(area)
    settings = options(model=model, aoi=str(area), tile_size_px=32, overlap_px=0)
    tiles = geochg.analyze(*pair, settings).metadata["tiles"]
    assert tiles["read"] >= 2
    assert tiles["skipped"] > 300


def test_no_thread_outlives_a_run_that_failed(pair, monkeypatch):
    from geochg.models.detectors.cva import CvaModel

    def failing(self, tiles, questions):
        raise ZeroDivisionError

    monkeypatch.setattr(CvaModel, "answer", failing)
    with pytest.raises(RunError) as kept:
        geochg.analyze(*pair, options(model="cva"))
    assert kept.value is not None
    assert not [t for t in threading.enumerate() if t.name.startswith("geochg-read")]


def test_classes_the_model_does_not_know_are_refused(pair):
    with pytest.raises(OptionError, match="bulding") as caught:
        geochg.analyze(*pair, options(classes=["bulding"]))
    assert "building" in caught.value.hint


@pytest.mark.parametrize("model", ["irmad", "cva"])
def test_a_class_the_model_can_never_name_is_refused(pair, model):
    with pytest.raises(OptionError, match="knows no class 'building'") as caught:
        geochg.analyze(*pair, options(model=model, classes=["building"]))
    assert "water" in caught.value.hint


def test_inputs_are_never_overwritten(pair, tmp_path):
    area = tmp_path / "area.geojson"
    box = shapely.box(500_000, 4_998_500, 501_000, 4_999_500)
    gpd.GeoDataFrame(geometry=[box], crs=32633).to_file(area)
    content = area.read_bytes()
    with pytest.raises(InputError, match="one of the inputs"):
        geochg.analyze(*pair, options(aoi=str(area)), outputs=Outputs(area))
    assert area.read_bytes() == content
    package = tmp_path / "in.gpkg"
    with rasterio.open(
        package, "w", driver="GPKG", count=3, height=64, width=64, dtype="uint8",
        crs="EPSG:32633", transform=ORIGIN, RASTER_TABLE="one",
    ) as raster:  # fmt: skip
        raster.write(texture(64, 64, 3))
    content = package.read_bytes()
    name = f"GPKG:{package}:one"
    with pytest.raises(InputError, match="one of the inputs"):
        geochg.analyze(name, name, options(bands=["1"]), outputs=Outputs(package))
    assert package.read_bytes() == content


def test_what_a_model_did_not_foresee_names_the_model(pair, monkeypatch):
    from geochg.models.detectors.cva import CvaModel

    def failing(self, tiles, questions):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(CvaModel, "answer", failing)
    with pytest.raises(RunError, match="the model cva failed: ZeroDivisionError: by nothing"):
        geochg.analyze(*pair, options(model="cva"))


def test_a_match_and_a_shift_are_reported(make_raster):
    ground = texture(600, 600)
    before = make_raster("a.tif", ground[:, 10:522, 10:522])
    after = make_raster("b.tif", ground[:, 7:519, 14:526] // 2 + 40)
    told, settings = [], geochg.AnalyzeOptions(model="cva", match=True)
    facts = geochg.analyze(before, after, settings, listener=told.append).metadata
    assert facts["alignment"]["corrected"]
    assert facts["matching"]["applied"]
    assert facts["matching"]["gain"][0] == pytest.approx(2, rel=0.1)
    assert any(isinstance(event, Progress) and event.stage == "shift" for event in told)
    assert any(isinstance(event, Notice) and "px apart" in event.message for event in told)


def test_a_field_of_shifts_is_reported_and_resumed(make_raster, tmp_path):
    values, placing = example("dubai_2015")
    before = make_raster("a.tif", values, **placing)
    after = make_raster("b.tif", displaced(values, DISPLACEMENTS["ramp"]), **placing)
    told, settings = [], options(model="cva", align="auto", tile_size_px=256, overlap_px=32)
    outputs = Outputs(tmp_path / "c.geojson")
    facts = geochg.analyze(before, after, settings, outputs=outputs, listener=told.append).metadata
    alignment = facts["alignment"]
    assert (alignment["method"], alignment["corrected"]) == ("field", True)
    assert alignment["field"]["greatest_px"] == pytest.approx(6, abs=0.5)
    pixel_m = facts["grid"]["transform"][0] * 111_320  # degrees
    assert alignment["field"]["spread_m"] == pytest.approx(
        alignment["field"]["spread_px"] * pixel_m, rel=0.1
    )
    notices = [event.message for event in told if isinstance(event, Notice)]
    assert any("px apart from place to place (corrected)" in text for text in notices)
    unbroken = (tmp_path / "c.geojson").read_bytes()
    flag = Flag()

    def stop(event):
        if isinstance(event, Progress) and event.stage == "tiles" and event.done > 2:
            flag.set()

    (tmp_path / "c.geojson").unlink()
    with pytest.raises(CancelledRunError):
        geochg.analyze(
            before, after, replace(settings, batch_size=1),
            outputs=outputs, listener=stop, cancel=flag,
        )  # fmt: skip
    again = replace(settings, resume=True)
    events = []
    geochg.analyze(before, after, again, outputs=outputs, listener=events.append)
    assert not any(isinstance(event, Progress) and event.stage == "shift" for event in events)
    assert (tmp_path / "c.geojson").read_bytes() == unbroken


def test_too_small_a_pair_for_a_field_is_told(make_raster):
    path, told = make_raster("a.tif", texture(180, 180)), []
    other = make_raster("b.tif", texture(180, 180) // 2)
    settings = options(align="field")
    facts = geochg.analyze(path, other, settings, listener=told.append).metadata
    assert facts["alignment"]["method"] == "shift"
    assert any(isinstance(e, Notice) and "for a field of shifts" in e.message for e in told)


def test_captions_are_about_the_feature(make_raster):
    before, after = (image.astype(np.int16) for image in planted_pair())
    rng = np.random.default_rng(5)
    # Red, green, infrared: what appeared in the plan is planted, what is gone is cleared.
    names = ["red", "green", "nir"]
    pair = []
    for number, image in enumerate((before, after)):
        infrared = image[1] + (image[1] > 140) * 60
        stack = np.stack([image[0], image[1], infrared]) + rng.integers(0, 3, (3, 200, 300))
        pair.append(make_raster(f"{number}.tif", stack.clip(0, 255).astype(np.uint8), names=names))
    features = geochg.analyze(*pair, options(min_area_m2=5000, model="cva")).features
    assert len(features)
    for row in features.itertuples():
        noun = {"other": "surface", "bare": "ground"}.get(row[2], row[2])
        assert noun in row.caption.lower()
        assert "tile" not in row.caption
        assert "of the area" in row.caption or "across the area" in row.caption


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".fgb", ".parquet"])
def test_equal_runs_give_equal_bytes_however_they_run(pair, tmp_path, suffix):
    contents = set()
    for run, how in enumerate(({"workers": 1, "batch_size": 1}, {"workers": 3, "batch_size": 7})):
        folder = tmp_path / str(run)
        folder.mkdir()
        outputs = Outputs(folder / f"c{suffix}", folder / f"t{suffix}", folder / "h.tif")
        geochg.analyze(*pair, options(**how), outputs=outputs)
        contents.add(tuple(path.read_bytes() for path in outputs.paths()))
    assert len(contents) == 1


def test_progress_and_notes_are_told(pair):
    events = []
    geochg.analyze(*pair, options(), listener=events.append)
    tiles = [event for event in events if isinstance(event, Progress) and event.stage == "tiles"]
    assert (tiles[0].done, tiles[-1].done, tiles[-1].total) == (0, 24, 24)
    assert any(isinstance(event, Notice) and "not named" in event.message for event in events)


def test_classes_confidence_and_area_filter_features(pair):
    assert geochg.analyze(*pair, options(classes=["road"])).features.empty
    assert geochg.analyze(*pair, options(min_confidence=0.95)).features.empty
    assert len(geochg.analyze(*pair, options(min_area_m2=2000)).features) == 2


@pytest.mark.parametrize("geometry", ["outline", "cells"])
@pytest.mark.parametrize("kind", ["in metres", "in degrees", "turned"])
def test_features_above_the_greatest_area_are_dropped(make_raster, pair, kind, geometry):
    if kind == "in degrees":
        place = Affine(1e-4, 0, 15.0, 0, -1e-4, 47.0)
        images = zip(("a.tif", "b.tif"), planted_pair(), strict=True)
        pair = [make_raster(*image, crs="EPSG:4326", transform=place) for image in images]
    elif kind == "turned":
        place = ORIGIN * Affine.rotation(30)
        images = zip(("a.tif", "b.tif"), planted_pair(), strict=True)
        pair = [make_raster(*image, transform=place) for image in images]
    every = geochg.analyze(*pair, options(geometry=geometry)).features["area_m2"]
    limit_m2 = float(every.median()) + 1
    result = geochg.analyze(*pair, options(geometry=geometry, max_area_m2=limit_m2))
    assert sorted(result.features["area_m2"]) == sorted(every[every <= limit_m2])
    assert 0 < len(result.features) < len(every)
    assert result.metadata["options"]["max_area_m2"] == limit_m2


def test_failed_tiles_fail_the_run_keep_the_journal_and_can_be_retried(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    broken = options(model_options={"fail_tiles": [3, 17]})
    with pytest.raises(TilesFailedError, match=r"2 of 24 tiles failed: r0c3, r2c5") as caught:
        geochg.analyze(*pair, broken, outputs=outputs)
    assert "--resume" in caught.value.hint
    assert not outputs.features.exists()
    allowed = options(model_options={"fail_tiles": [3, 17]}, resume=True, allow_failed_tiles=True)
    result = geochg.analyze(*pair, allowed, outputs=outputs)
    assert result.metadata["tiles"]["failed"] == 2
    assert set(result.metadata["failed_tiles"]) == {"r0c3", "r2c5"}
    assert outputs.features.exists()


def test_answers_that_make_no_sense_are_counted_not_taken_for_no_change(pair):
    result = geochg.analyze(*pair, options(model_options={"nonsense": True}))
    assert result.metadata["tiles"]["unparsed"] == 24
    assert result.metadata["tiles"]["changed"] == 0


def test_cancelled_runs_stop_keep_their_journal_and_resume(pair, tmp_path):
    whole = Outputs(tmp_path / "whole.geojson")
    geochg.analyze(*pair, options(batch_size=2), outputs=whole)
    outputs, cancel, seen = Outputs(tmp_path / "c.geojson"), Flag(), []

    def listen(event):
        seen.append(event)
        if isinstance(event, Progress) and event.stage == "tiles" and event.done >= 6:
            cancel.set()

    with pytest.raises(CancelledRunError):
        geochg.analyze(
            *pair, options(batch_size=2), outputs=outputs, listener=listen, cancel=cancel
        )
    assert not outputs.features.exists()
    resumed = []
    geochg.analyze(
        *pair, options(resume=True, batch_size=2), outputs=outputs, listener=resumed.append
    )
    first = next(event for event in resumed if isinstance(event, Progress))
    assert first.done >= 6
    assert outputs.features.read_bytes() == whole.features.read_bytes()
    assert not list(tmp_path.glob("*.journal*"))


def interrupted(pair, outputs, **changes):
    """A run that was cancelled after its first tiles."""
    cancel = Flag()

    def listen(event):
        if isinstance(event, Progress) and event.stage == "tiles" and event.done:
            cancel.set()

    settings = options(batch_size=4, **changes)
    with pytest.raises(CancelledRunError):
        geochg.analyze(*pair, settings, outputs=outputs, listener=listen, cancel=cancel)


def test_an_unfinished_run_is_not_overwritten(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    interrupted(pair, outputs)
    with pytest.raises(InputError, match="unfinished run") as caught:
        geochg.analyze(*pair, options(), outputs=outputs)
    assert "--resume" in caught.value.hint


def test_resuming_with_other_options_or_inputs_is_refused_by_name(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    interrupted(pair, outputs)
    with pytest.raises(OptionError, match="differs in option classes, option tile_size_px"):
        geochg.analyze(
            *pair, options(resume=True, tile_size_px=32, classes=["road"]), outputs=outputs
        )
    with rasterio.open(pair[1], "r+") as raster:
        raster.write(texture(200, 300, 2, 7))
    with pytest.raises(OptionError, match="differs in the after image"):
        geochg.analyze(*pair, options(resume=True), outputs=outputs)


def test_resume_without_a_journal_just_runs(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    assert len(geochg.analyze(*pair, options(resume=True), outputs=outputs).features) == 3


def test_tiles_without_data_are_skipped_and_counted(make_raster):
    before, after = planted_pair()
    mask = np.ones(before.shape[1:], bool)
    mask[:, 150:] = False
    pair = make_raster("a.tif", before, mask=mask), make_raster("b.tif", after)
    tiles = geochg.analyze(*pair, options()).metadata["tiles"]
    assert tiles["skipped"] > 0
    assert tiles["read"] + tiles["skipped"] == tiles["total"]


@pytest.mark.parametrize("model", ["marker", "irmad", "cva"])
def test_a_pair_without_common_valid_pixels_is_refused(make_raster, tmp_path, model):
    left = np.zeros((64, 64), bool)
    left[:, :32] = True
    before = make_raster("a.tif", texture(64, 64), mask=left)
    after = make_raster("b.tif", texture(64, 64), mask=~left)
    outputs = Outputs(tmp_path / "c.geojson")
    with pytest.raises(InputError, match="no valid pixel in common"):
        geochg.analyze(before, after, options(model=model), outputs=outputs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_a_raster_smaller_than_a_tile_works(make_raster):
    before, after = (image[:, 30:70, 20:60] for image in planted_pair())
    features = geochg.analyze(
        make_raster("a.tif", before), make_raster("b.tif", after), options(tile_size_px=256)
    ).features
    assert len(features) == 1


def test_the_layer_keeps_the_grids_crs_but_geojson_is_in_degrees(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    result = geochg.analyze(*pair, options(), outputs=outputs)
    assert result.features.crs == "EPSG:32633"
    assert pyogrio.read_info(outputs.features)["crs"] == "EPSG:4326"
    west, south, east, north = pyogrio.read_dataframe(outputs.features).total_bounds
    assert 14.99 < west < east < 15.05
    assert 44.9 < south < north < 45.2


def test_a_pair_across_the_antimeridian_gives_split_polygons(make_raster, tmp_path):
    before, after = planted_pair()
    place = {"crs": "EPSG:4326", "transform": Affine(0.001, 0, 179.85, 0, -0.001, 0.1)}
    pair = make_raster("a.tif", before, **place), make_raster("b.tif", after, **place)
    outputs = Outputs(tmp_path / "c.geojson")
    geochg.analyze(*pair, options(), outputs=outputs)
    layer = pyogrio.read_dataframe(outputs.features)
    west, _, east, _ = layer.total_bounds
    assert -180 <= west < east <= 180
    assert "MultiPolygon" in set(layer.geom_type)
    long = layer.loc[layer.area_m2.idxmax()]
    assert long.area_m2 == pytest.approx(20 * 220 * 111.3**2, rel=0.02)


def test_identical_images_have_no_change(make_raster):
    image = planted_pair()[0]
    path = make_raster("a.tif", image)
    for model in ("marker", "irmad", "cva"):
        result = geochg.analyze(path, path, options(model=model))
        assert result.features.empty
        assert result.metadata["tiles"]["changed"] == 0


@pytest.mark.parametrize("model", ["irmad", "cva"])
def test_the_models_without_weights_find_what_was_planted(make_raster, model):
    before, after = planted_pair()
    rng = np.random.default_rng(1)
    noisy = [image + rng.integers(0, 4, image.shape, dtype=np.uint8) for image in (before, after)]
    pair = [make_raster(f"{i}.tif", image) for i, image in enumerate(noisy)]
    features = geochg.analyze(*pair, options(model=model, min_area_m2=5000)).features
    from rasterio.features import rasterize

    burnt = rasterize(features.geometry, out_shape=(200, 300), transform=ORIGIN).astype(bool)
    mask = planted_mask()
    assert (burnt & mask).sum() / mask.sum() > 0.85
    assert (burnt & mask).sum() / burnt.sum() > 0.85
