"""Features that are made batch by batch are those that are made of all cells at once."""

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from cover_factory import CoverScene, blank_scene, drawn_scenes, put, scene_results
from tile_factory import layout, make_grid, make_tile, results_of

from geochg.errors import RunError
from geochg.features import collecting
from geochg.features.cells import CellSettings, tile_result
from geochg.features.changes import FeatureSettings, changes_of
from geochg.features.collecting import closed_batches
from geochg.features.layer import FeatureLayer, FeatureRow
from geochg.geometry.regularization import REACH_PX
from geochg.options import Geometry
from geochg.records import Caption, Change, Channel, Counts, GridCell, Locations

BUILT = Channel("building", Change.APPEARED)


def crowded_scene(seed):
    """Many changes, some of them large: rows of scenes side by side."""
    scenes = list(drawn_scenes(9, 64, seed))
    return CoverScene(
        *(
            np.block([[scenes[3 * row + col][layer] for col in range(3)] for row in range(3)])
            for layer in range(3)
        )
    )


def built_scene(seed):
    """Small buildings that lie so close that straight outlines may overlap."""
    random = np.random.default_rng(seed)
    scene = blank_scene(192, 192)
    rows, cols = np.mgrid[:192, :192]
    for _ in range(60):
        row, col, angle = random.uniform(0, 192), random.uniform(0, 192), random.uniform(0, 3)
        along = np.cos(angle) * (rows - row) + np.sin(angle) * (cols - col)
        across = np.cos(angle) * (cols - col) - np.sin(angle) * (rows - row)
        where = (abs(along) < random.uniform(2, 9)) & (abs(across) < random.uniform(2, 6))
        put(scene, where, BUILT, "low plants", "building")
    return scene


def changes(results, settings, batch_cells, monkeypatch):
    monkeypatch.setattr(collecting, "BATCH_CELLS", batch_cells)
    layer, in_tiles, _ = changes_of(iter(results), make_grid((192, 192)), settings)
    return pd.DataFrame(layer.frame()), in_tiles


def assert_same(found, expected):
    pd.testing.assert_frame_equal(found[0], expected[0])
    as_sets = [
        None if in_tiles is None else {tile: set(kinds) for tile, kinds in in_tiles.items()}
        for _, in_tiles in (found, expected)
    ]
    assert as_sets[0] == as_sets[1]


@pytest.mark.parametrize("geometry", list(Geometry))
@pytest.mark.parametrize("batch_cells", [1, 30])
@pytest.mark.parametrize("make_scene", [crowded_scene, built_scene])
def test_batches_of_outlines_give_the_features_of_all(
    make_scene, batch_cells, geometry, monkeypatch
):
    settings = FeatureSettings(geometry, least_px=12, pixel_area_m2=100.0, regularize=True)
    for seed in range(3):
        results = scene_results(make_scene(seed), 32, settings=CellSettings(geometry, least_px=12))
        expected = changes(results, settings, 10**6, monkeypatch)
        assert len(list(closed_batches(results, REACH_PX))) == 1
        found = changes(results, settings, batch_cells, monkeypatch)
        # Boxes mostly touch each other.
        batches = len(list(closed_batches(results, REACH_PX)))
        assert batches > 1 or geometry is Geometry.CELLS
        assert_same(found, expected)


@pytest.mark.parametrize("batch_cells", [1, 10])
def test_batches_of_grid_answers_give_the_features_of_all(batch_cells, monkeypatch):
    random = np.random.default_rng(5)
    results = []
    for window in layout(16, 16, 12):
        located = {
            name: {GridCell(*cell): 0.75 for cell in random.integers(0, 3, (2, 2)).tolist()}
            for name in ("building", "road")
            if random.random() < 0.4
        }
        answers = [Locations(located), Counts({"building": 4}), Caption("Said.", bool(located))]
        results.append(tile_result(make_tile(window), answers, CellSettings()))
    for geometry in Geometry:
        settings = FeatureSettings(geometry)
        expected = changes(results, settings, 10**6, monkeypatch)
        assert_same(changes(results, settings, batch_cells, monkeypatch), expected)
        captions = expected[0]["caption"]
        assert 0 < (captions == "Said.").sum() < len(captions)


def test_a_change_over_all_bands_is_one_feature(monkeypatch):
    classes = np.zeros((192, 192), int)
    classes[:, 90:100] = 1
    classes[::6, :80:3] = 2
    frame, _ = changes(results_of(classes, 24), FeatureSettings(), 10, monkeypatch)
    (road,) = frame[frame["class"] == "building"].itertuples()
    assert road.id == 27 + 1
    assert len(road.tiles) == 16
    assert frame["id"].tolist() == list(range(1, len(frame) + 1))


def test_cells_are_let_go_as_tiles_are_read(monkeypatch):
    classes = np.zeros((240, 240), int)
    classes[::4, ::4] = 1
    read = []

    def results():
        for result in results_of(classes, 24):
            read.append(result.window.index)
            yield result

    monkeypatch.setattr(collecting, "BATCH_CELLS", 100)
    sizes = [(len(batch.cells), len(read)) for batch in closed_batches(results())]
    assert sum(size for size, _ in sizes) == 3600
    assert max(size for size, _ in sizes) < 500
    assert [tiles for _, tiles in sizes] == sorted(tiles for _, tiles in sizes)
    assert sizes[0][1] < 10


@pytest.mark.parametrize(("gap_px", "together"), [(3, True), (8, True), (9, False)])
def test_buildings_whose_outlines_may_overlap_come_together(gap_px, together, monkeypatch):
    classes = np.zeros((60, 20), int)
    classes[2 : 19 - gap_px, :9] = 1
    classes[19, :9] = 1
    monkeypatch.setattr(collecting, "BATCH_CELLS", 1)
    sizes = [len(batch.cells) for batch in closed_batches(results_of(classes, 20), 4.0)]
    assert sizes == ([2] if together else [1, 1])


@pytest.mark.parametrize("shift", range(0, 30, 7))
def test_a_straight_building_does_not_depend_on_the_tiles_it_lies_in(shift):
    scene = blank_scene(96, 96)
    rows, cols = np.mgrid[:96, :96]
    turned = (rows + 2 * cols, 2 * rows - cols)
    where = (abs(turned[0] - 140) < 60) & (abs(turned[1] - 50) < 44)
    where &= ~((turned[0] > 150) & (turned[1] > 60))
    put(scene, where, BUILT, "low plants", "building")
    settings = FeatureSettings(classes=("building",))
    whole, cut = (
        changes_of(scene_results(scene, core_px), make_grid((96, 96)), settings).layer.frame()
        for core_px in (96, 20 + shift)
    )
    assert whole.geometry.geom_equals_exact(cut.geometry, 1e-6).all()
    assert len(whole) == 1


def test_a_layer_goes_to_other_threads_and_processes():
    results = results_of(np.arange(576).reshape(24, 24) % 3, 12)
    layer = changes_of(results, make_grid((24, 24)), FeatureSettings()).layer
    frame, frames = layer.frame(), []
    thread = threading.Thread(target=lambda: frames.append(layer.frame()))
    thread.start()
    thread.join()
    copy = pickle.loads(pickle.dumps(layer))
    frames += [copy.frame(), pd.concat(layer.frames(7), ignore_index=True)]
    for other in frames:
        pd.testing.assert_frame_equal(pd.DataFrame(other), pd.DataFrame(frame))
    assert copy.totals() == layer.totals()
    assert sum(total.features for total in layer.totals()) == len(layer) == len(frame) > 0
    assert sum(total.area_m2 for total in layer.totals()) == pytest.approx(frame["area_m2"].sum())


def test_a_full_disk_says_so(monkeypatch):
    layer = FeatureLayer(make_grid((24, 24)))
    layer._database.execute("PRAGMA max_page_count = 3")
    row = FeatureRow(
        0, 0, "road", "altered", None, None, 1, None, "", None, 1, "", "", bytes(10**5)
    )
    with pytest.raises(RunError, match="temporary file: database or disk is full"):
        layer.add([row])
