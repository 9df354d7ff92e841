"""Street grids: lots cut the picture into rectangles, and towns hold what their style says."""

import numpy as np
import pytest
from scipy import ndimage

from geochg.datasets.world import grids
from geochg.datasets.world.grids import (
    MOST_LOTS,
    STYLES,
    VACANT_DRY,
    VACANT_GREEN,
    lots,
    means,
    place,
)
from geochg.datasets.world.kinds import GROUPS
from geochg.datasets.world.plan import Frame
from geochg.datasets.world.settings import Draft


def _lots(seed, size_px=128, angle=0.0, block_px=40.0, least_px=8.0):
    return lots(np.random.default_rng(seed), Frame(size_px, 10.0), angle, block_px, least_px)


@pytest.mark.parametrize("seed", range(4))
def test_lots_are_rectangles_that_cover_the_picture(seed):
    found = _lots(seed)
    assert found.shape == (128, 128)
    assert found.dtype == np.uint8
    numbers = np.unique(found)
    np.testing.assert_array_equal(numbers, np.arange(len(numbers)))
    assert 8 < len(numbers) < MOST_LOTS
    for number in numbers:
        rows, cols = np.nonzero(found == number)
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(cols) + 1)


def test_lots_are_about_as_long_as_wanted():
    def side(block_px, least_px):
        counts = np.concatenate(
            [
                np.bincount(_lots(seed, block_px=block_px, least_px=least_px).ravel())
                for seed in range(4)
            ]
        )
        return np.sqrt(np.median(counts))

    assert side(30, 8) < side(60, 24) < 60


@pytest.mark.parametrize("angle", [0.4, 2.0])
def test_lots_follow_the_streets(angle):
    """Going along the streets changes the lot half as often as going across the two at once."""
    found = _lots(5, 200, angle, 60.0, 20.0)
    middle, far = 100, np.arange(-60, 60)
    crossings = []
    for turn in (0.0, np.pi / 4):
        way = angle + turn
        total = 0
        for off in range(-50, 51, 5):
            x = middle + far * np.cos(way) - off * np.sin(way)
            y = middle + far * np.sin(way) + off * np.cos(way)
            total += np.count_nonzero(np.diff(found[y.astype(int), x.astype(int)].astype(int)))
        crossings.append(total)
    assert crossings[0] < crossings[1]


@pytest.mark.parametrize("size_px", [128, 400])
@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_there_are_never_more_lots_than_can_be_numbered(size_px, angle):
    for seed in range(3):
        found = _lots(seed, size_px, angle, block_px=12.0, least_px=3.0)
        numbers = np.unique(found)
        np.testing.assert_array_equal(numbers, np.arange(len(numbers)))
        assert 100 < len(numbers) <= MOST_LOTS
        assert np.bincount(found.ravel()).max() < 0.1 * found.size
        # None is strewn about, but for slivers along its edges.
        for number in numbers:
            pieces, _ = ndimage.label(found == number, np.ones((3, 3)))
            assert np.bincount(pieces[pieces > 0])[1:].max() >= 0.95 * (found == number).sum()


def test_lots_too_many_are_merged_with_their_neighbours(monkeypatch):
    whole = _lots(0)
    monkeypatch.setattr(grids, "MOST_LOTS", 20)
    found = _lots(0)
    np.testing.assert_array_equal(np.unique(found), np.arange(20))
    assert np.bincount(found.ravel()).max() < 0.25 * found.size
    for number in range(20):
        assert ndimage.label(found == number, np.ones((3, 3)))[1] == 1
        # Each has one of those that there were all to itself.
        assert any((found[whole == n] == number).all() for n in np.unique(whole))


def test_a_seed_gives_the_same_lots_and_another_one_others():
    np.testing.assert_array_equal(_lots(1), _lots(1))
    assert (_lots(1) != _lots(2)).any()


def test_means_over_pieces():
    labels = np.array([[0, 0, 2], [2, 2, 2]], np.uint8)
    field = np.array([[1, 3, 2], [2, 2, 6]], np.float32)
    np.testing.assert_allclose(means(labels, field), [2, 0, 3])


@pytest.mark.parametrize("built_share", [0.25, 0.75])
def test_a_town_has_as_many_built_lots_as_wanted(built_share):
    for seed in range(3):
        draft = Draft(np.random.default_rng(seed), Frame(160, 10.0))
        plan = place(draft, "suburbs", built_share)
        built = np.mean([kind in STYLES["suburbs"] for kind in plan.parcels.before])
        assert built == pytest.approx(built_share, abs=0.06)
        assert set(plan.parcels.before) <= {*STYLES["suburbs"], *VACANT_DRY, *VACANT_GREEN}


@pytest.mark.parametrize("style", STYLES)
def test_a_town_is_unchanged_and_fits_together(style):
    draft = Draft(np.random.default_rng(7), Frame(128, 10.0))
    plan = place(draft, style, 0.6)
    assert plan.parcels.before == plan.parcels.after
    assert plan.parcels.labels.max() + 1 == len(plan.parcels.before) == len(plan.parcels.angles)
    assert set(plan.parcels.before) <= set(GROUPS)
    assert plan.angle == draft.angle
    assert plan.roads
    assert all(road.before and road.after for road in plan.roads)
