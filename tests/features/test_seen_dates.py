"""The first and the last image of a series that shows a change."""

import numpy as np
import shapely

from geochg.features.layer import ChangePeriod
from geochg.features.seen_dates import PeriodFeatures, seen_dates

PERIODS = [
    ChangePeriod("2018", "2019", 1),
    ChangePeriod("2019", "2020", 2),
    ChangePeriod("2020", "2021", 3),
    ChangePeriod("2018", "2021", None),
]
HOUSE, GONE = ("building", "appeared"), ("building", "disappeared")


def features(*rows):
    periods, kinds, shapes = zip(*rows, strict=True) if rows else ((), (), ())
    return PeriodFeatures(periods, kinds, np.array(shapes, dtype=object))


def box(x, size=10):
    return shapely.box(x, 0, x + size, 10)


def test_a_change_of_a_step_is_seen_until_its_ground_changes_again():
    steps = features((0, HOUSE, box(0)), (2, GONE, box(1)), (1, HOUSE, box(100)))
    dates = seen_dates(steps, steps, PERIODS)
    assert dates.first_seen == ["2019", "2021", "2020"]
    assert dates.last_seen == ["2020", "2021", "2021"]


def test_a_change_of_the_whole_is_first_seen_in_the_first_step_that_shows_it():
    steps = features((2, HOUSE, box(0)), (1, HOUSE, box(2)), (0, GONE, box(0)))
    whole = features((3, HOUSE, box(0)), (3, HOUSE, box(300)))
    dates = seen_dates(whole, steps, PERIODS)
    assert dates.first_seen == ["2020", None]
    assert dates.last_seen == ["2021", "2021"]


def test_neighbours_are_other_ground():
    steps = features((0, HOUSE, box(0)), (1, GONE, box(6)), (1, GONE, box(10)))
    assert seen_dates(steps, steps, PERIODS).last_seen[0] == "2021"


def test_nothing_around():
    assert seen_dates(features((3, HOUSE, box(0))), features(), PERIODS).first_seen == [None]
