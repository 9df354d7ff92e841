"""Breaks of drawn series whose breaks are known, by the default method."""

import numpy as np
import pytest
from seasonal_places import DATES, YEARS, annual_series, seasonal_places, with_outliers

from geochg.errors import InputError, OptionError
from geochg.timeseries.breaks import BreakRules, find_breaks

MOST_FALSE_ALARMS = 0.05


def broken(breaks):
    return breaks.status == "break"


def test_an_abrupt_break_is_dated_by_its_neighbours():
    values = seasonal_places()
    values[:, 50:] += 0.3
    breaks = find_breaks(DATES, values)
    right = breaks.break_date == DATES[50]
    assert right.mean() > 0.85
    assert (breaks.break_to[right] == DATES[50]).all()
    assert (breaks.break_from[right] == DATES[49]).all()
    assert np.median(breaks.shift[right]) == pytest.approx(0.3, abs=0.04)
    assert np.median(breaks.strength[right]) == pytest.approx(0.3 / 0.05, rel=0.25)
    assert breaks.persistence[right].mean() > 0.9
    assert not breaks.is_early.any()


def test_a_break_lies_between_the_observations_of_its_place():
    values = seasonal_places(seen=0.6)
    values[:, 45:] -= 0.35
    breaks = find_breaks(DATES, values)
    right = 0
    for place in np.flatnonzero(broken(breaks)):
        days = DATES[np.isfinite(values[place, :, 0])]
        right += breaks.break_from[place] == days[days < DATES[45]][-1]
        assert breaks.break_from[place] in days
        assert breaks.break_to[place] == days[days > breaks.break_from[place]][0]
    assert right > 0.8 * len(values)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(seasonal_places(400), id="season"),
        pytest.param(seasonal_places(400, amplitude=0), id="flat"),
        pytest.param(seasonal_places(400, seen=0.5), id="gaps"),
        pytest.param(seasonal_places(200, 5, correlation=0.5), id="correlated"),
        pytest.param(seasonal_places(400, correlation=0.7), id="more correlated"),
        pytest.param(with_outliers(seasonal_places(400)), id="outliers"),
        pytest.param(seasonal_places(400) + 0.05 * YEARS[:, None], id="trend"),
    ],
)
def test_stable_places_raise_few_false_alarms_and_their_intervals_hold(values):
    breaks = find_breaks(DATES, values)
    assert broken(breaks).mean() <= MOST_FALSE_ALARMS
    assert 0.88 <= breaks.mean_coverage <= 0.98
    assert np.median(breaks.forecasts) > 10


def test_annual_dates_need_no_season():
    dates, values = annual_series()
    stable = find_breaks(dates, values)
    assert broken(stable).mean() <= MOST_FALSE_ALARMS
    assert 0.9 <= stable.mean_coverage <= 0.99
    values[:, 8:, 1] += 0.4
    breaks = find_breaks(dates, values)
    assert (breaks.break_date == dates[8]).mean() > 0.9
    assert (breaks.feature[broken(breaks)] == 1).mean() > 0.98


def test_a_break_before_there_is_a_history_is_found_from_the_end():
    values = seasonal_places()
    values[:, :8] += 0.35
    breaks = find_breaks(DATES, values)
    right = breaks.break_date == DATES[8]
    assert right.mean() > 0.7
    assert breaks.is_early[right].all()
    assert np.median(breaks.shift[right]) == pytest.approx(-0.35, abs=0.05)


def test_the_last_dates_break_when_enough_of_them_are_off():
    values = seasonal_places()
    values[:, -4:] += 0.4
    assert broken(find_breaks(DATES, values)).mean() > 0.8
    values = seasonal_places()
    values[:, -2:] += 0.4
    assert broken(find_breaks(DATES, values)).mean() <= MOST_FALSE_ALARMS


def test_a_gradual_change_is_found_while_it_goes_on():
    values = seasonal_places()
    ramp = np.clip((np.arange(73) - 40) / 15, 0, 1)
    breaks = find_breaks(DATES, values - 0.4 * ramp[:, None])
    assert broken(breaks).mean() > 0.8
    dates = breaks.break_date[broken(breaks)]
    assert ((dates >= DATES[40]) & (dates <= DATES[60])).mean() > 0.9
    assert (breaks.shift[broken(breaks)] < 0).mean() > 0.95


def test_a_season_that_ends_is_a_break():
    values = seasonal_places(amplitude=0.3)
    flat = seasonal_places(amplitude=0, seed=1)
    values[:, 45:] = flat[:, 45:]
    breaks = find_breaks(DATES, values)
    assert broken(breaks).mean() > 0.6
    delay = (breaks.break_date[broken(breaks)] - DATES[45]).astype(int)
    assert np.median(delay) < 120
    # An observation or two before it may have been off by chance.
    assert (delay < -45).mean() < 0.05


def test_of_two_breaks_the_first_counts():
    values = seasonal_places()
    values[:, 40:] += 0.3
    values[:, 58:] += 0.3
    breaks = find_breaks(DATES, values)
    assert (breaks.break_date == DATES[40]).mean() > 0.75


def test_a_departure_that_ends_counts_only_when_asked_for():
    values = seasonal_places()
    values[:, 35:42] += 0.4
    assert broken(find_breaks(DATES, values)).mean() <= MOST_FALSE_ALARMS
    breaks = find_breaks(DATES, values, BreakRules(least_persistence=0))
    assert (breaks.break_date == DATES[35]).mean() > 0.8
    assert breaks.persistence[broken(breaks)].mean() < 0.4


def test_monitoring_begins_at_the_date_that_is_asked_for():
    values = seasonal_places()
    values[:, 30:] += 0.3
    rules = BreakRules(monitor_from=DATES[50])
    late = find_breaks(DATES, values, rules)
    assert not (late.break_date < DATES[50]).any()
    # A year of 26 dates before that day, and the 70 from then on.
    with pytest.raises(InputError, match=rf"96 are needed\n.* 3 lie before {DATES[3]}"):
        find_breaks(DATES, values, BreakRules(monitor_from=DATES[3]))
    after = DATES[-1] + 1
    with pytest.raises(InputError, match=f"from {after} on, after the last date, {DATES[-1]}"):
        find_breaks(DATES, values, BreakRules(monitor_from=after))


def test_a_subset_of_places_and_dates_for_plots_change_nothing():
    values = with_outliers(seasonal_places(60, 2, seen=0.7))
    values[::2, 40:] -= 0.3
    whole = find_breaks(DATES, values)
    dense = np.arange(DATES[0], DATES[-1] + 40)
    part = find_breaks(DATES, values[7:20], interval_dates=dense)
    assert (whole.status[7:20] == part.status).all()
    same = whole.break_date[7:20] == part.break_date
    assert (same | np.isnat(part.break_date)).all()
    for name in ("rmse", "aic", "coverage", "strength", "persistence"):
        expected = getattr(whole, name)[7:20]
        assert np.allclose(getattr(part, name), expected, rtol=1e-4, equal_nan=True), name
    interval = part.interval
    assert interval.fitted.shape == (13, len(dense), 2)
    assert (interval.lower < interval.fitted).all()
    assert (interval.fitted < interval.upper).all()


def test_dates_come_in_any_order_and_more_than_once():
    values = seasonal_places(30)
    values[:, 50:] += 0.3
    order = np.random.default_rng(2).permutation(73)
    twice = np.concatenate([order, order[:5]])
    shuffled = find_breaks(DATES[twice], values[:, twice])
    plain = find_breaks(DATES, values)
    assert (shuffled.status == plain.status).all()
    assert (shuffled.observations == 73).all()
    assert np.allclose(shuffled.rmse, plain.rmse)


def test_scenes_of_one_day_are_one_observation():
    values = seasonal_places(100)
    # Three scenes of one cloudy day are no three observations in a row.
    cloudy = np.repeat(values[:, 50:51] + 0.6, 3, axis=1)
    breaks = find_breaks(
        np.concatenate([DATES, np.repeat(DATES[50], 3)]),
        np.concatenate([values, cloudy], axis=1),
        BreakRules(least_persistence=0),
    )
    assert broken(breaks).mean() <= MOST_FALSE_ALARMS


def test_each_place_that_cannot_be_monitored_says_why():
    values = seasonal_places(4, 2)
    values[0] = np.nan
    values[1, 6:] = np.nan
    values[2] = 0.25
    values[3, 10:14] = np.inf
    breaks = find_breaks(DATES, values)
    assert breaks.status.tolist() == ["unseen", "short", "constant", "stable"]
    assert breaks.observations.tolist() == [0, 6, 73, 69]
    assert breaks.needed[1] > 6
    assert np.isnan(breaks.rmse[:3]).all()
    assert np.isfinite(breaks.rmse[3]).all()


def test_a_feature_that_is_missing_or_constant_leaves_the_others():
    values = seasonal_places(100, 3)
    values[:, 50:, 0] += 0.4
    alone = find_breaks(DATES, values[:, :, :1])
    values[:, :, 1] = 0.0
    values[:, 5:, 2] = np.nan
    breaks = find_breaks(DATES, values)
    assert np.allclose(breaks.rmse[:, 0], alone.rmse[:, 0], rtol=1e-6)
    assert (breaks.break_date == alone.break_date).mean() > 0.95
    assert np.isnan(breaks.rmse[:, 1:]).all()


def test_a_share_that_was_always_0_may_rise():
    values = np.zeros((3, 73, 1))
    values[1:, 50:] = 0.8
    values[2, 20] = 0.9
    breaks = find_breaks(DATES, values)
    assert breaks.status.tolist() == ["constant", "break", "break"]
    assert (breaks.break_date[1:] == DATES[50]).all()


@pytest.mark.parametrize(
    ("dates", "values", "message"),
    [
        (DATES[:9] + 30 * np.arange(9), seasonal_places(3)[:, :9], "9 dates .* 13 are needed"),
        (DATES, np.full((2, 73, 1), 0.5), "constant"),
        (DATES, np.full((2, 73, 1), np.nan), "no place of the series was observed"),
        (DATES[:3], np.ones((2, 4, 1)), "do not fit 3 dates"),
        ([], np.ones((2, 0, 1)), "no dates"),
        (["2020-01-01", "soon"], np.ones((1, 2, 1)), "dates of the series"),
        (["2020-01-01", "NaT"], np.ones((1, 2, 1)), "scene 2 of the series has no date"),
    ],
)
def test_what_cannot_be_monitored_is_one_line(dates, values, message):
    with pytest.raises(InputError, match=message) as error:
        find_breaks(dates, values)
    assert error.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"method": "magic"},
        {"consecutive": 0},
        {"confidence": 1.0},
        {"least_persistence": 2.0},
        {"least_noise": -1.0},
        {"least_noise": (0.1, float("nan"))},
    ],
)
def test_rules_that_make_no_sense_are_refused(options):
    with pytest.raises(OptionError):
        BreakRules(**options)


def test_the_smallest_noise_hides_what_means_nothing():
    values = seasonal_places(50, noise=0.002)
    values[:, 50:] += 0.02
    assert broken(find_breaks(DATES, values)).mean() > 0.8
    assert not broken(find_breaks(DATES, values, BreakRules(least_noise=0.05))).any()


def test_progress_tells_the_places_that_are_done():
    told = []
    find_breaks(DATES, seasonal_places(20), progress=told.append)
    assert told[-1] == 20
