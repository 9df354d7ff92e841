import json
from threading import Event as Flag

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from pairs import PLANTED, planted_mask, planted_pair
from rasters import ORIGIN, texture

import geochg
from geochg.errors import CancelledRunError, InputError, OptionError, TilesFailedError
from geochg.events import Notice, Progress
from geochg.options import Geometry
from geochg.pipeline import Outputs

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
    cancel = Flag()
    cancel.set()
    with pytest.raises(CancelledRunError):
        geochg.analyze(*pair, options(**changes), outputs=outputs, cancel=cancel)


def test_an_unfinished_run_is_not_overwritten(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    interrupted(pair, outputs)
    with pytest.raises(InputError, match="unfinished run") as caught:
        geochg.analyze(*pair, options(), outputs=outputs)
    assert "--resume" in caught.value.hint


def test_resuming_with_other_options_or_inputs_is_refused_by_name(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    interrupted(pair, outputs)
    with pytest.raises(OptionError, match="differs in classes, tile_size_px"):
        geochg.analyze(
            *pair, options(resume=True, tile_size_px=32, classes=["road"]), outputs=outputs
        )
    with rasterio.open(pair[1], "r+") as raster:
        raster.write(texture(200, 300, 2, 7))
    with pytest.raises(OptionError, match="differs in modified_ns"):
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


def test_a_pair_without_common_valid_pixels_is_refused(make_raster, tmp_path):
    left = np.zeros((64, 64), bool)
    left[:, :32] = True
    before = make_raster("a.tif", texture(64, 64), mask=left)
    after = make_raster("b.tif", texture(64, 64), mask=~left)
    outputs = Outputs(tmp_path / "c.geojson")
    with pytest.raises(InputError, match="no valid pixel in common"):
        geochg.analyze(before, after, options(), outputs=outputs)
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
