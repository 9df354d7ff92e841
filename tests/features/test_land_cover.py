"""Features of a model that tells land cover: their classes, sizes, directions, counts, shapes."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from cover_factory import CHANNELS, blank_scene, drawn_scenes, put, scene_results
from hypothesis import given, settings
from hypothesis import strategies as st
from tile_factory import make_grid

from geochg.features.cells import CellSettings
from geochg.features.changes import FeatureSettings, changes_of, layer_caption
from geochg.features.layer import FeatureLayer
from geochg.features.merging import Contacts
from geochg.features.tiles import tile_features
from geochg.geometry.hysteresis import least_size_px
from geochg.land_cover import COVERS, agrees, covers_of
from geochg.options import Geometry
from geochg.records import LAND_COVER, Change, Channel

coarse_settings = partial(FeatureSettings, pixel_area_m2=100.0)
"""Pixels of 10 m, in which water is named."""


def change_features(*arguments):
    return changes_of(*arguments).layer.frame()


BUILT = Channel("building", Change.APPEARED)
RAZED = Channel("building", Change.DISAPPEARED)
REBUILT = Channel("building", Change.ALTERED)
FLOODED = Channel("water", Change.APPEARED)
HALF_METRE = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)


def grid_of(scene, affine=HALF_METRE):
    return make_grid(scene.channel.shape, affine=affine)


def features(scene, core_px=96, least_px=0, **changes):
    found = scene_results(scene, core_px, settings=CellSettings(least_px=least_px))
    return change_features(found, grid_of(scene), coarse_settings(least_px=least_px, **changes))


# --- land cover ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("class_name", "change", "before", "after", "holds"),
    [
        ("building", "appeared", "low plants", "building", True),
        ("building", "appeared", "low plants", None, True),
        ("building", "appeared", None, "building", True),
        ("building", "appeared", "building", "building", False),
        ("building", "appeared", "low plants", "bare", False),
        ("building", "disappeared", "building", "bare", True),
        ("building", "disappeared", "bare", "bare", False),
        ("building", "altered", "building", "building", True),
        ("building", "altered", "bare", "building", False),
        ("vegetation", "disappeared", "woody", "low plants", True),
        ("vegetation", "appeared", "woody", "low plants", False),
        ("vegetation", "altered", "woody", "low plants", True),
        ("water", "appeared", "road", "water", True),
        ("other", "altered", "water", "bare", True),
    ],
)
def test_the_rule_of_agreement(class_name, change, before, after, holds):
    assert agrees(class_name, change, before, after) is holds


counts = st.lists(st.integers(0, 50), min_size=7, max_size=7)


@settings(deadline=None)
@given(st.sampled_from(CHANNELS), counts, counts)
def test_covers_agree_with_class_and_direction_whatever_lies_there(channel, before, after):
    was, now = covers_of(*channel, before, after)
    assert agrees(*channel, was, now)


def test_land_cover_is_that_of_most_of_the_ground_also_across_tiles():
    for core_px in (96, 48, 20):
        scene = blank_scene(96, 96)
        put(scene, np.s_[40:60, 30:70], BUILT, "low plants", "building")
        put(scene, np.s_[40:60, 60:70], BUILT, "woody", "building")
        put(scene, np.s_[10:30, 30:50], FLOODED, None, "water")
        put(scene, np.s_[70:90, 30:50], RAZED, "building", None)
        found = features(scene, core_px, classes=("building", "water"))
        covers = list(zip(found["before_class"], found["after_class"], strict=True))
        assert covers == [(pd.NA, "water"), ("low plants", "building"), ("building", pd.NA)]
        assert found["class"].tolist() == ["water", "building", "building"]


def test_a_cover_that_contradicts_the_class_is_unknown():
    scene = blank_scene(96, 96)
    put(scene, np.s_[40:60, 30:70], BUILT, "building", "bare")
    (row,) = features(scene, classes=("building",)).to_dict("records")
    assert (row["class"], row["change"]) == BUILT
    assert pd.isna(row["before_class"])
    assert pd.isna(row["after_class"])


def test_all_features_agree_with_their_land_cover():
    for scene in drawn_scenes(30, seed=1):
        found = features(scene, 40, least_px=20)
        for row in found.itertuples():
            kind = row._2, row.change
            covers = (None if c is pd.NA else c for c in (row.before_class, row.after_class))
            assert agrees(*kind, *covers)


def test_every_class_has_covers_that_exist():
    assert {cover for covers in COVERS.values() for cover in covers} == set(LAND_COVER)


# --- classes in doubt ----------------------------------------------------------------------------

OTHER = ("other", "altered")


def kinds_of(found):
    return list(zip(found["class"], found["change"], strict=True))


@pytest.mark.parametrize("geometry", ["outline", "cells"])
@pytest.mark.parametrize("core_px", [96, 48, 20])
@pytest.mark.parametrize(
    ("channel", "before", "after", "kind"),
    [
        (BUILT, "low plants", "building", BUILT),
        (BUILT, "bare", "building", BUILT),
        (FLOODED, "woody", "water", FLOODED),
        (Channel("water", Change.DISAPPEARED), "water", "bare", ("water", "disappeared")),
        (RAZED, "building", "bare", OTHER),
        (Channel("road", Change.DISAPPEARED), "road", "bare", OTHER),
        (BUILT, None, "building", OTHER),
        (BUILT, "low plants", None, OTHER),
        (RAZED, "building", None, OTHER),
        (FLOODED, None, None, OTHER),
        (FLOODED, "water", "water", OTHER),
        (BUILT, "building", "bare", OTHER),
        (REBUILT, "building", "building", OTHER),
        (Channel("road", Change.APPEARED), "bare", "road", ("road", "appeared")),
        (Channel("vegetation", Change.APPEARED), "bare", "woody", OTHER),
        (Channel("bare", Change.APPEARED), "low plants", "bare", OTHER),
        (Channel("solar farm", Change.APPEARED), "bare", "bare", ("solar farm", "appeared")),
    ],
)
def test_only_what_the_land_cover_of_both_dates_bears_out_is_named(
    channel, before, after, kind, core_px, geometry
):
    scene = blank_scene(96, 96)
    put(scene, np.s_[33:48, 36:72], BUILT, before, after)
    rename = {BUILT: channel}
    results = scene_results(
        scene,
        core_px,
        margin_px=0,
        settings=CellSettings(geometry),
        adjust=lambda outlines: replace(
            outlines, channels=tuple(rename.get(each, each) for each in outlines.channels)
        ),
    )
    frame = change_features(results, grid_of(scene), coarse_settings(geometry))
    assert set(kinds_of(frame)) == {tuple(kind)}
    asked = (channel.class_name,)
    settings = coarse_settings(geometry, classes=asked)
    assert set(kinds_of(change_features(results, grid_of(scene), settings))) == {tuple(channel)}
    both = coarse_settings(geometry, classes=(*asked, "other"))
    assert kinds_of(change_features(results, grid_of(scene), both)) == kinds_of(frame)


@pytest.mark.parametrize("core_px", [96, 48, 20])
def test_half_of_the_ground_decides_and_what_is_in_doubt_becomes_one_feature(core_px):
    scene = blank_scene(96, 96)
    put(scene, np.s_[10:30, 10:50], BUILT, "bare", "building")
    put(scene, np.s_[10:30, 10:29], BUILT, "bare", None)  # 19 of 40 columns
    put(scene, np.s_[50:70, 10:50], BUILT, "bare", "building")
    put(scene, np.s_[50:70, 10:31], BUILT, "bare", None)  # 21 of 40 columns
    put(scene, np.s_[70:90, 10:50], Channel("other", Change.ALTERED), None, None)
    found = features(scene, core_px)
    assert kinds_of(found) == [BUILT, OTHER]
    assert found["count"].tolist() == [1, pd.NA]
    assert found["area_m2"].tolist() == pytest.approx([200, 400], rel=0.02)


@pytest.mark.parametrize(
    ("pixel_area_m2", "kind"), [(100.0, FLOODED), (9.0, FLOODED), (2.25, OTHER), (np.nan, OTHER)]
)
@pytest.mark.parametrize("change", [Change.APPEARED, Change.DISAPPEARED])
def test_water_is_named_in_coarse_pixels_only(pixel_area_m2, kind, change):
    """Other classes are named in any; see `land_cover.LEAST_WATER_PX_M2`."""
    scene = blank_scene(96, 96)
    covers = ("bare", "water") if change is Change.APPEARED else ("water", "bare")
    put(scene, np.s_[10:30, 10:50], Channel("water", change), *covers)
    put(scene, np.s_[50:70, 10:50], BUILT, "bare", "building")
    kind = kind if kind == OTHER else Channel("water", change)
    assert kinds_of(features(scene, pixel_area_m2=pixel_area_m2)) == [kind, BUILT]
    asked = features(scene, pixel_area_m2=pixel_area_m2, classes=("water", "building"))
    assert kinds_of(asked) == [Channel("water", change), BUILT]


# --- specks, holes, directions -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resolution_m", "least_px"), [(0.1, 4000), (0.3, 445), (0.5, 160), (2, 10), (10, 3), (30, 3)]
)
def test_the_least_size_is_forty_square_metres_and_at_least_three_pixels(resolution_m, least_px):
    assert least_size_px(resolution_m**2) == least_px


@pytest.mark.parametrize("core_px", [96, 48, 20])
def test_specks_are_dropped_unless_a_least_area_was_given(core_px):
    scene = blank_scene(96, 96)
    put(scene, np.s_[45:52, 45:51], BUILT, "low plants", "building")  # 42 px across tile borders
    put(scene, np.s_[10:14, 18:23], FLOODED, "low plants", "water")  # 20 px
    put(scene, np.s_[70:80, 70:80], FLOODED, "low plants", "water")
    assert features(scene, core_px, 42)["class"].tolist() == ["building", "water"]
    assert features(scene, core_px, 43)["class"].tolist() == ["water"]
    every = features(scene, core_px, 0, min_area_m2=0.0)
    assert len(every) == 3


@pytest.mark.parametrize("core_px", [96, 40, 16])
def test_small_pieces_join_what_they_touch(core_px):
    scene = blank_scene(96, 96)
    put(scene, np.s_[30:60, 30:60], BUILT, "low plants", "building")
    put(scene, np.s_[30:34, 30:36], FLOODED, "low plants", "water")
    put(scene, np.s_[50:53, 60:63], FLOODED, "low plants", "water")
    (row,) = features(scene, core_px, 30).to_dict("records")
    assert row["class"] == "building"
    assert row["geometry"].area == pytest.approx((900 + 9) / 4, rel=0.02)


@pytest.mark.parametrize("core_px", [96, 40, 16])
def test_holes_of_a_few_pixels_are_filled(core_px):
    scene = blank_scene(96, 96)
    put(scene, np.s_[20:70, 20:70], FLOODED, "low plants", "water")
    scene.channel[39:42, 38:41] = -1  # a hole of 9 pixels, at a corner of four tiles
    scene.channel[60:66, 60:66] = -1  # one of 36
    (row,) = features(scene, core_px, 80).to_dict("records")
    assert [round(shapely.Polygon(hole).area * 4) for hole in row["geometry"].interiors] == [36]


@pytest.mark.parametrize("core_px", [96, 40, 16])
def test_what_came_beside_what_went_takes_its_direction_or_both_were_altered(core_px):
    scene = blank_scene(96, 96)
    put(scene, np.s_[10:30, 10:50], BUILT, "low plants", "building")
    put(scene, np.s_[30:35, 10:50], RAZED, "building", "low plants")
    put(scene, np.s_[50:70, 10:30], BUILT, "low plants", "building")
    put(scene, np.s_[50:70, 30:48], RAZED, "building", "bare")
    found = features(scene, core_px)
    assert found["change"].tolist() == ["appeared", "altered"]
    assert found["area_m2"].tolist() == pytest.approx([250, 190], rel=0.02)


def test_no_class_came_beside_where_it_went():
    for scene in drawn_scenes(40, seed=2):
        found = features(scene, 40, least_px=12, geometry="cells")
        pixels = found.geometry.affine_transform([2, 0, 0, -2, -1_000_000, 10_000_000])
        _, one, other = Contacts.of(shapely.set_precision(pixels.to_numpy(), 1))
        rows = found[["class", "change"]].to_numpy()
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            if a != b and rows[a][0] == rows[b][0]:
                assert {rows[a][1], rows[b][1]} != {"appeared", "disappeared"}


# --- counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("core_px", [144, 48, 31])
def test_buildings_that_run_into_each_other_are_counted_once_each(core_px):
    scene = blank_scene(144, 144)
    put(scene, np.s_[20:40, 20:50], BUILT, "low plants", "building")
    put(scene, np.s_[28:33, 50:54], BUILT, "low plants", "building")  # a narrow neck
    put(scene, np.s_[18:42, 54:80], BUILT, "low plants", "building")
    put(scene, np.s_[80:130, 20:44], RAZED, "building", "bare")
    results = scene_results(scene, core_px)
    settings = coarse_settings(classes=("building",))
    layer, in_tiles, _ = changes_of(results, grid_of(scene), settings)
    assert layer.frame()["count"].tolist() == [2, 1]
    tiles = tile_features(results, grid_of(scene), in_tiles=in_tiles)
    assert tiles["count_building"].sum() == 3


@pytest.mark.parametrize("shape", ["long", "ell", "speckled", "turned"])
def test_one_building_is_one(shape):
    scene = blank_scene(96, 96)
    where = np.zeros((96, 96), bool)
    if shape == "long":
        where[40:52, 10:90] = True
    elif shape == "ell":
        where[20:40, 20:80] = where[20:80, 20:38] = True
    elif shape == "speckled":
        where[30:60, 30:60] = True
        where[30, 30:60:3] = where[59, 31:60:4] = False
    else:
        row, col = np.mgrid[:96, :96] - 48
        where = (abs(row + col) < 26) & (abs(row - col) < 40)
    put(scene, where, BUILT, "low plants", "building")
    assert features(scene)["count"].tolist() == [1]


def test_what_cannot_be_counted_has_no_count_and_a_road_is_one_stretch():
    scene = blank_scene(96, 96)
    put(scene, np.s_[10:30, 10:30], FLOODED, "low plants", "water")
    put(scene, np.s_[50:56, 0:96], Channel("road", Change.APPEARED), "bare", "road")
    assert features(scene, 31)["count"].tolist() == [pd.NA, 1]


# --- shapes --------------------------------------------------------------------------------------


def turned(angle, height, width, size=96):
    row, col = (np.mgrid[:size, :size] + 0.5) - size / 2
    along = col * np.cos(angle) + row * np.sin(angle)
    across = row * np.cos(angle) - col * np.sin(angle)
    return (abs(along) < width / 2) & (abs(across) < height / 2)


@pytest.mark.parametrize("core_px", [96, 31])
@pytest.mark.parametrize("angle", [0.0, 0.2, 0.5, 0.8, 1.3])
def test_a_turned_building_gets_four_straight_sides(angle, core_px):
    scene = blank_scene(96, 96)
    put(scene, turned(angle, 20, 34), BUILT, "low plants", "building")
    (polygon,) = features(scene, core_px, regularize=True).geometry
    assert len(polygon.exterior.coords) == 5
    assert polygon.area == pytest.approx(20 * 34 / 4, rel=0.03)
    truth = shapely.affinity.rotate(shapely.box(-17, -10, 17, 10), angle, use_radians=True)
    truth = shapely.affinity.affine_transform(truth, [0.5, 0, 0, -0.5, 500_024, 4_999_976])
    assert polygon.intersection(truth).area / polygon.union(truth).area > 0.92


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_a_building_with_a_wing_gets_right_angles(angle):
    scene = blank_scene(96, 96)
    wing = np.roll(turned(angle, 50, 18), (round(8 * np.cos(angle)), 0), axis=(0, 1))
    put(scene, turned(angle, 20, 60) | wing, BUILT, "low plants", "building")
    (polygon,) = features(scene, regularize=True).geometry
    corners = np.array(polygon.exterior.coords)
    steps = np.diff(corners, axis=0)
    angles = np.arctan2(steps[:, 1], steps[:, 0]) % (np.pi / 2)
    spread = np.minimum(abs(angles - angles[0]), np.pi / 2 - abs(angles - angles[0]))
    assert spread.max() < 1e-6
    assert len(corners) < 14


def test_straightened_buildings_do_not_overlap_their_neighbours():
    for scene in drawn_scenes(40, seed=3):
        row, col = np.nonzero(turned(0.6, 20, 30))
        scene.channel[row, col] = CHANNELS.index(BUILT)
        scene.channel[row, col - 1] = CHANNELS.index(BUILT)
        scene.channel[(row + 24).clip(0, 95), col] = CHANNELS.index(RAZED)
        found = features(scene, 40, least_px=8, regularize=True)
        assert found.is_valid.all()
        tree = shapely.STRtree(found.geometry.to_numpy())
        one, other = tree.query(found.geometry.to_numpy(), predicate="intersects")
        shared = found.geometry.to_numpy()[one[one < other]].tolist()
        for a, b in zip(shared, found.geometry.to_numpy()[other[one < other]], strict=True):
            assert a.intersection(b).area < 1e-6


def test_outlines_of_models_without_land_cover_stay_as_they_are():
    scene = blank_scene(96, 96)
    put(scene, turned(0.5, 20, 34), BUILT, "low plants", "building")
    put(scene, np.s_[5:7, 5:7], FLOODED, "low plants", "water")
    found = scene_results(
        scene,
        40,
        settings=CellSettings(least_px=20),
        adjust=lambda outlines: replace(outlines, land_cover=None),
    )
    frame = change_features(found, grid_of(scene), coarse_settings(least_px=20))
    assert len(frame) == 2
    assert frame["before_class"].isna().all()
    assert len(frame.geometry[1].exterior.coords) > 5


# --- borders of tiles ----------------------------------------------------------------------------


def test_tile_borders_do_not_matter():
    for scene in drawn_scenes(12, seed=4):
        whole = features(scene, 96, least_px=12)
        for core_px in (48, 33):
            parts = features(scene, core_px, least_px=12)
            for name in ("class", "change", "before_class", "after_class", "count", "area_m2"):
                assert parts[name].tolist() == whole[name].tolist(), name
            np.testing.assert_allclose(parts["confidence"], whole["confidence"], atol=2e-4)


def test_confidence_is_read_off_the_calibration():
    scene = blank_scene(96, 96)
    put(scene, np.s_[40:60, 30:70], BUILT, "low plants", "building")
    found = scene_results(
        scene,
        40,
        adjust=lambda outlines: replace(outlines, calibration=((0.5, 1.0), (0.2, 0.8))),
    )
    frame = change_features(found, grid_of(scene), coarse_settings())
    assert frame["confidence"].tolist() == pytest.approx([0.5])


def test_captions_of_tiles_and_of_the_pair():
    scene = blank_scene(96, 96)
    put(scene, np.s_[10:30, 10:30], BUILT, "low plants", "building")
    put(scene, np.s_[10:30, 60:80], BUILT, "low plants", "building")
    put(scene, np.s_[60:90, 60:90], FLOODED, "low plants", "water")
    results = scene_results(scene, 48)
    layer, in_tiles, _ = changes_of(results, grid_of(scene), coarse_settings())
    assert layer_caption(layer) == (
        "In the area analysed, water appeared on about 230 m²,"
        " and buildings appeared on about 200 m²."
    )
    assert layer_caption(FeatureLayer(grid_of(scene)), 25_000.0) == (
        "Nothing changed in the area analysed. About 2.5 ha of it was not seen."
    )
    tiles = tile_features(results, grid_of(scene), in_tiles=in_tiles)
    assert tiles["caption"].tolist() == [
        "In this tile, buildings appeared on about 100 m².",
        "In this tile, buildings appeared on about 100 m².",
        "Nothing changed in this tile.",
        "In this tile, water appeared on about 230 m².",
    ]


@pytest.mark.parametrize("core_px", [96, 48])
def test_boxes_of_outlines_have_counts_land_cover_and_captions_without_an_area(core_px):
    scene = blank_scene(96, 96)
    put(scene, np.s_[6:18, 6:20], BUILT, "low plants", "building")
    put(scene, np.s_[20:30, 6:20], BUILT, "low plants", "building")
    put(scene, np.s_[70:90, 70:90], FLOODED, "bare", "water")
    cells = CellSettings(Geometry.CELLS)
    results = scene_results(scene, core_px, margin_px=0, settings=cells)
    layer, in_tiles, _ = changes_of(results, grid_of(scene), coarse_settings(Geometry.CELLS))
    frame = layer.frame()
    assert frame["class"].tolist() == ["building", "water"]
    assert frame["count"].tolist() == [2, pd.NA]
    assert frame["before_class"].tolist() == ["low plants", "bare"]
    assert frame["after_class"].tolist() == ["building", "water"]
    assert frame["caption"].str.startswith(("Buildings", "In the")).all()
    assert not frame["caption"].str.contains("about").any()
    tiles = tile_features(results, grid_of(scene), in_tiles=in_tiles)
    assert tiles["count_building"].sum() == 2
    assert not tiles["caption"].str.contains("about").any()
