"""Intervals of shares and scores."""

import numpy as np
import pytest
from scipy.stats import binomtest

from geochg.evaluation.intervals import bootstrap_intervals, mean_interval, share_interval


@pytest.mark.parametrize(("hits", "items"), [(0, 12), (12, 12), (7, 12), (1, 200), (150, 200)])
def test_a_share_of_independent_items_is_wilsons(hits, items):
    values = np.arange(items) < hits
    expected = binomtest(hits, items).proportion_ci(method="wilson")
    interval = share_interval(values, [f"p{number}" for number in range(items)])
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_tiles_of_one_picture_count_as_one_where_they_are_alike():
    values = np.repeat([True, False, True, False], 25)
    alike = share_interval(values, list(np.repeat(["a", "b", "c", "d"], 25)))
    expected = binomtest(2, 4).proportion_ci(method="wilson")
    # Of four pictures, each all or nothing, about three are free.
    assert alike.high - alike.low > expected.high - expected.low - 1e-9
    mixed = share_interval(values, [f"g{number % 4}" for number in range(100)])
    apart = share_interval(values, [f"g{number}" for number in range(100)])
    assert mixed == pytest.approx(apart)
    sure = share_interval(np.ones(100, bool), list(np.repeat(["a", "b", "c", "d"], 25)))
    assert sure == pytest.approx(tuple(binomtest(4, 4).proportion_ci(method="wilson")), abs=1e-9)


def test_no_items_have_no_interval():
    assert share_interval(np.array([], bool), []) is None


def test_the_mean_of_two_shares():
    assert mean_interval([(0.5, 0.3, 0.3), (0.7, 0.4, 0.1)]) == pytest.approx(
        (0.6 - 0.25, 0.6 + np.hypot(0.3, 0.1) / 2)
    )
    assert mean_interval([(1.0, 0.2, 0.0), (1.0, 0.2, 0.0)]).high == 1


def test_a_bootstrap_draws_whole_groups():
    values = np.arange(400.0)
    groups = [f"g{number}" for number in range(400)]
    interval = bootstrap_intervals(lambda index: {"mean": float(values[index].mean())}, groups)
    error = values.std() / np.sqrt(400)
    assert interval["mean"] == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), rel=0.03
    )
    alike = bootstrap_intervals(
        lambda index: {"mean": float(values[index].mean())}, [f"{n // 100}" for n in range(400)]
    )
    assert alike["mean"].high - alike["mean"].low > 4 * (
        interval["mean"].high - interval["mean"].low
    )
    assert bootstrap_intervals(lambda index: {"mean": 1.0}, ["a"] * 5) == {}
    # A score that some samples lack is one of the others.
    some = bootstrap_intervals(lambda index: {"x": 2.0 if 0 in index else None, "y": None}, groups)
    assert some == {"x": (2.0, 2.0)}
