"""Strata and random units: every pixel in one stratum, areas by the ellipsoid, equal chances."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox

from geochg.accuracy.allocation import (
    LEAST_UNITS,
    equal_allocation,
    optimal_allocation,
    units_for_error,
)
from geochg.accuracy.draw import draw_units, survey_frame
from geochg.accuracy.strata import FAR, NEAR, Strata
from geochg.errors import OptionError
from geochg.events import ignore

GRID = GeoBox.from_bbox((500_000, 5_200_000, 501_500, 5_201_300), "EPSG:32633", resolution=1)
SIDE_M = 100


@pytest.fixture(scope="module")
def strata():
    boxes = [shapely.box(500_100 + x, 5_200_100, 500_200 + x, 5_200_200) for x in (0, 1100)]
    frame = gpd.GeoDataFrame(
        {"class": ["building", "water"], "change": ["appeared", "disappeared"]},
        geometry=boxes,
        crs=32633,
    )
    return Strata.of_layer(frame, GRID, near_m=20)


def seen_all(window):
    return np.ones((window.height_px, window.width_px), bool)


def without_the_west(window):
    columns = np.arange(window.col_start, window.col_stop)
    return np.broadcast_to(columns >= 50, (window.height_px, window.width_px))


def test_areas_add_up_to_the_ground(strata):
    frame = survey_frame(GRID, strata, without_the_west, ignore)
    areas = frame.areas_m2()
    assert areas["building appeared"] == pytest.approx(SIDE_M**2, rel=0.002)
    # A ring of 20 m around two squares, its corners round.
    assert areas[NEAR] == pytest.approx(2 * (4 * SIDE_M * 20 + np.pi * 20**2), rel=0.01)
    assert frame.unseen_m2 == pytest.approx(50 * 1300, rel=0.002)
    assert sum(areas.values()) + frame.unseen_m2 == pytest.approx(1500 * 1300, rel=0.002)


def test_units_lie_in_their_strata_and_on_seen_ground(strata):
    frame = survey_frame(GRID, strata, without_the_west, ignore)
    units = dict.fromkeys(strata.names, 200)
    points, drawn = draw_units(frame, units, without_the_west, seed=1)
    assert np.bincount(drawn).tolist() == [200] * 4
    assert (points[:, 0] >= 50).all()
    assert len(np.unique(points, axis=0)) == 800
    assert (strata.of_points(points) == drawn).all()
    again, _ = draw_units(frame, units, without_the_west, seed=1)
    other, _ = draw_units(frame, units, without_the_west, seed=2)
    assert (again == points).all()
    assert not (other == points).all()
    # The order tells nothing of the strata.
    assert len(set(drawn[:50].tolist())) == 4


def test_units_are_spread_evenly_over_a_stratum(strata):
    frame = survey_frame(GRID, strata, seen_all, ignore)
    points, drawn = draw_units(frame, {FAR: 4000}, seen_all, seed=3)
    assert (drawn == strata.names.index(FAR)).all()
    counts, _, _ = np.histogram2d(*points.T, bins=5, range=[[0, 1500], [300, 1300]])
    # 25 cells without changes; chi-squared with 24 degrees of freedom is below 43 in 99 of 100.
    expected = counts.sum() / 25
    assert ((counts - expected) ** 2 / expected).sum() < 43


def test_a_stratum_smaller_than_wanted_gives_all_it_has(strata):
    frame = survey_frame(GRID, strata, seen_all, ignore)
    _, drawn = draw_units(frame, {"building appeared": 20_000, NEAR: 5}, seen_all, seed=1)
    assert np.bincount(drawn, minlength=4).tolist() == [SIDE_M**2, 0, 5, 0]


def test_allocations():
    areas = {"a": 1.0, "b": 9.0, NEAR: 30.0, FAR: 960.0}
    is_change = {"a": True, "b": True, NEAR: False, FAR: False}
    assert equal_allocation(areas, 202) == {"a": 50, "b": 50, NEAR: 51, FAR: 51}
    optimal = optimal_allocation(areas, is_change, 200)
    assert sum(optimal.values()) == 200
    assert optimal["a"] == LEAST_UNITS
    assert optimal[FAR] > optimal[NEAR] >= LEAST_UNITS
    spread = (10 * np.sqrt(0.21) + 990 * np.sqrt(0.0475)) / 1000
    assert units_for_error(areas, is_change, 0.01) == int(np.ceil((spread / 0.01) ** 2))
    for allocate in (
        lambda: equal_allocation(areas, 19),
        lambda: optimal_allocation(areas, is_change, 19),
    ):
        with pytest.raises(OptionError, match="19 units are too few for 4 strata"):
            allocate()
