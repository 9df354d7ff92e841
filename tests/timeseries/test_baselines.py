"""The seasonal-trend decomposition and the autoregression that the default is held against."""

import numpy as np
import pytest
from seasonal_places import DATES, annual_series, seasonal_places, with_outliers

from geochg import extras
from geochg.errors import InputError
from geochg.extras import MissingExtraError
from geochg.timeseries.breaks import BREAK_METHODS, BreakRules, find_breaks

BASELINES = [method for method in BREAK_METHODS if method != "harmonic"]


@pytest.mark.parametrize("method", BASELINES)
@pytest.mark.parametrize(
    "values",
    [
        pytest.param(seasonal_places(12), id="season"),
        pytest.param(seasonal_places(15, 2, correlation=0.5), id="correlated"),
        pytest.param(
            with_outliers(seasonal_places(12, seen=0.8), share=0.04), id="outliers and gaps"
        ),
    ],
)
def test_intervals_of_stable_places_hold_what_they_promise(method, values):
    breaks = find_breaks(DATES, values, BreakRules(method=method))
    assert (breaks.status == "break").sum() <= 1
    assert 0.88 <= breaks.mean_coverage <= 0.99
    assert (breaks.rmse > 0.01).all()
    assert (breaks.rmse < 0.25).all()
    assert np.isfinite(breaks.aic).all()


@pytest.mark.parametrize(
    ("method", "least_share"), [("seasonal-trend", 0.7), ("autoregression", 0.8)]
)
def test_an_abrupt_break_is_dated(method, least_share):
    # A season of its own would hide the break from an autoregression.
    amplitude = 0.2 if method == "seasonal-trend" else 0.0
    values = seasonal_places(12, amplitude=amplitude)
    values[:, 58:] += 0.5
    breaks = find_breaks(DATES, values, BreakRules(method=method))
    right = breaks.break_date == DATES[58]
    assert right.mean() >= least_share
    assert np.median(breaks.shift[right]) == pytest.approx(0.5, abs=0.1)


def test_a_season_is_worth_more_to_the_decomposition_than_to_the_autoregression():
    values = seasonal_places(8, noise=0.02)
    rmse = {
        method: find_breaks(DATES, values, BreakRules(method=method)).rmse.mean()
        for method in BREAK_METHODS
    }
    assert rmse["seasonal-trend"] < 0.03
    assert rmse["harmonic"] < 0.03
    assert rmse["harmonic"] < rmse["autoregression"] < 0.1


def test_an_autoregression_learns_how_features_follow_each_other():
    values = seasonal_places(8, 2, amplitude=0, noise=0.05)
    # What the first does, the second does two weeks later.
    values[:, 1:, 1] = values[:, :-1, 0] + 0.1 * (values[:, 1:, 1] - 0.4)
    breaks = find_breaks(DATES, values, BreakRules(method="autoregression"))
    assert (breaks.rmse[:, 1] < 0.4 * breaks.rmse[:, 0]).all()


def test_shares_that_make_up_1_are_no_trouble():
    values = seasonal_places(6, 3, amplitude=0, noise=0.02)
    values[:, :, 2] = 1 - values[:, :, 0] - values[:, :, 1]
    breaks = find_breaks(DATES, values, BreakRules(method="autoregression"))
    assert (breaks.status == "stable").all()
    assert np.isfinite(breaks.rmse).all()


def test_a_season_cannot_be_learnt_from_one_date_a_year():
    dates, values = annual_series(3)
    with pytest.raises(InputError, match="too short: 12 dates"):
        find_breaks(dates, values, BreakRules(method="seasonal-trend"))
    assert (find_breaks(dates, values, BreakRules(method="autoregression")).status != "short").all()


@pytest.mark.parametrize("method", BASELINES)
def test_intervals_for_plots_are_there_at_every_date(method):
    dense = np.arange(DATES[0], DATES[-1] + 20, 5)
    values = seasonal_places(2, 2, seen=0.8)
    interval = find_breaks(DATES, values, BreakRules(method=method), interval_dates=dense).interval
    assert (interval.lower < interval.upper).all()
    assert ((interval.fitted > -0.2) & (interval.fitted < 1)).all()


@pytest.mark.parametrize("method", BASELINES)
def test_the_extra_is_named_before_anything_is_computed(method, monkeypatch):
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "statsmodels")
    with pytest.raises(MissingExtraError, match=r"geochg\[series\]"):
        find_breaks(DATES, seasonal_places(2), BreakRules(method=method))
    assert len(find_breaks(DATES, seasonal_places(2))) == 2
