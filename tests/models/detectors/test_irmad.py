"""The arithmetic of IR-MAD."""

import math

import numpy as np
import pytest
from model_scenes import scene, surveyed

from geochg.errors import ModelError, OptionError
from geochg.models.detectors.irmad import (
    IrmadModel,
    IrmadOptions,
    _consistency,
    canonical_variates,
    irmad_difference,
)


def pixels(seed: int, bands: int, count: int = 5000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(bands, count))


def test_canonical_correlations_are_those_of_the_generalised_eigenproblem():
    from scipy.linalg import eigh

    shared, noise = pixels(0, 3), pixels(1, 6)
    x = shared + 0.7 * noise[:3]
    y = np.array([[1, 0.4, 0], [0, 1, -0.3], [0.2, 0, 1]]) @ shared + 0.9 * noise[3:]
    weights = np.random.default_rng(2).random(x.shape[1])
    both = np.concatenate((x, y))
    covariance = np.cov(both, aweights=weights, ddof=0)
    xx, xy, yy = covariance[:3, :3], covariance[:3, 3:], covariance[3:, 3:]
    # As Nielsen 2007 states it: Sxy Syy^-1 Syx a = rho^2 Sxx a.
    squares = eigh(xy @ np.linalg.solve(yy, xy.T), xx, eigvals_only=True)[::-1]
    result = canonical_variates(x, y, weights)
    assert np.allclose(result.correlation, np.sqrt(squares))
    u = result.left @ x - result.mean_left[:, None]
    v = result.right @ y - result.mean_right[:, None]
    assert np.allclose((u * weights) @ u.T / weights.sum(), np.eye(3), atol=1e-9)
    assert np.allclose((v * weights) @ v.T / weights.sum(), np.eye(3), atol=1e-9)
    expected = np.diag(result.correlation)
    assert np.allclose((u * weights) @ v.T / weights.sum(), expected, atol=1e-9)


@pytest.mark.parametrize("bands", [1, 2, 4, 10])
def test_unchanged_pixels_have_strength_one(bands):
    shared = pixels(0, bands, 50_000)
    before, after = (shared + 0.5 * pixels(seed, bands, 50_000) for seed in (1, 2))
    layers = irmad_difference(before, after, 50).of_pixels(before, after)
    # Unit variance in every layer, and no correlation: Z follows chi2.
    assert np.allclose(np.cov(layers), np.eye(bands), atol=0.06)


def test_the_variance_of_the_noise_is_known_for_any_number_of_variates():
    factors = [_consistency(variates) for variates in range(1, 1001)]
    assert all(math.isfinite(factor) and factor > 0 for factor in factors)
    # It goes to 1 as Z / n does for more variates.
    assert factors == sorted(factors, reverse=True)
    for n in range(1, 301):
        spread = 2 * math.gamma(n / 2 + 0.5) / (math.sqrt(math.pi) * math.gamma(n / 2))
        assert factors[n - 1] == pytest.approx(n / (n - spread), rel=1e-12)


def test_reweighting_measures_the_noise_and_not_the_change():
    shared = pixels(0, 4, 50_000)
    before, after = (shared + 0.3 * pixels(seed, 4, 50_000) for seed in (1, 2))
    after[:, :10_000] += np.array([[4.0], [0.0], [-3.0], [2.0]])
    once, often = (
        irmad_difference(before, after, rounds).of_pixels(before, after) for rounds in (1, 50)
    )
    assert abs(often[:, 10_000:].std() - 1) < 0.15
    assert abs(often[:, 10_000:].std() - 1) <= abs(once[:, 10_000:].std() - 1)


def test_a_negative_gain_is_a_gain():
    shared = pixels(0, 2)
    before, after = shared + 0.2 * pixels(1, 2), shared + 0.2 * pixels(2, 2)
    after[:, :200] += 3
    plain = irmad_difference(before, after, 50).of_pixels(before, after)
    turned = irmad_difference(before, 5 - 2 * after, 50).of_pixels(before, 5 - 2 * after)
    assert np.allclose((plain**2).sum(axis=0), (turned**2).sum(axis=0), rtol=1e-3)


def test_fewer_varying_bands_at_one_date_give_fewer_variates():
    before, after = pixels(0, 3), pixels(1, 3)
    after[:2] = 5.0
    assert irmad_difference(before, after, 50).layers == 1


def test_one_blank_date_is_refused():
    with pytest.raises(ModelError, match="after image is constant"):
        irmad_difference(pixels(0, 3), np.ones((3, 5000)), 50)


def test_a_blank_date_says_what_to_use_instead():
    pair = scene(size_px=128)
    model = IrmadModel.load("", IrmadOptions(), "auto")
    with pytest.raises(ModelError) as error:
        surveyed(model, pair.where(before=pair.before * 0))
    assert "cva" in error.value.hint


def test_rounds_must_be_above_zero():
    with pytest.raises(OptionError):
        IrmadOptions(max_iterations=0)
