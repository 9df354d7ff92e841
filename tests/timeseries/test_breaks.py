"""Breaks of drawn series whose breaks are known."""

import numpy as np
import pytest

from geochg.errors import InputError, OptionError
from geochg.timeseries.breaks import BreakRules, find_breaks

DATES = np.datetime64("2020-01-05") + 15 * np.arange(73)


def drawn(places=100, features=1, noise=0.03, seed=0):
    """Seasonal series of three years: amplitude .2 at a phase of its own for each place."""
    generator = np.random.default_rng(seed)
    phase = generator.uniform(0, 2 * np.pi, (places, 1, features))
    turn = 2 * np.pi * (DATES - DATES[0]).astype(float)[:, None] / 365.25
    return 0.4 + 0.2 * np.sin(turn + phase) + generator.normal(0, noise, (places, 73, features))


def test_an_abrupt_break_is_dated_by_its_neighbours():
    values = drawn()
    values[:, 50:] += 0.3
    breaks = find_breaks(DATES, values)
    right = breaks.break_date == DATES[50]
    assert right.mean() > 0.95
    assert (breaks.break_from[right] == DATES[49]).all()
    assert np.allclose(breaks.shift[right], 0.3, atol=0.1)


def test_a_subset_of_places_gives_the_same_breaks():
    values = drawn(40, 2)
    values[::2, 40:] -= 0.25
    whole, part = find_breaks(DATES, values), find_breaks(DATES, values[7:9])
    assert (whole.status[7:9] == part.status).all()
    assert np.allclose(whole.rmse[7:9], part.rmse)


def test_too_short_series_name_the_number_of_dates():
    with pytest.raises(InputError, match="too short: 9 dates were observed at a place, 13 are"):
        find_breaks(DATES[:9] + 30 * np.arange(9), drawn(3)[:, :9])


def test_an_unknown_method_names_the_known():
    with pytest.raises(OptionError, match="there is no method 'magic'"):
        find_breaks(DATES, drawn(1), BreakRules(method="magic"))
