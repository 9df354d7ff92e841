"""Pairs made of labelled ground: what is told of them is true of what is shown."""

import numpy as np
import pytest

from geochg.datasets.ground.covers import ANY, NOTHING, UNKNOWN_CHANGE, Cover
from geochg.datasets.ground.labelled import LabelledGround
from geochg.training.builtin import pairs as pairs_module
from geochg.training.builtin.augmentation import varied_date
from geochg.training.builtin.pairs import PairMaker, pair_batch

SIDE_PX = 64
FIELD = Cover.LOW | Cover.BARE


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small pairs are made faster."""
    monkeypatch.setattr(pairs_module, "SIDE_PX", SIDE_PX)


@pytest.fixture
def plain(monkeypatch):
    """Both dates are shown as they were put together."""
    monkeypatch.setattr(pairs_module, "varied_date", lambda image, rng, strength: image)
    monkeypatch.setattr(pairs_module, "_subpixel_shift", lambda image, rng: image)


def image(seed, bands=3, side=96, level=120):
    rng = np.random.default_rng(seed)
    return rng.integers(level - 40, level + 40, (side, side, bands)).astype(np.uint8)


def ground(cover, kind="a", seed=0, bands=3, level=120, shown_m=(1.0, 1.2), dates=1, **facts):
    """A place covered with one set of covers, or with a map of them."""
    images = [image(seed + date, bands, level=level) for date in range(dates)]
    whole = np.broadcast_to(np.asarray(cover, np.uint8), images[0].shape[:2]).copy()
    return LabelledGround(kind, images, [whole] * dates, 1.0, shown_m, 1.0, **facts)


def built(seed=0, kind="built", **facts):
    """Ground with a few buildings on it."""
    cover = np.full((96, 96), int(ANY - Cover.BUILDING), np.uint8)
    for row in (8, 40, 70):
        for col in (10, 45, 75):
            cover[row : row + 12, col : col + 10] = Cover.BUILDING
    return ground(cover, kind, seed, **facts)


def made(grounds, seeds=24, of=None):
    maker = PairMaker(grounds)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        yield maker.pair(rng) if of is None else maker.pair_of(of, rng)


def is_one(cover):
    """Where a set holds one cover only."""
    return (cover != NOTHING) & ((cover & (cover - 1)) == 0)


# --- all pairs -----------------------------------------------------------------------------------


def test_arrays_and_their_ranges():
    grounds = [built(), ground(Cover.WATER, "w", bands=4), ground(FIELD, "f", 3)]
    for pair in made(grounds):
        for shown in (pair.before, pair.after):
            assert shown.shape == (SIDE_PX, SIDE_PX, 4)
            assert shown.dtype == np.float32
            assert np.isfinite(shown).all()
            assert shown[..., :3].min() >= 0
            assert shown.max() <= 1
        # A near infrared is shown at both dates or at none.
        hidden = [bool((shown[..., 3] == -1).all()) for shown in (pair.before, pair.after)]
        assert hidden[0] == hidden[1]
        assert hidden[0] or min(pair.before[..., 3].min(), pair.after[..., 3].min()) >= 0
        assert pair.change.shape == pair.cover_before.shape == pair.cover_after.shape
        assert set(np.unique(pair.change)) <= {0, 1, UNKNOWN_CHANGE}
        assert 1.0 <= pair.resolution_m <= 1.2


def test_one_seed_gives_one_pair():
    def grounds():
        return [built(), ground(Cover.WATER, "w", 5), ground(FIELD, "f", 3, dates=2)]

    for one, other in zip(made(grounds(), 8), made(grounds(), 8), strict=True):
        for first, second in zip(one, other, strict=True):
            assert np.array_equal(first, second)
    first, second = made(grounds(), 2)
    assert not np.array_equal(first.before, second.before)


def test_disjoint_covers_have_changed_and_one_and_the_same_has_not():
    grounds = [built(), ground(Cover.WATER, "w", 5), ground(Cover.WOODY, "t", 7, level=90)]
    changed_px = 0
    for pair in made(grounds, 40):
        before, after = pair.cover_before, pair.cover_after
        seen = [(cover != NOTHING) & (cover != Cover.NOT_SEEN) for cover in (before, after)]
        both = seen[0] & seen[1]
        assert (pair.change[both & ((before & after) == 0)] == 1).all()
        assert not (pair.change[(before == after) & is_one(before)] == 1).any()
        assert (pair.change[~both] == UNKNOWN_CHANGE).all()
        changed_px += np.count_nonzero(pair.change == 1)
    assert changed_px > 1000


def test_ground_into_which_nothing_is_put_has_not_changed(monkeypatch):
    monkeypatch.setattr(pairs_module, "_put_in", lambda *_: None)
    still = [built(scenery=True), ground(FIELD, "f", 3, scenery=True)]
    for pair in made(still):
        assert not pair.change.any()
        assert np.array_equal(pair.cover_before, pair.cover_after)


@pytest.mark.parametrize("cover", [FIELD, Cover.WATER, Cover.WOODY])
def test_one_in_anothers_place_is_no_change(cover):
    # Of very different colours: crops, or lakes of another depth.
    grounds = [ground(cover, seed=3 * n, level=70 + 60 * n) for n in range(3)]
    for pair in made(grounds):
        assert not (pair.change == 1).any()
        assert (pair.change == 0).mean() > 0.5


def test_what_is_put_in_without_a_change_leaves_no_changed_seam(plain):
    grounds = [ground(FIELD, seed=3 * n, level=70 + 60 * n, scenery=True) for n in range(3)]
    pasted = 0
    for pair in made(grounds):
        moved = np.abs(pair.before - pair.after).max(axis=-1) > 0.02
        assert not (pair.change[moved] == 1).any()
        pasted += bool(moved.any() and (pair.change[moved] == 0).any())
    assert pasted > 5


def test_what_is_put_in_is_seen_where_it_is_told(plain):
    grounds = [built(scenery=True), ground(Cover.WATER, "built", 5, level=60, scenery=True)]
    found = 0
    for pair in made(grounds, 30):
        disjoint = (pair.cover_before & pair.cover_after) == 0
        gap = np.abs(pair.before - pair.after)[..., :3].mean(axis=-1)
        if disjoint.sum() > 50:
            assert gap[disjoint].mean() > 3 * gap[pair.change == 0].mean()
            found += 1
    assert found > 5


def test_unlabelled_things_of_another_colour_count_as_changed_and_of_the_same_as_unknown(plain):
    def share(levels):
        grounds = [ground(ANY, seed=n, level=level, scenery=True) for n, level in enumerate(levels)]
        found = [pair.change for pair in made(grounds)]
        return np.mean([(c == 1).mean() for c in found]), np.mean([(c != 0).mean() for c in found])

    alike, unlike = share((120, 120)), share((50, 200))
    assert alike[0] == 0 < alike[1]
    assert unlike[0] > 0.01


def test_both_orders_of_the_dates_come_up():
    with_change = ground(ANY - Cover.BUILDING, dates=2)
    covers = [with_change.covers[0], np.full((96, 96), int(Cover.BUILDING), np.uint8)]
    two = LabelledGround("a", with_change.images, covers, 1.0, (1.0, 1.2), 1.0, scenery=True)
    orders = set()
    for pair in made([two], 30):
        built_px = [
            np.count_nonzero(c == Cover.BUILDING) for c in (pair.cover_before, pair.cover_after)
        ]
        if abs(built_px[0] - built_px[1]) > SIDE_PX**2 / 2:
            orders.add(built_px[0] > built_px[1])
    assert orders == {False, True}


# --- real dates ----------------------------------------------------------------------------------


def test_what_is_known_of_two_dates_is_told(monkeypatch):
    monkeypatch.setattr(pairs_module, "_put_in", lambda *_: None)
    mask = np.zeros((96, 96), np.uint8)
    mask[:, 48:] = 1
    flooded = ground(ANY, dates=2, change=lambda first, second: mask, scenery=True)
    shares = {round(float((pair.change == 1).mean()), 1) for pair in made([flooded], 30)}
    # One date twice, which has not changed, comes up too.
    assert 0.0 in shares
    assert max(shares) > 0.2


def test_the_covers_of_two_dates_tell_where_nothing_else_does(monkeypatch):
    monkeypatch.setattr(pairs_module, "_put_in", lambda *_: None)
    one = built(dates=2)
    covers = [one.covers[0], np.full((96, 96), int(ANY - Cover.BUILDING), np.uint8)]
    two = LabelledGround("a", one.images, covers, 1.0, (1.0, 1.2), 1.0, scenery=True)
    told = set()
    for pair in made([two]):
        disjoint = (pair.cover_before & pair.cover_after) == 0
        assert set(np.unique(pair.change[disjoint])) <= {1, UNKNOWN_CHANGE}
        assert set(np.unique(pair.change[~disjoint])) <= {0, UNKNOWN_CHANGE}
        told |= set(np.unique(pair.change).tolist())
    assert told == {0, 1, UNKNOWN_CHANGE}


# --- clouds --------------------------------------------------------------------------------------


def test_clouds_are_not_seen_and_unknown(plain):
    cover = np.full((96, 96), int(ANY), np.uint8)
    cover[20:60, 20:70] = Cover.NOT_SEEN
    clouds = ground(cover, "cloud", 9, lends=False, shown_m=(5.0, 8.0))
    clouds.images[0][20:60, 20:70] = 250
    dark = ground(Cover.WATER, "w", level=60, shown_m=(5.0, 8.0))
    dark = LabelledGround(**{**vars(dark), "resolution_m": 5.0})
    clouds = LabelledGround(**{**vars(clouds), "resolution_m": 5.0})
    found = 0
    for pair in made([dark, clouds], 60, of=dark):
        hidden = [cover == Cover.NOT_SEEN for cover in (pair.cover_before, pair.cover_after)]
        either = hidden[0] | hidden[1]
        assert (pair.change[either] == UNKNOWN_CHANGE).all()
        assert not (pair.change == 1).any()
        found += bool(either.any())
        # Only one of the dates is under clouds.
        assert not (hidden[0].any() and hidden[1].any())
    assert found > 3


def test_fine_imagery_has_no_clouds_put_in():
    cover = np.full((96, 96), int(Cover.NOT_SEEN), np.uint8)
    clouds = ground(cover, "cloud", 9, lends=False, level=200)
    still = ground(Cover.WATER, "w")
    for pair in made([still, clouds], of=still):
        assert not (pair.cover_before == Cover.NOT_SEEN).any()


# --- batches -------------------------------------------------------------------------------------


def test_a_batch_is_tensors():
    batch = pair_batch(list(made([built(teaches_change=False)], 3)))
    assert batch["before"].shape == batch["after"].shape == (3, 4, SIDE_PX, SIDE_PX)
    assert batch["change"].shape == batch["cover_before"].shape == (3, SIDE_PX, SIDE_PX)
    assert batch["teaches_change"].tolist() == [False] * 3
    assert batch["resolution_m"].shape == (3,)


# --- augmentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [3, 4])
def test_dates_are_varied_apart_and_stay_pictures(bands):
    shown = image(0, bands) / np.float32(255)
    drawn = [varied_date(shown, np.random.default_rng(seed), 1.0) for seed in range(6)]
    for one in drawn:
        assert one.shape == shown.shape
        assert one.dtype == np.float32
        assert 0 <= one.min() <= one.max() <= 1
    assert np.abs(drawn[0] - drawn[1]).mean() > 0.02
    again = varied_date(shown, np.random.default_rng(0), 1.0)
    assert np.array_equal(again, drawn[0])


def test_what_is_alike_stays_alike():
    """Two halves keep their order of brightness in most draws: variation is no noise."""
    shown = np.full((SIDE_PX, SIDE_PX, 3), 0.3, np.float32)
    shown[:, 32:] = 0.7
    kept = 0
    for seed in range(20):
        one = varied_date(shown, np.random.default_rng(seed), 1.0)
        kept += one[:, 40:].mean() > one[:, :24].mean() + 0.1
    assert kept >= 18
