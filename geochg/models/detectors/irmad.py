"""Iteratively reweighted multivariate alteration detection (IR-MAD)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from geochg.chi_squared import exceeding_probability
from geochg.errors import ModelError
from geochg.models.detectors.difference import LinearDifference, strength
from geochg.models.detectors.options import IrmadOptions
from geochg.models.detectors.sample import PixelSample
from geochg.models.detectors.standardise import standardised_difference
from geochg.models.detectors.statistical import StatisticalModel
from geochg.models.detectors.threshold import FALSE_ALARM, noise_quantile

TOLERANCE = 1e-3
"""The iterations end when no canonical correlation moves by more than this."""

FIRST_SHARE = 0.65
"""Share of the pixels that the first round counts as unchanged."""

LEAST_EIGENVALUE = 1e-6
"""Directions of a date's correlation matrix below this share of its bands count as empty."""

LEAST_NOISE = 0.02
"""Noise of a MAD variate in standard deviations of its canonical variates, at the least."""


class IrmadModel(StatisticalModel[IrmadOptions]):
    """IR-MAD after Nielsen 2007 (IEEE TIP 16(2), 463-478).

    The answers do not change when a band of either date is rescaled or shifted. `irmad_difference`
    says what is computed.
    """

    name = "irmad"
    summary = "iteratively reweighted multivariate alteration detection; no weights"
    algorithm_version: ClassVar[int] = 1

    def floor(self, difference: LinearDifference) -> float:
        """The strength that Gaussian noise exceeds with probability `FALSE_ALARM`."""
        return noise_quantile(1 - FALSE_ALARM, max(difference.layers, 1))

    def fit(self, sample: PixelSample) -> LinearDifference:
        """Finds the MAD variates of the sample.

        Raises:
            ModelError: If one date is constant in all bands and the other is not.
        """
        return irmad_difference(sample.before, sample.after, self.options.max_iterations)


@dataclass(frozen=True, slots=True, eq=False)
class StandardisedBands:
    """One date's bands that vary, each with mean 0 and standard deviation 1.

    Attributes:
        values: `(varying bands, pixels)` float64.
        gain: `(varying bands, bands)` float64; `values = gain x bands - mean`.
        mean: `(varying bands,)` float64.
    """

    values: NDArray[np.float64]
    gain: NDArray[np.float64]
    mean: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """Canonical variates of two standardised dates: `u = left x - ...` and `v = right y - ...`.

    Attributes:
        left: `(variates, bands of x)` float64; rows scaled so that u has weighted variance 1.
        right: `(variates, bands of y)` float64; as `left`, for v.
        mean_left: `(variates,)` weighted mean of `left x`.
        mean_right: `(variates,)` weighted mean of `right y`.
        correlation: `(variates,)` 0-1, falling.
    """

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    mean_left: NDArray[np.float64]
    mean_right: NDArray[np.float64]
    correlation: NDArray[np.float64]


def irmad_difference(
    before: NDArray[np.float64], after: NDArray[np.float64], max_iterations: int
) -> LinearDifference:
    """The MAD variates v - u in units of their noise.

    Nielsen's equations, with w for the weights of the round, S for weighted covariances:

    - u = a'X and v = b'Y are the canonical variates, Sxy Syy^-1 Syx a = rho^2 Sxx a and
      Syx Sxx^-1 Sxy b = rho^2 Syy b, with a' Sxx a = b' Syy b = 1; a' Sxy b = rho is at least 0
      by the sign of b. The sign of a pair (u, v), and so of its difference, has no meaning.
    - Var(v - u) = 2 (1 - rho) where nothing changed.
    - Z = sum of (v - u)^2 / Var(v - u) follows chi2(n) there, n being the number of variates.
    - The next round's weight is w = P(chi2(n) > Z), the probability of no change.

    The strength of change is sqrt(Z / n), in standard deviations of the noise.

    Four things keep it stable on real imagery:

    - The first round is not over all pixels but over the two thirds whose standardised bands differ
      least, so that strong changes are out from the start (as in Marpu, Gamba & Canty 2011, IEEE
      GRSL 8(4), 799-803); else a change of 30 % of the scene can pass for noise.
    - Down-weighting cuts the tails of unchanged pixels too, so their variance comes out too small,
      more so each round, until only a few per cent of the scene count as unchanged. The variance is
      multiplied by the factor that makes it consistent for Gaussian noise, as robust estimators of
      scatter do (Croux & Haesbroeck 1999, J. Multivariate Anal. 71, 161-190).
    - Bands are standardised first; constant bands and directions in which the bands are linearly
      dependent (`LEAST_EIGENVALUE`) are left out, which also settles dates of unequal rank: there
      are as many variates as the smaller rank.
    - The noise is never taken below `LEAST_NOISE` of the canonical variates' standard deviation.

    With one band it is a weighted reduced-major-axis regression between the dates.

    Args:
        before: `(bands, pixels)` float64, any units.
        after: `(bands, pixels)` float64, any units.
        max_iterations: Rounds at most.

    Raises:
        ModelError: If one date is constant in all bands and the other is not.
    """
    x, y = _standardise(before), _standardise(after)
    if not len(x.values) and not len(y.values):
        no_bands = np.zeros((0, len(before)))
        return LinearDifference(no_bands, no_bands, np.zeros(0))
    if not len(x.values) or not len(y.values):
        date = "after" if len(x.values) else "before"
        raise ModelError(f"the {date} image is constant in all bands", "use --model cva")
    weights = _first_weights(before, after)
    canonical, noise = _reweight(x.values, y.values, weights, max_iterations)
    left, right = canonical.left / noise[:, None], canonical.right / noise[:, None]
    offset = left @ x.mean - right @ y.mean
    offset += (canonical.mean_left - canonical.mean_right) / noise
    return LinearDifference(-left @ x.gain, right @ y.gain, offset)


def _standardise(bands: NDArray[np.float64]) -> StandardisedBands:
    mean, deviation = bands.mean(axis=1), bands.std(axis=1)
    varying = np.flatnonzero(deviation > 1e-7 * np.abs(bands).max(axis=1))
    gain = np.eye(len(bands))[varying] / deviation[varying, None]
    mean = mean[varying] / deviation[varying]
    return StandardisedBands(gain @ bands - mean[:, None], gain, mean)


def _reweight(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    max_iterations: int,
) -> tuple[Canonical, NDArray[np.float64]]:
    """The canonical variates of the last round and the noise of each MAD variate."""
    canonical, noise = _round(x, y, weights)
    for _ in range(max_iterations - 1):
        previous = canonical.correlation
        weights = exceeding_probability(len(noise), _squared_strength(canonical, noise, x, y))
        canonical, noise = _round(x, y, weights)
        correlation = canonical.correlation
        if correlation.shape == previous.shape and np.abs(correlation - previous).max() < TOLERANCE:
            break
    return canonical, noise


def _round(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[Canonical, NDArray[np.float64]]:
    canonical = canonical_variates(x, y, weights)
    variance = 2 * (1 - canonical.correlation) * _consistency(len(canonical.correlation))
    return canonical, np.sqrt(np.maximum(variance, LEAST_NOISE**2))


def _first_weights(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for the `FIRST_SHARE` of pixels whose standardised bands differ least, else 0.

    Where a band's contrast is inverted between the dates (a negative gain), so is its sign.
    """
    centred = after - after.mean(axis=1, keepdims=True)
    inverted = np.einsum("kn,kn->k", before, centred) < 0
    after = np.where(inverted[:, None], -after, after)
    strengths = strength(standardised_difference(before, after).of_pixels(before, after))
    return (strengths <= np.quantile(strengths, FIRST_SHARE)).astype(np.float64)


def _squared_strength(
    canonical: Canonical, noise: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Z of `irmad_difference`: `(pixels,)`."""
    mad = canonical.right @ y - canonical.left @ x
    mad -= (canonical.mean_right - canonical.mean_left)[:, None]
    mad /= noise[:, None]
    return np.asarray(np.einsum("kn,kn->n", mad, mad))


def canonical_variates(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> Canonical:
    """Weighted canonical correlation analysis.

    Solves the coupled eigenproblem that `irmad_difference` states by whitening both sides and a
    singular value decomposition of what is left of their cross-covariance, which needs no inverse.

    Args:
        x: `(bands, pixels)` float64, standardised.
        y: `(bands, pixels)` float64, standardised.
        weights: `(pixels,)` float64, at least 0, not all 0.
    """
    split = len(x)
    both_dates = np.concatenate((x, y))
    total = weights.sum()
    mean = both_dates @ weights / total
    centred = both_dates - mean[:, None]
    covariance = (centred * weights) @ centred.T / total
    white_x = _whitening_matrix(covariance[:split, :split])
    white_y = _whitening_matrix(covariance[split:, split:])
    u, correlation, vt = np.linalg.svd(white_x @ covariance[:split, split:] @ white_y.T)
    variates = len(correlation)
    left, right = u.T[:variates] @ white_x, vt[:variates] @ white_y
    return Canonical(
        left, right, left @ mean[:split], right @ mean[split:], np.clip(correlation, 0.0, 1.0)
    )


def _whitening_matrix(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(rank, bands)` matrix that takes the bands to uncorrelated variables of variance 1."""
    deviation = np.sqrt(np.maximum(np.diag(covariance), np.finfo(np.float64).tiny))
    values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    is_kept = values > LEAST_EIGENVALUE * len(values)
    return np.asarray((vectors[:, is_kept] / np.sqrt(values[is_kept])).T / deviation)


def _consistency(variates: int) -> float:
    """Variance of Gaussian noise over its variance under the weights of `irmad_difference`.

    With Z ~ chi2(n) and the weight w = P(chi2(n) > Z), this is E[Z] E[w] / E[w Z]; w is uniform,
    and E[w Z] half the mean of the lesser of two such Z.
    """
    # The ratio of two gamma functions by their logarithms: they overflow from 342 variates on.
    log_ratio = math.lgamma(variates / 2 + 0.5) - math.lgamma(variates / 2)
    spread = 2 / math.sqrt(math.pi) * math.exp(log_ratio)
    return variates / (variates - spread)
