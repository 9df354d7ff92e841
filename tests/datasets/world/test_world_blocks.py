"""Events on blocks: they touch the lots they pick and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from geochg.datasets.world import blocks, grids, houses
from geochg.datasets.world.kinds import APPEARED, BARE, GROUPS, Mark
from geochg.datasets.world.light import NOON
from geochg.datasets.world.marks import masks
from geochg.datasets.world.plan import MARGIN_PX, Frame, Parcels
from geochg.datasets.world.render import Painter, calm
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.shapes import coordinates

SIZE, LOT = 96, 16
KINDS = ("town", "grass", "sparse", "soil", "dense", "forest", "water", "groundwork", "tarmac")
EVENTS = {
    blocks.filled: (("low", "dry", "worked"), {"town", "dense", "sparse"}, 14),
    blocks.cleared: (("built", "garden"), {"groundwork", "soil", "lawn"}, 6),
    blocks.rebuilt: (("built",), {"town", "dense"}, 5),
    blocks.densified: (("garden",), {"town"}, 8),
    blocks.levelled: (("low", "dry", "wood"), {"groundwork"}, 6),
    blocks.trade: (("low", "dry", "worked"), {"tarmac", "concrete", "groundwork"}, 4),
}
"""Groups of lots that events take, kinds they leave, and the most lots they change."""


def _draft(seed, frame):
    draft = Draft(np.random.default_rng(seed), frame)
    draft.angle = 0.0
    return draft


def _chequered(seed, kinds=KINDS, gsd_m=10.0):
    """A draft, and a plan of square lots whose kinds take turns, with a hall in the midst of each.

    Halls stand where the kind is built.
    """
    frame = Frame(SIZE, gsd_m)
    draft = _draft(seed, frame)
    line = np.arange(SIZE) // LOT
    labels = (line[:, None] * (SIZE // LOT) + line).astype(np.uint8)
    count = int(labels.max()) + 1
    names = tuple(kinds[n % len(kinds)] for n in range(count))
    plan = draft.plan("coarse", Parcels(labels, names, names, np.zeros(count), 0.0))
    rng = np.random.default_rng(0)
    middles = [
        (n % (SIZE // LOT) * LOT + 8.0, n // (SIZE // LOT) * LOT + 8.0) for n in range(count)
    ]
    standing = (
        houses.hall(rng, frame, *middles[n], 0.0, 50.0, 40.0)
        for n, name in enumerate(names)
        if GROUPS[name] in ("built", "garden")
    )
    return draft, replace(plan, buildings=tuple(standing))


def _changed_lots(old, new):
    return [n for n, kind in enumerate(new.parcels.after) if kind != old.parcels.after[n]]


@pytest.mark.parametrize("event", EVENTS, ids=lambda one: one.__name__)
def test_events_change_some_lots_of_the_kinds_they_are_for(event):
    groups, kinds, most = EVENTS[event]
    for seed in range(6):
        draft, plan = _chequered(seed)
        found = event(draft, plan)
        picks = _changed_lots(plan, found)
        assert 1 <= len(picks) <= most
        for number in picks:
            assert GROUPS[plan.parcels.before[number]] in groups
            assert found.parcels.after[number] in kinds
        assert found.parcels.before == plan.parcels.before
        np.testing.assert_array_equal(found.parcels.labels, plan.parcels.labels)
        assert [one.name for one in found.events] == [event.__name__]


@pytest.mark.parametrize("event", EVENTS, ids=lambda one: one.__name__)
def test_buildings_go_with_their_lot_and_the_others_stay(event):
    for seed in range(4):
        draft, plan = _chequered(seed)
        found = event(draft, plan)
        spot = np.isin(plan.parcels.labels, _changed_lots(plan, found)).astype(np.float32)
        standing = found.buildings[: len(plan.buildings)]
        assert [one.seed for one in standing] == [one.seed for one in plan.buildings]
        for one in standing:
            assert one.before
            assert one.after != houses.stands_on(spot, one)
        fresh = found.buildings[len(plan.buildings) :]
        assert (event is blocks.trade) == bool(fresh)
        for one in fresh:
            assert not one.before
            assert one.after
            assert houses.covers(spot, one.parts[-1].x, one.parts[-1].y)


@pytest.mark.parametrize("event", EVENTS, ids=lambda one: one.__name__)
def test_nothing_happens_where_no_lot_is_fit(event):
    draft, plan = _chequered(0, ("water",))
    assert event(draft, plan) is None


@pytest.mark.parametrize("event", EVENTS, ids=lambda one: one.__name__)
def test_lots_that_changed_already_are_left_alone(event):
    draft, plan = _chequered(0)
    water = ("water",) * len(plan.parcels.after)
    assert event(draft, replace(plan, parcels=replace(plan.parcels, after=water))) is None


def test_lots_too_small_to_be_seen_are_left_alone():
    draft, plan = _chequered(0, ("grass",))
    labels = np.ones_like(plan.parcels.labels)
    labels[:5, :5] = 0
    parcels = Parcels(labels, ("grass", "water"), ("grass", "water"), np.zeros(2), 0.0)
    assert blocks.filled(draft, replace(plan, parcels=parcels)) is None
    labels[:6, :6] = 0
    assert blocks.filled(draft, replace(plan, parcels=parcels)) is not None


def test_tracks_lie_on_levelled_lots_alone():
    for seed in range(4):
        draft, plan = _chequered(seed)
        found = blocks.levelled(draft, plan)
        (tracks,) = found.areas
        elsewhere = ~np.isin(plan.parcels.labels, _changed_lots(plan, found))
        assert not tracks.cover[elsewhere].any()
        assert tracks.mark == Mark(BARE, APPEARED)


def _marked(event):
    """The plan after an event that lies within the picture, and where it is marked."""
    for seed in range(10):
        draft, plan = _chequered(seed)
        found = event(draft, replace(plan, buildings=()))
        marked = masks(found, (NOON, NOON)).classes > 0
        if marked.sum() > LOT**2 / 2:
            return found, marked
    raise AssertionError("all of it lies outside")


@pytest.mark.parametrize("event", EVENTS, ids=lambda one: one.__name__)
def test_pictures_differ_where_the_mask_says_and_nowhere_else(event):
    found, marked = _marked(event)
    when = calm(SIZE)
    before, after = (Painter(found, date, when, 5).picture().rgb for date in (False, True))
    difference = np.abs(after - before).max(2)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    # Denser blocks differ least from those that were there.
    assert difference[marked].mean() > (0.01 if event is blocks.rebuilt else 0.03)
    # Halls throw shadows, and the line between lots is a pixel or two wide.
    near = ndimage.binary_dilation(marked, iterations=3)
    assert difference[~near].max(initial=0) < 0.02


@pytest.mark.parametrize("angle", [0.0, 0.6, 2.5])
def test_halls_stand_on_their_lot_in_the_direction_of_the_streets(angle):
    frame = Frame(160, 2.0)
    draft = Draft(np.random.default_rng(1), frame)
    draft.angle = angle
    labels = grids.lots(draft.rng, frame, angle, 60.0, 20.0)
    count = int(labels.max()) + 1
    tarmac = ("tarmac",) * count
    plan = draft.plan("coarse", Parcels(labels, tarmac, tarmac, np.zeros(count), 0.0))
    found = 0
    for number in range(count):
        within = (labels == number).astype(np.float32)
        # Lots cut by the edge of the picture are no rectangles.
        edge = np.concatenate((within[0], within[-1], within[:, 0], within[:, -1]))
        if edge.any():
            continue
        for one in blocks.on_lot(draft, plan, number):
            main = one.parts[-1]
            assert houses.covers(within, main.x, main.y)
            assert main.angle == angle
            assert main.length * main.width < within.sum()
            found += 1
    assert found >= 3


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_halls_on_a_long_lot_keep_to_it_and_apart(angle):
    frame = Frame(SIZE, 10.0)
    along, across = coordinates(SIZE, angle)
    labels = ((abs(along) < 19) & (abs(across) < 9)).astype(np.uint8)
    parcels = Parcels(labels, ("grass", "tarmac"), ("grass", "tarmac"), np.zeros(2), 0.0)
    twos = 0
    for seed in range(40):
        draft = _draft(seed, frame)
        draft.angle = angle
        mains = [one.parts[-1] for one in blocks.on_lot(draft, draft.plan("coarse", parcels), 1)]
        for main in mains:
            corners = main.corners() - (SIZE - 1) / 2
            u = corners @ (np.cos(angle), np.sin(angle))
            v = corners @ (-np.sin(angle), np.cos(angle))
            assert abs(u).max() < 19
            assert abs(v).max() < 9
        if len(mains) == 2:
            first, second = mains
            apart = np.hypot(first.x - second.x, first.y - second.y)
            assert apart > first.length
            twos += 1
    assert twos >= 5


def test_halls_that_stand_from_the_start_are_on_car_parks():
    draft, plan = _chequered(0)
    found = blocks.standing_halls(draft, plan)
    assert len(found) == plan.parcels.before.count("tarmac")
    park = np.array([kind == "tarmac" for kind in plan.parcels.before])[plan.parcels.labels]
    for one in found:
        assert one.before
        assert one.after
        assert park[int(one.parts[-1].y), int(one.parts[-1].x)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda one: one.__name__)
def test_a_seed_gives_the_same_event(event):
    first, second = (event(*_chequered(3)) for _ in range(2))
    assert first.parcels.after == second.parcels.after
    assert first.buildings == second.buildings
