"""Estimates that learn from what runs took: within a factor of two, for short runs and long."""

import math
import random

import pytest

from geochg_qgis.link.run_times import RunTime, corrected_time, with_run


def truth(expected_s):
    """A machine on which short runs take longer than expected, and long ones less."""
    return 4 + 0.5 * expected_s


def test_nothing_is_learned_of_nothing():
    assert corrected_time(12.5, []) == 12.5
    assert corrected_time(0, [RunTime(1, 9)]) == 0


def test_short_runs_do_not_spoil_the_estimates_of_long_ones():
    runs = []
    for expected_s in (2, 2, 3, 60, 2, 200, 3):
        runs = with_run(runs, RunTime(expected_s, truth(expected_s)))
    for expected_s in (2, 3, 60, 200):
        assert 0.5 < corrected_time(expected_s, runs) / truth(expected_s) < 2


def test_a_run_of_another_size_counts_little():
    runs = [RunTime(2, 8)] * 5
    assert corrected_time(2, runs) == pytest.approx(8, rel=0.15)
    assert corrected_time(400, runs) == pytest.approx(400, rel=0.1)


def test_estimates_follow_a_machine_that_becomes_slower():
    runs = [RunTime(10, 10)] * 20
    for _ in range(6):
        runs = with_run(runs, RunTime(10, 30))
    assert 15 < corrected_time(10, runs) <= 30


def test_noise_is_evened_out():
    random.seed(1)
    runs = []
    for _ in range(24):
        runs = with_run(runs, RunTime(10, 30 * math.exp(random.gauss(0, 0.3))))
    assert corrected_time(10, runs) == pytest.approx(30, rel=0.25)


@pytest.mark.parametrize("run", [(0, 5), (5, 0.1), (math.nan, 3), (3, math.inf)])
def test_what_tells_nothing_is_left_out(run):
    assert with_run([RunTime(1, 2)], RunTime(*run)) == [RunTime(1, 2)]


def test_old_runs_are_forgotten():
    runs = []
    for number in range(100):
        runs = with_run(runs, RunTime(1 + number, 1))
    assert len(runs) < 50
    assert runs[-1] == RunTime(100, 1)
