"""Formulas of speckle and of the test, against scipy and against drawn speckle."""

import math

import numpy as np
import pytest
from scipy import special, stats

from geochg.models.detectors.radar.decibels import (
    Decibels,
    has_known_gain,
    looks_of_spread,
    spread_db,
    trigamma,
)
from geochg.models.detectors.radar.likelihood import RatioTest, deviates, ratio_test
from geochg.models.detectors.radar.matching import match_dates
from geochg.models.detectors.radar.mixture import CENTRES, fit_mixture, fit_null, probabilities
from geochg.models.detectors.radar.nonlocal_means import nonlocal_means
from geochg.models.detectors.radar.options import RadarScale
from geochg.models.detectors.radar.windows import local_statistics, noise_level, window_sums


@pytest.mark.parametrize("value", [0.5, 1.0, 4.4, 30.0, 1e4])
def test_trigamma_is_that_of_scipy(value):
    assert trigamma(value) == pytest.approx(special.polygamma(1, value), rel=1e-9)
    assert looks_of_spread(spread_db(value)) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("looks", [1.0, 4.4, 30.0])
def test_looks_are_estimated_from_the_speckle_of_even_ground(looks):
    rng = np.random.default_rng(0)
    layer = (10 * np.log10(rng.gamma(looks, 1 / looks, (200, 200)))).astype(np.float32)
    layer[:, 100:] -= 6
    deviations = local_statistics(layer, -3.0).deviation[3:-3, 3:-3].ravel()
    assert noise_level(deviations) == pytest.approx(spread_db(looks), rel=0.1)


def test_window_sums_are_those_of_scipy():
    from scipy import ndimage

    layer = np.random.default_rng(1).normal(size=(20, 31)).astype(np.float32)
    expected = ndimage.uniform_filter(layer.astype(float), 7, mode="constant") * 49
    assert np.allclose(window_sums(layer), expected, atol=1e-4)


@pytest.mark.parametrize("looks", [(4.4, 4.4), (30.0, 4.4), (1.0, 1.0)])
def test_the_likelihood_ratio_is_that_of_conradsen(looks):
    n, m = looks
    x, y = 0.8, 0.3
    sums = n * x, m * y
    log_q = (
        (n + m) * math.log(n + m)
        - n * math.log(n)
        - m * math.log(m)
        + n * math.log(sums[0])
        + m * math.log(sums[1])
        - (n + m) * math.log(sum(sums))
    )
    rho = max(1 - (1 / n + 1 / m - 1 / (n + m)) / 6, 0.1)
    test = ratio_test(looks, 1.0, 1.0, known_gain=True)
    difference = np.array([10 * math.log10(y / x)])
    assert test.statistic(difference)[0] == pytest.approx(-2 * rho * log_q, rel=1e-9)


@pytest.mark.parametrize("polarisations", [1, 2])
def test_speckle_exceeds_the_statistic_as_often_as_chi_squared(polarisations):
    rng = np.random.default_rng(2)
    n, m = 12.0, 5.0
    test = RatioTest((n, m), 1.0)
    total = np.zeros(200_000)
    for _ in range(polarisations):
        ratio = np.log(rng.gamma(m, 1 / m, total.shape) / rng.gamma(n, 1 / n, total.shape))
        total += test.statistic(ratio)
    for chance in (0.1, 0.01):
        above = total > stats.chi2.ppf(1 - chance, polarisations)
        assert above.mean() == pytest.approx(chance, rel=0.1)
        deviate = stats.norm.ppf(1 - chance / 2)
        assert (deviates(total, polarisations) > deviate).mean() == pytest.approx(chance, rel=0.1)


def test_without_gain_the_statistic_is_that_of_many_looks():
    difference = np.array([-0.4, 0.1])
    many, free = RatioTest((1e6, 1e6), 1.0), RatioTest(None, math.sqrt(2e-6))
    assert np.allclose(many.statistic(difference) / free.statistic(difference), 1, atol=0.02)


def test_deviates_of_two_polarisations_rise_without_end():
    statistics = np.geomspace(1e-3, 1e6, 50)
    assert (np.diff(deviates(statistics, 2)) > 0).all()
    assert deviates(np.array([2e4]), 2)[0] == pytest.approx(math.sqrt(2e4), rel=0.01)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.35])
def test_unchanged_ground_is_found_beside_a_third_that_changed(share):
    rng = np.random.default_rng(3)
    values = rng.normal(2, 0.5, 50_000)
    values[: int(share * len(values))] -= 8
    null = fit_null(values)
    assert null.centre == pytest.approx(2, abs=0.03)
    assert null.deviation == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("share", [0.01, 0.35])
def test_the_threshold_lies_between_the_modes(share, side):
    rng = np.random.default_rng(4)
    values = rng.normal(0, 1, 50_000)
    count = int(share * len(values))
    values[:count] = side * rng.normal(10, 1.5, count)
    mixture = fit_mixture(values)
    assert 3.2 < mixture.threshold(side) < 7
    assert mixture.threshold(-side) == pytest.approx(4.89, abs=0.01)
    table = probabilities(mixture, (mixture.threshold(-1), mixture.threshold(1)), fixed=False)
    for cut in (-mixture.threshold(-1), mixture.threshold(1)):
        assert np.interp(cut, CENTRES, table) == pytest.approx(0.5, abs=0.1)
    assert (np.diff(table[CENTRES > 0]) >= 0).all()
    assert (np.diff(table[CENTRES < 0]) <= 0).all()
    assert table.min() < 0.01


def test_noise_with_heavy_tails_has_no_mode():
    values = np.random.default_rng(5).standard_t(4, 100_000)
    values /= fit_null(values).deviation
    mixture = fit_mixture(values)
    for side, mode in ((-1, mixture.low), (1, mixture.high)):
        assert mode is None or mode.share < 0.01
        assert mixture.threshold(side) > 3.2


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.35])
def test_dates_of_other_gains_are_matched(share, is_reversed):
    rng = np.random.default_rng(6)
    ground = rng.normal(-10, 1.5, 20_000)
    after = ground + rng.normal(0, 0.4, ground.shape)
    after[: int(share * len(ground))] = rng.normal(-20, 0.7, int(share * len(ground)))
    before, after = 10 * ground + 200, 6.5 * after + 150
    noise = (1.0, 2.0)
    if is_reversed:
        before, after, noise = after, before, (2.0, 1.0)
    gain, _ = match_dates(before, after, noise)
    assert gain == pytest.approx(10 / 6.5 if is_reversed else 0.65, rel=0.1)


def test_the_filter_keeps_edges_and_averages_the_rest():
    rng = np.random.default_rng(7)
    clean = np.where(np.arange(80) < 40, 0.0, 10.0) * np.ones((80, 1))
    noisy = np.stack([clean + rng.normal(size=clean.shape) for _ in range(2)]).astype(np.float32)
    filtered = nonlocal_means(noisy, np.ones(2), np.ones(clean.shape, bool))
    error = filtered.means - clean
    assert error[:, 15:-15, 15:-15].std() < 0.25
    assert np.abs(error[:, 15:-15, 36:44]).mean() < 0.5
    assert 20 < np.median(filtered.pixels) <= 225


def test_invalid_pixels_have_no_say_in_the_filter():
    rng = np.random.default_rng(8)
    layers = rng.normal(size=(2, 40, 40)).astype(np.float32)
    valid = rng.random((40, 40)) > 0.2
    spoilt = np.where(valid, layers, np.float32(1e6))
    first, second = (nonlocal_means(one, np.ones(2), valid).means for one in (layers, spoilt))
    assert np.array_equal(first, second)


def test_gains_are_known_of_decibels_and_not_of_bytes():
    values = np.random.default_rng(9).normal(-11, 3, 1000).astype(np.float32)
    assert has_known_gain(RadarScale.DB, values)
    assert not has_known_gain(RadarScale.DB, np.rint(values * 5 + 120))
    assert not has_known_gain(RadarScale.DB, values / 40 + 0.5)
    assert has_known_gain(RadarScale.INTENSITY, 10 ** (values / 10))


@pytest.mark.parametrize("scale", list(RadarScale))
def test_decibels_of_each_scale(scale):
    intensity = np.array([0.01, 0.1, 1.0], np.float32)
    values = {
        RadarScale.INTENSITY: intensity,
        RadarScale.AMPLITUDE: np.sqrt(intensity),
        RadarScale.DB: 10 * np.log10(intensity),
    }[scale]
    assert Decibels.of_sample(scale, values).of(values) == pytest.approx([-20, -10, 0], abs=1e-4)
