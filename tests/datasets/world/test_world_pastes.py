"""Pairs with real town pasted: marked where pictures differ, and telling nothing by their edges."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from geochg.datasets.world import WorldOptions, scene
from geochg.datasets.world.kinds import ALTERED, APPEARED, BARE, BUILDING, DISAPPEARED
from geochg.datasets.world.pastes import pasted, zones
from geochg.datasets.world.patches import TOWN, Patch
from geochg.datasets.world.plan import Frame
from geochg.datasets.world.settings import Draft

PLAIN = WorldOptions(size_px=96, nuisances=False, reversed_share=0.0)
SEEDS = range(16)
SPECKS_PX = 25
"""Soft edges and pieces too small for masks may differ unmarked."""

TOWN_RGB, LAND_RGB = (0.75, 0.1, 0.1), (0.1, 0.1, 0.75)


def made_up(rng, size_px, gsd_m, kind):
    """Red towns and blue land, which nothing that is drawn looks like; both are rough."""
    colour = np.array(TOWN_RGB if kind == TOWN else LAND_RGB, np.float32)
    rough = rng.uniform(0.5, 1.2, (size_px, size_px, 1)).astype(np.float32)
    return Patch(colour * rough, np.ones((size_px, size_px), np.float32), gsd_m)


def _pair(seed, options=PLAIN, changed=True, source=made_up):
    return pasted(seed, np.random.default_rng(seed), options, source, changed)


def _red(picture):
    """Where a picture shows made-up town."""
    red, green, blue = picture.astype(int)
    return (red > 2 * green + 20) & (red > 2 * blue + 20)


def _difference(pair):
    return np.abs(pair.after.astype(int) - pair.before).max(0)


@pytest.fixture(scope="module")
def changed_pairs():
    return [_pair(seed) for seed in SEEDS]


def test_pairs_are_marked_where_they_differ(changed_pairs):
    assert np.mean([pair.changed for pair in changed_pairs]) > 0.7
    for pair in changed_pairs:
        marked, differs = pair.classes > 0, _difference(pair) > 40
        near = ndimage.binary_dilation(marked, iterations=2)
        assert (differs & ~near).sum() <= SPECKS_PX
        if pair.changed:
            assert _difference(pair)[marked].mean() > 25


def test_towns_come_in_pairs_that_are_not_turned_round(changed_pairs):
    seen = set()
    for pair in changed_pairs:
        seen |= set(np.unique(pair.directions[pair.classes > 0]).tolist())
        assert set(np.unique(pair.classes)) <= {0, BUILDING}
        come = pair.directions == APPEARED
        if come.any():
            assert _red(pair.after)[come].mean() > 0.8
            assert _red(pair.before)[come].mean() < 0.2
    assert seen == {APPEARED, ALTERED}


def test_towns_go_in_pairs_that_are_turned_round():
    options = dataclasses.replace(PLAIN, reversed_share=1.0)
    pairs = [_pair(seed, options) for seed in SEEDS]
    seen = set()
    for pair in pairs:
        seen |= set(
            zip(pair.classes.ravel().tolist(), pair.directions.ravel().tolist(), strict=True)
        )
        gone = pair.directions == DISAPPEARED
        if gone.any():
            assert _red(pair.before)[gone].mean() > 0.8
            assert _red(pair.after)[gone].mean() < 0.2
    assert {(0, 0), (BUILDING, DISAPPEARED)} <= seen
    assert seen <= {(0, 0), (BUILDING, DISAPPEARED), (BUILDING, ALTERED), (BARE, APPEARED)}


def test_pairs_without_change_have_their_patch_at_both_dates(changed_pairs):
    patched = 0
    for seed, changed in zip(SEEDS, changed_pairs, strict=True):
        pair = _pair(seed, changed=False)
        assert not pair.changed
        assert not pair.directions.any()
        assert not pair.counts
        assert not pair.events
        assert (_difference(pair) > 20).mean() < 0.01
        here, there = _red(pair.before), _red(pair.after)
        assert (here != there).mean() < 0.01
        # What changes there lies here with the same edge, through the town or against the land.
        marked = ndimage.binary_erosion(changed.directions == APPEARED)
        around = ndimage.binary_dilation(changed.classes > 0, iterations=5)
        around &= ~ndimage.binary_dilation(changed.classes > 0, iterations=2)
        if marked.any() and around.any():
            assert abs(here[marked].mean() - here[around].mean()) > 0.5
            patched += 1
    assert patched >= 8


@pytest.mark.parametrize("changed", [False, True])
def test_a_seed_gives_the_same_pair(changed):
    options = WorldOptions(size_px=64)
    for seed in range(3):
        first, second = (_pair(seed, options, changed) for _ in range(2))
        for name in ("before", "after", "classes", "directions", "land_before", "land_after"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert first.gsd_m == second.gsd_m


def test_there_is_no_pair_without_a_town():
    assert _pair(0, source=lambda rng, size_px, gsd_m, kind: None) is None


def test_nothing_is_pasted_where_the_town_is_not():
    def left(rng, size_px, gsd_m, kind):
        found = made_up(rng, size_px, gsd_m, kind)
        found.cover[:, size_px // 2 :] = 0
        return found

    pairs = [_pair(seed, source=left) for seed in SEEDS]
    assert sum(pair.changed for pair in pairs) >= 5
    for pair in pairs:
        assert not pair.classes[:, 48 + 6 :].any()
        assert not (_difference(pair)[:, 48 + 6 :] > 20).any()


def test_zones_lie_where_it_is_worth_it():
    worth = np.zeros((128, 128), np.float32)
    worth[:, :64] = 1
    full = 0
    for seed in range(24):
        found = zones(Draft(np.random.default_rng(seed), Frame(128, 10.0)), worth)
        assert found.shape == (128, 128)
        assert found.dtype == np.float32
        assert 0 <= found.min() <= found.max() <= 1 + 1e-6
        assert not (found[:, 64 + 6 :] > 0.01).any()
        soft = (found > 0.05) & (found < 0.95)
        assert soft.any() == (found > 0.05).any()
        full += (found > 0.95).any()
    assert full > 12


def test_there_is_no_zone_where_nothing_is_worth_it():
    for seed in range(6):
        draft = Draft(np.random.default_rng(seed), Frame(96, 10.0))
        assert not zones(draft, np.zeros((96, 96), np.float32)).any()


def test_zones_are_of_many_sizes_and_no_specks():
    worth = np.ones((128, 128), np.float32)
    shares = []
    for seed in range(30):
        found = zones(Draft(np.random.default_rng(seed), Frame(128, 10.0)), worth) > 0.5
        shares.append(found.mean())
    assert min(shares) > 20 / 128**2
    assert min(shares) < 0.05
    assert max(shares) > 0.2


def test_scenes_use_the_cities_of_a_folder(tmp_path, city_dates):
    options = WorldOptions(size_px=64, coarse_share=1.0, real_share=1.0, real_dir=str(tmp_path))
    pairs = [scene(seed, options) for seed in range(5)]
    assert sum(pair.family == "real_pasted" for pair in pairs) >= 2
    for pair in pairs[:3]:
        assert pair.before.shape == pair.after.shape == (3, 64, 64)
        again = scene(pair.seed, options)
        np.testing.assert_array_equal(pair.after, again.after)
        np.testing.assert_array_equal(pair.classes, again.classes)
