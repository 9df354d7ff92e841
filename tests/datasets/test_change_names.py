"""What changes between sets of land covers are called."""

from itertools import product

import numpy as np
import pytest

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS
from geochg.datasets.ground.change_names import change_name, change_names
from geochg.datasets.ground.covers import ANY, NOTHING, Cover
from geochg.land_cover import agrees, class_and_direction
from geochg.records import LAND_COVER, Change

FIELD = Cover.LOW | Cover.BARE
PLANTS = Cover.LOW | Cover.WOODY


def covers(cover):
    return [name for place, name in enumerate(LAND_COVER) if cover >> place & 1]


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (ANY - Cover.BUILDING, Cover.BUILDING, ("building", Change.APPEARED)),
        (Cover.BUILDING, ANY - Cover.BUILDING, ("building", Change.DISAPPEARED)),
        (ANY - Cover.WATER, Cover.WATER, ("water", Change.APPEARED)),
        (FIELD, Cover.ROAD, ("road", Change.APPEARED)),
        (FIELD, Cover.WOODY, ("vegetation", Change.APPEARED)),
        (Cover.WATER, PLANTS, ("water", Change.DISAPPEARED)),
        (Cover.BUILDING, Cover.ROAD, ("building", Change.DISAPPEARED)),
        (Cover.BARE, PLANTS, ("vegetation", Change.APPEARED)),
        (PLANTS, Cover.BARE, ("bare", Change.APPEARED)),
    ],
)
def test_a_change_is_called_by_what_is_true_of_all_covers(before, after, name):
    assert change_name(before, after) == name


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ANY, Cover.BUILDING),
        (Cover.WATER, Cover.WATER),
        (NOTHING, Cover.WATER),
        (Cover.BUILDING, NOTHING),
        (Cover.NOT_SEEN, Cover.WATER),
        (Cover.BARE, PLANTS | Cover.NOT_SEEN),
        # A road that goes for a building, or the other way round: no class is true of both.
        (Cover.ROAD | Cover.WATER, Cover.BUILDING | Cover.BARE),
    ],
)
def test_what_is_not_true_of_all_covers_has_no_name(before, after):
    assert change_name(before, after) is None


def test_names_agree_with_the_one_table_of_names():
    for before, after in product(range(2 * Cover.NOT_SEEN), repeat=2):
        name = change_name(before, after)
        pairs = list(product(covers(before), covers(after)))
        if len(pairs) == 1 and before != after and max(before, after) < Cover.NOT_SEEN:
            assert name == class_and_direction(*pairs[0])
        if name is not None:
            assert all(agrees(*name, *pair) for pair in pairs)


def test_pixels_are_named_one_by_one():
    before = np.array([[ANY - Cover.WATER, Cover.BUILDING, ANY, Cover.WOODY]], np.uint8)
    after = np.array([[Cover.WATER, FIELD, ANY, Cover.WOODY]], np.uint8)
    names = change_names(before, after)
    assert [CLASS_NAMES[index] for index in names.classes[0]] == [
        "water",
        "building",
        "none",
        "none",
    ]
    assert [DIRECTIONS[index] for index in names.directions[0, :2]] == ["appeared", "disappeared"]
    possible = [
        {name for index, name in enumerate(CLASS_NAMES) if bits >> index & 1}
        for bits in names.possible[0].tolist()
    ]
    assert possible[0] == {"water", "building"}
    assert possible[1] == {"building"}
    assert possible[2] == set(CLASS_NAMES) - {"none", "other"}
    assert possible[3] == {"vegetation"}
