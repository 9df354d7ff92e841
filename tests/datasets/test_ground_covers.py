"""Land covers as sets, and when two of them tell a change."""

import numpy as np
import pytest

from geochg.datasets.ground.covers import (
    ANY,
    COVERS_OF_CLASS,
    NOTHING,
    UNKNOWN_CHANGE,
    Cover,
    changed_by_cover,
)
from geochg.records import LAND_COVER


def told(before, after):
    sets = (np.full((1, 1), int(cover), np.uint8) for cover in (before, after))
    return int(changed_by_cover(*sets)[0, 0])


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (Cover.LOW, Cover.BUILDING, 1),
        (ANY - Cover.BUILDING, Cover.BUILDING, 1),
        (ANY - Cover.WATER, Cover.WATER, 1),
        (Cover.LOW | Cover.WOODY, Cover.BARE | Cover.ROAD, 1),
        (Cover.WATER, Cover.WATER, 0),
        (Cover.BUILDING, Cover.BUILDING, 0),
        # One crop in another's place, and a field that was ploughed.
        (Cover.LOW | Cover.BARE, Cover.LOW | Cover.BARE, 0),
        # Both may be the same, or not.
        (ANY - Cover.BUILDING, ANY - Cover.BUILDING, UNKNOWN_CHANGE),
        (ANY, Cover.WATER, UNKNOWN_CHANGE),
        (Cover.LOW | Cover.WOODY, Cover.LOW | Cover.WOODY, UNKNOWN_CHANGE),
        (Cover.LOW | Cover.BARE, Cover.LOW, UNKNOWN_CHANGE),
        (NOTHING, Cover.BUILDING, UNKNOWN_CHANGE),
        (NOTHING, NOTHING, UNKNOWN_CHANGE),
        (Cover.NOT_SEEN, Cover.BUILDING, UNKNOWN_CHANGE),
        (Cover.NOT_SEEN, Cover.NOT_SEEN, UNKNOWN_CHANGE),
    ],
)
def test_what_two_sets_tell(before, after, wanted):
    assert told(before, after) == told(after, before) == wanted


def test_no_set_is_changed_into_itself():
    sets = np.arange(128, dtype=np.uint8)[None]
    assert not (changed_by_cover(sets, sets) == 1).any()


def test_the_bits_are_the_covers_in_order():
    names = ["BARE", "LOW", "WOODY", "WATER", "ROAD", "BUILDING"]
    assert [int(Cover[name]) for name in names] == [1 << place for place in range(len(LAND_COVER))]
    assert sum(Cover[name] for name in names) == ANY
    joined = 0
    for cover in COVERS_OF_CLASS.values():
        assert not joined & cover
        joined |= cover
    assert joined == ANY
