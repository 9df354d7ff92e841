"""The cut between noise and change, found in the distribution of the strength of change.

Tried on the pairs in hand (NAIP, Sentinel-2, Landsat): strengths rarely form two hills. They form
one, skewed, with a tail, and change is the tail. Otsu's rule and two-Gaussian mixtures (Kittler &
Illingworth 1986; Bruzzone & Prieto 2000) split the one hill in the middle and call 30-60 % of such
scenes changed; chi-square quantiles drown in tails heavier than Gaussian. The corner of the
histogram (Rosin 2001, Pattern Recognition 34(11), 2083-2096), which was made for such histograms,
lies where the eye would put the cut. It always finds a corner, though, so two guards stand beside
it: a floor, and a test for a tail no longer than that of pure noise.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.chi_squared import quantile

LONGEST_QUANTILE = 0.9995
"""The histogram ends at this quantile of the strengths."""

LONGEST_TAIL = 40.0
"""Or at this many medians: clouds a hundred times stronger must not blur the rest into one bin."""

TOP_QUANTILE = 0.65
"""The hill's top is sought below this quantile: change may cover up to about a third."""

NOISE_QUANTILE = 0.2
"""Noise is measured at this quantile, where hardly a changed pixel lies."""

NOISE_TAIL_SLACK = 1.3
"""A tail longer than noise's by less than this factor is noise's."""

FALSE_ALARM = 1e-6
"""Share of pure noise above the cut when there is nothing but noise."""

_BINS = 256
_TYPICAL_PROBABILITY = 0.02
_LEAST_STRENGTH = 1e-6


@dataclass(frozen=True, slots=True)
class Cut:
    """Turns the strength of change into a probability of change.

    Attributes:
        strength: Strength with a probability of .5; above 0.
        steepness: Slope of the log odds over the natural logarithm of the strength; above 0.
    """

    strength: float
    steepness: float

    def probability(self, strengths: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of change, 0-1, rising with the strength: `1 / (1 + (cut/x)^steepness)`.

        The strengths, of any shape, float32 and at least 0, are overwritten and returned.
        """
        np.maximum(strengths, np.float32(_LEAST_STRENGTH), out=strengths)
        np.log(strengths, out=strengths)
        strengths -= np.float32(math.log(self.strength))
        strengths *= np.float32(-self.steepness)
        np.minimum(strengths, np.float32(80.0), out=strengths)
        np.exp(strengths, out=strengths)
        strengths += np.float32(1.0)
        return np.reciprocal(strengths, out=strengths)


def fit_cut(strengths: NDArray[np.float64], dof: float, floor: float) -> Cut:
    """Finds the cut in a sample of strengths.

    The cut is the histogram's corner, or the upper end of the noise if the sample looks like noise
    alone, but never below `floor`.

    Args:
        strengths: `(pixels,)` float64, at least 0; root mean squares of `dof` noise variables
            where nothing changed; not empty.
        dof: Degrees of freedom of the noise, above 0.
        floor: Least cut: what is weaker is never called change, however quiet the rest is.
    """
    noise = _noise_end(strengths, dof)
    cut = max(noise if _is_noise(strengths, dof) else _corner(strengths), floor)
    return Cut(cut, _steepness(cut, strengths))


def fixed_cut(strengths: NDArray[np.float64], strength: float) -> Cut:
    """A cut at the user's strength, with the slope that `fit_cut` would give it there."""
    return Cut(strength, _steepness(strength, strengths))


def noise_quantile(probability: float, dof: float) -> float:
    """Quantile of the strength of pure noise: `sqrt(chi2(dof) / dof)`."""
    return math.sqrt(quantile(dof, probability) / dof)


def effective_dof(layers: NDArray[np.float64]) -> float:
    """Degrees of freedom of correlated noise (Satterthwaite 1946): `tr(C)^2 / tr(C C)`.

    The covariance is that of the weaker `TOP_QUANTILE` of the pixels.

    Args:
        layers: `(layers, pixels)` float64 differences.

    Returns:
        1 to the number of layers.
    """
    squares = np.einsum("kn,kn->n", layers, layers)
    weak = layers[:, squares <= np.quantile(squares, TOP_QUANTILE)]
    covariance = weak @ weak.T / weak.shape[1]
    total = np.trace(covariance)
    return float(total**2 / np.sum(covariance**2)) if total > 0 else float(max(len(layers), 1))


def _noise_end(strengths: NDArray[np.float64], dof: float) -> float:
    scale = np.quantile(strengths, NOISE_QUANTILE) / noise_quantile(NOISE_QUANTILE, dof)
    return float(scale) * noise_quantile(1 - FALSE_ALARM, dof)


def _is_noise(strengths: NDArray[np.float64], dof: float) -> bool:
    """Whether the tail is no longer, against the weak end, than that of noise."""
    weak, strong = np.quantile(strengths, (NOISE_QUANTILE, LONGEST_QUANTILE))
    longest = noise_quantile(LONGEST_QUANTILE, dof) / noise_quantile(NOISE_QUANTILE, dof)
    return bool(strong <= NOISE_TAIL_SLACK * longest * weak)


def _corner(strengths: NDArray[np.float64]) -> float:
    """The histogram's point farthest below the line from its top to its end (Rosin 2001)."""
    end = float(np.quantile(strengths, LONGEST_QUANTILE))
    median, highest_top = np.quantile(strengths, (0.5, TOP_QUANTILE))
    if median > 0:
        end = min(end, LONGEST_TAIL * float(median))
    if end <= 0:
        return 0.0
    counts, edges = np.histogram(strengths, _BINS, range=(0.0, end))
    top = int(np.argmax(np.where(edges[:-1] <= highest_top, counts, -1)))
    heights = counts[top:] / counts[top]
    positions = np.linspace(0.0, 1.0, len(heights))
    line = 1.0 + positions * (heights[-1] - 1.0)
    # Both axes span 0-1, so the vertical gap is largest where the perpendicular one is.
    return float(edges[top + int(np.argmax(line - heights)) + 1])


def _steepness(cut: float, strengths: NDArray[np.float64]) -> float:
    """Slope that gives the median strength a probability of `_TYPICAL_PROBABILITY`, within 2-12."""
    distance = math.log(cut / max(float(np.median(strengths)), _LEAST_STRENGTH))
    odds = math.log(1 / _TYPICAL_PROBABILITY - 1)
    return min(max(odds / max(distance, 0.1), 2.0), 12.0)
