"""Which scales and which changes the world draws, and how often."""

import numpy as np
import pytest

from geochg.datasets.world import WorldOptions, scales, scene
from geochg.datasets.world.events import EVENTS
from geochg.datasets.world.kinds import BUILDING
from geochg.datasets.world.layouts import place
from geochg.datasets.world.marks import count
from geochg.datasets.world.pair import planned
from geochg.datasets.world.roads import DRIVE
from geochg.datasets.world.sensor import sensor

NEAR = {"gsd_min_m": 0.4, "gsd_max_m": 0.7, "coarse_share": 0.0}


def _drawn(low_m, high_m, number=3000):
    rng = np.random.default_rng(0)
    return np.array([scales.fine_gsd_m(rng, low_m, high_m) for _ in range(number)])


def test_most_fine_scenes_are_at_the_scales_that_are_judged():
    gsd_m = _drawn(0.2, 5.0)
    assert 0.38 < ((gsd_m > 0.4) & (gsd_m < 0.7)).mean() < 0.56
    assert 0.38 < ((gsd_m > 1.0) & (gsd_m < 2.5)).mean() < 0.56
    assert 0.01 < (gsd_m > 2.5).mean() < 0.1
    assert 0.01 < (gsd_m < 0.4).mean() < 0.1


@pytest.mark.parametrize("bounds", [(0.5, 0.6), (0.05, 0.1), (2.6, 4.0), (1.0, 1.0)])
def test_bounds_of_the_ground_sample_distance_hold(bounds):
    gsd_m = _drawn(*bounds, number=200)
    assert gsd_m.min() >= bounds[0] - 1e-9
    assert gsd_m.max() <= bounds[1] + 1e-9


def test_the_coarse_family_lies_about_ten_metres():
    rng = np.random.default_rng(0)
    gsd_m = np.array([scales.coarse_gsd_m(rng) for _ in range(1000)])
    assert gsd_m.min() > scales.COARSEST_FINE_M
    assert gsd_m.max() <= 15
    assert 0.4 < (gsd_m == 10).mean() < 0.6


def test_new_houses_stand_beside_old_ones():
    options = WorldOptions(
        size_px=256,
        unchanged_share=0.0,
        reversed_share=0.0,
        event_weights=_only("subdivision"),
        **NEAR,
    )
    plans = [planned(np.random.default_rng(seed), False, options) for seed in range(24)]
    new = [sum(not one.before and one.after for one in plan.buildings) for plan in plans]
    old = [sum(one.before and one.after for one in plan.buildings) for plan in plans]
    assert np.median(new) >= 4
    assert sum(a > 0 and b > 0 for a, b in zip(new, old, strict=True)) >= 8


def _only(name):
    return {one.__name__: float(one.__name__ == name) for one in EVENTS}


@pytest.mark.parametrize(
    ("name", "gsd_m", "least"), [("subdivision", 0.6, 3), ("store", 0.5, 1), ("quarter", 1.8, 1)]
)
def test_what_is_built_is_marked(name, gsd_m, least):
    options = WorldOptions(
        size_px=128,
        coarse_share=0.0,
        gsd_min_m=gsd_m,
        gsd_max_m=gsd_m,
        unchanged_share=0.0,
        reversed_share=0.0,
        nuisances=False,
        event_weights=_only(name),
    )
    pairs = [scene(seed, options) for seed in range(8)]
    built = [pair for pair in pairs if count(pair.classes == BUILDING) >= least]
    assert len(built) >= 3
    for pair in built:
        assert {event.name for event in pair.events} == {name}
        difference = np.abs(pair.after.astype(int) - pair.before).max(0)
        assert difference[pair.classes == BUILDING].mean() > 12


def test_drives_come_with_their_houses():
    found = 0
    for seed in range(12):
        _, plan = place(np.random.default_rng(seed), 128, 0.6)
        found += sum(one.line == DRIVE for one in plan.roads)
    assert found > 10
    options = WorldOptions(
        size_px=128, unchanged_share=0.0, reversed_share=0.0, event_weights=_only("infill"), **NEAR
    )
    for seed in range(12):
        plan = planned(np.random.default_rng(seed), False, options)
        for drive in (one for one in plan.roads if one.line == DRIVE):
            x, y = drive.points[0]
            hosts = [
                house
                for house in plan.buildings
                if np.hypot(house.centre[0] - x, house.centre[1] - y) < house.parts[0].length * 0.4
            ]
            assert hosts
            assert drive.before <= max(house.before for house in hosts)


def test_colour_casts_stay_plausible():
    rng = np.random.default_rng(0)
    gains = np.array([sensor(rng, 1.2, False).gain for _ in range(400)])
    cast = gains.max(1) / gains.min(1)
    assert 1.02 < np.median(cast) < 1.15
    assert np.quantile(cast, 0.99) < 1.35
