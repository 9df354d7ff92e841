"""Readers of labelled ground, each on a tiny folder of its layout."""

import labelled_ground
import numpy as np
import pytest
from labelled_ground import SIDE_PX, masked_folder, picture, squares, write

from geochg.datasets.ground.covers import ANY, NOTHING, UNKNOWN_CHANGE, Cover
from geochg.datasets.ground.labelled import MASKED_FOLDERS, edges, map_tiles, stretched_bands
from geochg.datasets.ground.series import (
    SAVANNA_LEARNED,
    all_grounds,
    cities,
    clouded_scenes,
    farmland_years,
    floods,
    index_cover,
    infrared_chips,
    savanna,
    savanna_plots,
    seasons,
    shares_by_kind,
    split_grounds,
)

READERS = {
    "oam_tiles": (labelled_ground.map_tiles, map_tiles, "oam"),
    "naip_series_nd": (labelled_ground.farmland_years, farmland_years, "naip"),
    "floods_s2": (labelled_ground.floods, floods, "flood"),
    "s2_pairs": (labelled_ground.cities, cities, "s2"),
    "s2_two_seasons": (labelled_ground.seasons, seasons, "seasons"),
    "neon_pairs_sjer": (labelled_ground.savanna, savanna, "savanna"),
    "cloud_shadow_masks": (labelled_ground.clouded, clouded_scenes, "cloud"),
    "naip_single": (labelled_ground.infrared_chips, infrared_chips, "chip"),
}


def check(ground):
    """What every ground keeps to."""
    assert len(ground.images) == len(ground.covers) > 0
    for image, cover in zip(ground.images, ground.covers, strict=True):
        assert image.dtype == cover.dtype == np.uint8
        assert image.shape[:2] == cover.shape == ground.shape
        assert image.shape[2] in (3, 4)
        assert (cover <= ANY | Cover.NOT_SEEN).all()
    assert ground.share > 0
    assert 0 < ground.shown_m[0] <= ground.shown_m[1]
    if ground.change is not None and len(ground.images) > 1:
        mask = ground.change(0, 1)
        assert mask.shape == ground.shape
        assert set(np.unique(mask)) <= {0, 1, UNKNOWN_CHANGE}


@pytest.mark.parametrize("name", READERS)
def test_each_layout_is_read_and_a_missing_one_left_out(name, tmp_path):
    make, read, kind = READERS[name]
    assert list(read(tmp_path)) == []
    make(tmp_path)
    result = list(read(tmp_path))
    assert {ground.kind for ground in result} == {kind}
    for ground in result:
        check(ground)
    assert len(all_grounds(tmp_path)) == len(result)


@pytest.mark.parametrize("folder", MASKED_FOLDERS, ids=lambda folder: folder.name)
def test_folders_of_masks(folder, tmp_path):
    assert list(folder.grounds(tmp_path)) == []
    masked_folder(tmp_path, folder.name)
    result = list(folder.grounds(tmp_path))
    assert len(result) == 2
    for number, ground in enumerate(result):
        check(ground)
        assert ground.kind == folder.kind
        assert ground.share == pytest.approx(folder.share / 2)
        inside = squares(number) > 0
        values = np.unique(ground.covers[0][inside])
        assert len(values) == 1
        if folder.name != "gsi_solar_japan":
            assert set(values).isdisjoint(np.unique(ground.covers[0][~inside]))
        if folder.name.endswith("_buildings"):
            assert values == [Cover.BUILDING]
            assert set(np.unique(ground.covers[0][~inside])) == {ANY - Cover.BUILDING}


@pytest.mark.parametrize(
    ("value", "cover"), [(1, Cover.BUILDING), (2, Cover.BARE), (3, Cover.ROAD), (5, Cover.WATER)]
)
def test_values_of_the_land_cover_map(value, cover, tmp_path):
    masked_folder(tmp_path, "dubai_landcover", value)
    (dubai,) = (folder for folder in MASKED_FOLDERS if folder.kind == "dubai")
    ground = next(dubai.grounds(tmp_path))
    assert (ground.covers[0][squares(0) > 0] == cover).all()
    assert (ground.covers[0][squares(0) == 0] == NOTHING).all()


def test_nothing_is_said_beside_a_road(tmp_path):
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    mask[80] = 1
    write(tmp_path / "vegas_roads" / "images" / "a.tif", picture(0))
    write(tmp_path / "vegas_roads" / "masks" / "a.tif", mask)
    (ground,) = (
        g for folder in MASKED_FOLDERS if folder.kind == "vegas" for g in folder.grounds(tmp_path)
    )
    column = ground.covers[0][:, 50]
    assert column[80] == Cover.ROAD
    assert set(column[62:80]) == {NOTHING}
    assert set(column[:55]) == set(column[105:]) == {ANY}


def test_black_pixels_have_no_label(tmp_path):
    masked_folder(tmp_path, "rio_buildings", images=1)
    image = picture(0)
    image[:, :30] = 0
    write(tmp_path / "rio_buildings" / "images" / "0.tif", image)
    (ground,) = all_grounds(tmp_path)
    assert (ground.covers[0][:30] == NOTHING).all()
    assert (ground.covers[0][30:] != NOTHING).all()


def test_neighbouring_map_tiles_are_joined_with_their_buildings(tmp_path):
    labelled_ground.map_tiles(tmp_path)
    result = sorted(map_tiles(tmp_path), key=lambda ground: ground.images[0].size)
    alone, joined = result
    assert alone.shape == (256, 256)
    assert joined.shape == (256, 512)
    assert not (alone.covers[0] == Cover.BUILDING).any()
    rows, cols = np.nonzero(joined.covers[0] == Cover.BUILDING)
    assert (rows.min(), rows.max()) == pytest.approx((0.4 * 256, 0.6 * 256), abs=2)
    assert (cols.min(), cols.max()) == pytest.approx((0.9 * 256, 1.2 * 256), abs=2)


def test_a_lake_that_grew_is_the_change_of_its_years(tmp_path):
    labelled_ground.farmland_years(tmp_path)
    (ground,) = farmland_years(tmp_path)
    assert ground.images[0].shape[2] == 4
    mask = ground.change(0, 1)
    assert (mask[55:85, 70:90] == 1).all()
    assert (mask[:25] == 0).all()
    assert (mask[55:85, 45:52] == 0).all()
    assert (ground.change(0, 0) != 1).all()
    assert (ground.covers[1][60:80, 70:90] == Cover.WATER).all()


def test_floods_are_changed_and_become_water(tmp_path):
    labelled_ground.floods(tmp_path)
    (tmp_path / "floods_s2" / "odd.txt").write_text("b\tshifted\n", encoding="utf-8")
    (ground,) = floods(tmp_path)
    mask = ground.change(0, 1)
    assert (mask[90:, 90:] == 1).all()
    assert (mask[:70] == 0).all()
    assert (ground.covers[1][90:, 90:] == Cover.WATER).all()
    assert (ground.covers[0][90:, 90:] == ANY - Cover.WATER).all()
    # Short-wave infrared, near infrared, green: the second is the infrared.
    assert np.array_equal(ground.images[0][..., 3], ground.images[0][..., 1])
    assert not ground.lends


def test_what_is_odd_in_an_unlabelled_pair_is_unknown(tmp_path):
    labelled_ground.cities(tmp_path)
    (ground,) = cities(tmp_path)
    mask = ground.change(0, 1)
    assert (mask[25:55, 25:55] == UNKNOWN_CHANGE).all()
    assert (mask == 0).mean() > 0.5
    assert not (mask == 1).any()
    assert ground.scenery


def test_clouds_are_not_seen(tmp_path):
    labelled_ground.clouded(tmp_path)
    labelled_ground.seasons(tmp_path)
    (cloud,) = clouded_scenes(tmp_path)
    assert (cloud.covers[0][30:80, 40:110] == Cover.NOT_SEEN).all()
    assert (cloud.covers[0][20, 40:110] == NOTHING).all()
    assert (cloud.covers[0][105:115] == Cover.WATER).all()
    (two,) = seasons(tmp_path)
    assert (two.covers[1][:30, :30] == Cover.NOT_SEEN).all()
    assert not (two.change(0, 1) != 0).any()


def test_indices_tell_plants_water_and_what_is_neither():
    red, green, infrared = (
        np.array([values], np.float64)
        for values in ([30, 30, 100, 30], [60, 90, 100, 60], [200, 20, 90, 45])
    )
    plants, water, ground, doubtful = index_cover(red, green, infrared)[0]
    assert plants == Cover.LOW | Cover.WOODY
    assert water == Cover.WATER
    assert ground == Cover.BARE | Cover.ROAD | Cover.BUILDING or ground == NOTHING
    assert doubtful in (ANY, NOTHING)


def test_what_is_shown_runs_from_0_to_1_in_each_band():
    pixels = np.moveaxis(picture(0), 0, -1).astype(np.float32) * np.array([1, 5, 20])
    shown = stretched_bands(pixels)
    assert shown.dtype == np.float32
    assert (shown.min((0, 1)) == 0).all()
    assert (shown.max((0, 1)) == 1).all()
    assert np.allclose(stretched_bands(3 * pixels + 7), shown, atol=0.02)


def test_edges_are_where_a_window_sees_both_sides():
    mask = np.zeros((9, 9), np.uint8)
    mask[:, 5:] = 1
    assert np.nonzero(edges(mask, 3)[0])[0].tolist() == [4, 5]


# --- all of them ---------------------------------------------------------------------------------


def test_all_that_a_folder_holds_is_read(tmp_path):
    assert all_grounds(tmp_path) == []
    result = all_grounds(labelled_ground.ground_folder(tmp_path))
    kinds = {kind for _, _, kind in READERS.values()} | {"rio", "dubai"}
    assert {ground.kind for ground in result} == kinds
    shares = shares_by_kind(result)
    assert set(shares) == kinds
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)


def test_the_last_of_each_kind_are_held_out(tmp_path):
    labelled_ground.floods(tmp_path, tuple("abcdefgh"))
    masked_folder(tmp_path, "rio_buildings", images=3)
    labelled_ground.cities(tmp_path)
    grounds = all_grounds(tmp_path)
    learned, held_out = split_grounds(grounds)
    assert [ground.kind for ground in held_out] == ["flood"]
    assert len(learned) + len(held_out) == len(grounds)
    assert not {id(ground) for ground in learned} & {id(ground) for ground in held_out}
    floods_in_order = [ground for ground in grounds if ground.kind == "flood"]
    assert held_out[0] is floods_in_order[-1]


def test_some_plots_of_savanna_are_never_learned_from(tmp_path):
    labelled_ground.savanna(tmp_path, plots=SAVANNA_LEARNED + 2)
    plots = [before.stem for before, _ in savanna_plots(tmp_path)]
    learned = [ground.name for ground in savanna(tmp_path)]
    assert len(plots) == SAVANNA_LEARNED + 2
    assert learned == plots[:SAVANNA_LEARNED]


def test_nothing_changed_in_savanna_between_its_years(tmp_path):
    labelled_ground.savanna(tmp_path)
    for ground in savanna(tmp_path):
        assert len(ground.images) == 2
        assert not np.array_equal(*ground.images)
        assert not ground.change(0, 1).any()
        assert not any((cover & (Cover.BUILDING | Cover.WATER)).any() for cover in ground.covers)
