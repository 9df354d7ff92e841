import time

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import Geod
from rasterio.features import rasterize
from tile_factory import ALTERED, ROAD, layout, make_grid, make_tile, outlines, results_of

from geochg.features.cells import CellSettings, tile_result
from geochg.features.changes import FeatureSettings, changes_of
from geochg.features.tiles import tile_features
from geochg.options import Geometry
from geochg.records import (
    Caption,
    Change,
    Counts,
    Direction,
    GridCell,
    Locations,
    PixelWindow,
    Presence,
    Task,
    TileFailure,
    TileWindow,
    Unparsed,
)


def change_features(*arguments):
    return changes_of(*arguments).layer.frame()


COLUMNS = [
    "id",
    "class",
    "change",
    "before_class",
    "after_class",
    "from_date",
    "to_date",
    "confidence",
    "change_confidence",
    "caption",
    "count",
    "area_m2",
    "tiles",
    "cells",
    "geometry",
]
PLAIN = FeatureSettings()


def image(**boxes):
    """A 24 x 24 image of channel numbers, tiles of 12: `r=(rows, cols, channel)`."""
    classes = np.zeros((24, 24), int)
    for rows, cols, channel in boxes.values():
        classes[rows, cols] = channel
    return classes


def test_a_feature_over_four_tiles():
    classes = image(a=(slice(9, 15), slice(10, 15), 1))
    results = results_of(classes, 12, Caption("a house", True), Counts({"building": 1}))
    frame = change_features(results, make_grid((24, 24)), PLAIN)
    assert list(frame.columns) == COLUMNS
    assert frame.crs == "EPSG:32633"
    row = frame.iloc[0]
    assert len(frame) == 1
    assert (row["id"], row["class"], row["change"], row["confidence"]) == (
        1,
        "building",
        "appeared",
        0.75,
    )
    assert row["tiles"] == ["r0c0", "r0c1", "r1c0", "r1c1"]
    assert row["cells"] == [
        "r0c0/bottom-right", "r0c1/bottom-left", "r1c0/top-right", "r1c1/top-left",
    ]  # fmt: skip
    assert row["count"] == 1
    assert row["before_class"] is row["after_class"] is pd.NA
    assert row.geometry.equals(shapely.box(500_100, 4_999_850, 500_150, 4_999_910))
    # At the central meridian of UTM lengths are 0.9996 of the ground's.
    assert row["area_m2"] == pytest.approx(50 * 60 / 0.9996**2, abs=0.1)


def test_outlined_features_count_their_buildings_and_are_one_stretch_of_road():
    classes = image(a=(slice(1, 3), slice(1, 3), 1), b=(slice(1, 3), slice(14, 16), 1))
    classes[5, 14] = 1
    classes[8, 20] = 2
    classes[15:17, 10:14] = 1
    results = results_of(classes, 12, Counts({"building": 4}))
    frame = change_features(results, make_grid((24, 24)), PLAIN)
    found = [(row["class"], row["tiles"], row["count"]) for _, row in frame.iterrows()]
    assert found == [
        ("building", ["r0c0"], 1),
        ("building", ["r0c1"], 1),
        ("building", ["r0c1"], 1),
        ("road", ["r0c1"], 1),
        ("building", ["r1c0", "r1c1"], 1),
    ]
    assert frame["count"].dtype == "Int64"


def test_counts_of_grid_answers_are_kept_for_the_one_feature_of_its_class_in_its_only_tile():
    windows = list(layout(1, 3, 12))
    located = {
        0: {"building": {GridCell(1, 1): 0.8}},
        1: {"building": {GridCell(0, 1): 0.8, GridCell(2, 1): 0.8}, "road": {GridCell(1, 0): 0.9}},
        2: {"water": {GridCell(1, 1): 0.8}},
    }
    results = [
        tile_result(
            make_tile(window),
            [Locations(located[window.index]), Counts({"building": 4, "road": 2})],
            CellSettings(),
        )
        for window in windows
    ]
    frame = change_features(results, make_grid((12, 36)), FeatureSettings(Geometry.CELLS))
    found = [(row["class"], row["tiles"], row["count"]) for _, row in frame.iterrows()]
    assert found == [
        ("building", ["r0c1"], pd.NA),
        ("building", ["r0c0"], 4),
        ("road", ["r0c1"], 2),
        ("water", ["r0c2"], pd.NA),
        ("building", ["r0c1"], pd.NA),
    ]
    assert frame["count"].dtype == "Int64"


def test_confidence_is_weighted_by_area_and_the_caption_is_of_the_greatest_share():
    left = TileWindow(0, 0, 0, PixelWindow(0, 12, 0, 12), PixelWindow(0, 12, 0, 12))
    right = TileWindow(1, 0, 1, PixelWindow(0, 12, 8, 20), PixelWindow(0, 12, 12, 20))
    answers = {
        left: [Locations({"road": {GridCell(0, 2): 0.9}}), Caption("left", True)],
        right: [
            Locations({"road": {GridCell(0, 1): 0.4, GridCell(0, 2): 0.4}}),
            Caption("right", True),
        ],
    }
    results = [tile_result(make_tile(w), a, CellSettings()) for w, a in answers.items()]
    frame = change_features(results, make_grid((12, 20)), FeatureSettings(Geometry.CELLS))
    row = frame.iloc[0]
    assert len(frame) == 1
    assert row["confidence"] == round((16 * 0.9 + 32 * 0.4) / 48, 4)
    assert row["caption"] == "right"
    assert row["change"] == ALTERED
    assert row["cells"] == ["r0c0/top-right", "r0c1/top-center", "r0c1/top-right"]
    # Boxes are merged without the joints and not smoothed.
    assert shapely.get_num_coordinates(row.geometry) == 5


def test_confidence_is_missing_where_no_probability_was_measured_and_no_filter_drops_it():
    (window,) = layout(1, 1, 12)
    corners = (GridCell(0, 0), GridCell(0, 2), GridCell(2, 0), GridCell(2, 1), GridCell(2, 2))
    measured = dict(zip(corners, (None, 0.9, None, 0.5, 0.3), strict=True))
    directions = {GridCell(0, 2): Direction(Change.APPEARED, 0.8)}
    answer = Locations({"road": measured}, {"road": Change.DISAPPEARED}, {"road": directions})
    results = [tile_result(make_tile(window), [answer], CellSettings(heat=True))]
    layer = changes_of(
        results, make_grid((12, 12)), FeatureSettings(Geometry.CELLS, min_confidence=0.35)
    ).layer
    frame = layer.frame()
    assert list(frame["change"]) == ["disappeared", "appeared", "disappeared"]
    # A row of three cells has the mean of the two that were measured.
    assert frame["confidence"].fillna(-1).tolist() == [-1, 0.9, 0.4]
    assert frame["change_confidence"].fillna(-1).tolist() == [-1, 0.8, -1]
    assert layer.unmeasured == 1
    assert results[0].probability == 0.9
    # The heat shows what was said: a change.
    assert results[0].heat[0, 0] == 254
    strict = FeatureSettings(Geometry.CELLS, min_confidence=0.95)
    assert changes_of(results, make_grid((12, 12)), strict).layer.frame()["confidence"].isna().all()


ANSWERED = [
    # Places of a tile, the count of buildings, and what each feature then has.
    ({"building": {GridCell(0, 0): 0.9}}, 3, [("a house in the west", 3)]),
    ({"building": {GridCell(0, 0): 0.9}}, 0, [("a house in the west", pd.NA)]),
    (
        {"building": {GridCell(0, 0): 0.9, GridCell(2, 2): 0.9}},
        2,
        [("Part", pd.NA), ("Part", pd.NA)],
    ),
    (
        {"building": {GridCell(0, 0): 0.9}, "road": {GridCell(2, 2): 0.9}},
        1,
        [("Part", 1), ("Part", pd.NA)],
    ),
]


@pytest.mark.parametrize(("located", "count", "expected"), ANSWERED)
def test_words_and_counts_of_a_tile_are_taken_only_where_they_are_of_the_feature(
    located, count, expected
):
    (window,) = layout(1, 1, 12)
    answers = [
        Locations(located),
        Counts({"building": count}),
        Caption("a house in the west", True),
    ]
    results = [tile_result(make_tile(window), answers, CellSettings())]
    frame = change_features(results, make_grid((12, 12)), FeatureSettings(Geometry.CELLS))
    found = list(zip(frame["caption"], frame["count"], strict=True))
    assert [each for _, each in found] == [each for _, each in expected]
    for (caption, _), (start, _) in zip(found, expected, strict=True):
        assert (caption == "a house in the west") == (start == "a house in the west")
        assert caption


def test_filters_and_the_order_of_what_is_left():
    classes = image(a=(slice(5, 9), slice(2, 4), 1), b=(slice(5, 6), slice(8, 9), 2))
    classes[1, 20] = 1
    results = results_of(classes, 12)
    grid = make_grid((24, 24))
    frame = change_features(results, grid, PLAIN)
    assert frame["class"].tolist() == ["building", "building", "road"]
    assert frame["area_m2"].round(-2).tolist() == [100, 800, 100]
    large = change_features(results, grid, FeatureSettings(min_area_m2=200))
    assert large["id"].tolist() == [1]
    assert large["area_m2"].tolist() == frame["area_m2"].tolist()[1:2]
    small = change_features(results, grid, FeatureSettings(max_area_m2=200))
    assert small["area_m2"].tolist() == frame["area_m2"].tolist()[::2]
    largest_m2 = float(frame["area_m2"].max())
    for limits, count in (((0, largest_m2 + 1), 3), ((150, 200), 0), ((None, 0), 0)):
        bounded = FeatureSettings(min_area_m2=limits[0], max_area_m2=limits[1])
        assert len(change_features(results, grid, bounded)) == count
    assert len(change_features(results, grid, FeatureSettings(min_confidence=0.75))) == 3
    assert len(change_features(results, grid, FeatureSettings(min_confidence=0.76))) == 0


def test_a_confidence_at_the_limit_is_kept_in_spite_of_float32():
    window = TileWindow(0, 0, 0, PixelWindow(0, 12, 0, 12), PixelWindow(0, 12, 0, 12))
    result = tile_result(
        make_tile(window), [outlines((ROAD, np.full((12, 12), 0.9)))], CellSettings()
    )
    assert (
        len(change_features([result], make_grid((12, 12)), FeatureSettings(min_confidence=0.9)))
        == 1
    )


@settings(deadline=None, max_examples=25)
@given(hnp.arrays(np.int8, (24, 24), elements=st.integers(0, 2)))
def test_features_are_the_mask(classes):
    results = results_of(classes, 12)
    frame = change_features(results, make_grid((24, 24)), PLAIN)
    boxes = change_features(results, make_grid((24, 24)), FeatureSettings(Geometry.CELLS))
    assert boxes["id"].tolist() == frame["id"].tolist() == list(range(1, len(frame) + 1))
    drawn = np.zeros((24, 24), int)
    shapes = [
        (g, 1 if c == "building" else 2)
        for g, c in zip(boxes.geometry, boxes["class"], strict=True)
    ]
    if shapes:
        drawn = rasterize(shapes, (24, 24), transform=make_grid((24, 24)).affine)
    np.testing.assert_array_equal(drawn, classes)


def test_a_rotated_grid():
    angle = Affine.translation(500_000, 5_000_000) * Affine.rotation(30) * Affine.scale(10, -10)
    results = results_of(image(a=(slice(2, 6), slice(3, 8), 1)), 12)
    (row,) = change_features(results, make_grid((24, 24), affine=angle), PLAIN).itertuples()
    corners = np.array([angle * corner for corner in [(3, 2), (8, 2), (8, 6), (3, 6)]])
    assert row.geometry.equals_exact(shapely.normalize(shapely.Polygon(corners)), 1e-6) or (
        row.geometry.symmetric_difference(shapely.Polygon(corners)).area < 1e-6
    )
    assert row.geometry.exterior.is_ccw
    assert row.area_m2 == pytest.approx(40 * 50 / 0.9996**2, abs=0.1)


def test_a_grid_of_degrees_across_the_antimeridian():
    affine = Affine(0.01, 0, 179.9, 0, -0.01, 0.12)
    results = results_of(image(a=(slice(0, 12), slice(5, 15), 1)), 12)
    frame = change_features(results, make_grid((24, 24), "EPSG:4326", affine), PLAIN)
    lon, lat = [179.95, 180.05, 180.05, 179.95], [0, 0, 0.12, 0.12]
    expected = Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]
    assert frame["area_m2"].tolist() == pytest.approx([expected], rel=1e-6)
    assert frame.total_bounds == pytest.approx([179.95, 0, 180.05, 0.12])


def test_no_features_keep_columns_types_and_crs():
    grid = make_grid((24, 24))
    empty = change_features([], grid, PLAIN)
    full = change_features(results_of(image(a=(slice(0, 2), slice(0, 2), 1)), 12), grid, PLAIN)
    assert list(empty.columns) == COLUMNS
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert empty.crs == full.crs
    assert empty.crs is not None


def test_tens_of_thousands_of_pieces_are_merged_in_seconds():
    classes = np.zeros((448, 448), int)
    classes[::2, ::4] = 1
    classes[1::2, 2::4] = 2
    # A road through the corners of four tiles makes a chain to be merged.
    classes[222:226, :] = 2
    results = results_of(classes, 112)
    assert sum(len(result.cells) for result in results) > 45_000
    start = time.thread_time()
    frame = change_features(results, make_grid(classes.shape), PLAIN)
    # About 3 s (200,000 pieces take 13 s), of this thread alone: other processes do not count.
    assert time.thread_time() - start < 15
    assert frame.is_valid.all()
    assert frame["tiles"].map(len).max() == 8


# --- the layer of tiles --------------------------------------------------------------------------


def test_tiles_as_features():
    classes = image(a=(slice(9, 15), slice(10, 15), 1))
    results = results_of(
        classes, 12, Caption("a house", True), Counts({"building": 1}), Presence(True, 0.61234567)
    )[:2]
    results[1] = tile_result(
        make_tile(results[1].window), [Unparsed(Task.COUNT, "x", "y")], CellSettings()
    )
    failed = TileWindow(2, 1, 0, PixelWindow(12, 24, 0, 12), PixelWindow(12, 24, 0, 12))
    skipped = TileWindow(3, 1, 1, PixelWindow(12, 24, 12, 24), PixelWindow(12, 24, 12, 24))
    frame = tile_features(
        reversed(results),
        make_grid((24, 24)),
        failures=[TileFailure(failed, "read error")],
        skipped=[skipped],
    )
    assert frame["tile"].tolist() == ["r0c0", "r0c1", "r1c0", "r1c1"]
    assert frame["status"].tolist() == ["answered", "answered", "failed", "skipped"]
    assert frame["changed"].tolist() == [True, pd.NA, pd.NA, pd.NA]
    assert frame["probability"].tolist() == [0.75, pd.NA, pd.NA, pd.NA]
    assert frame["not_seen"].tolist() == [pd.NA] * 4
    assert frame["unparsed"].tolist() == [[], ["count"], [], []]
    assert frame["reason"].tolist() == ["", "", "read error", ""]
    assert frame["count_building"].tolist() == [1, pd.NA, pd.NA, pd.NA]
    assert frame["caption"].tolist() == ["a house", "", "", ""]
    assert frame.geometry[3].equals(shapely.box(500_120, 4_999_760, 500_240, 4_999_880))


def test_no_tiles():
    frame = tile_features([], make_grid((24, 24)))
    assert len(frame) == 0
    assert frame["changed"].dtype == "boolean"


@pytest.mark.parametrize("pixel_m", [0.1, 0.02, 0.001])
def test_areas_of_tiny_changes_are_kept(pixel_m):
    affine = Affine(pixel_m, 0, 500_000, 0, -pixel_m, 5_000_000)
    results = results_of(image(a=(slice(4, 7), slice(5, 15), 1)), 12)
    frame = change_features(results, make_grid((24, 24), "EPSG:32633", affine), PLAIN)
    assert frame["area_m2"].sum() == pytest.approx(30 * (pixel_m / 0.9996) ** 2, rel=0.01)
