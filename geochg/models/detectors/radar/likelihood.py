"""The likelihood-ratio test of Conradsen et al. (2003) for equal backscatter at two dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.radar.decibels import DB_PER_NEPER

Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True, slots=True)
class RatioTest:
    """The test of one polarisation.

    Attributes:
        looks: Equivalent number of looks of the means of either date, after the speckle filter;
            None for decibels of unknown gain.
        unit: The values that make up a neper of intensity; where the gain is unknown, the
            standard deviation of the noise of their difference.
    """

    looks: tuple[float, float] | None
    unit: float

    def statistic(self, difference: NDArray[Real]) -> NDArray[Real]:
        """-2 rho ln Q of the differences of the dates, of any shape; 0 where they are 0.

        Of a diagonal covariance matrix, Q is the product of one test for each intensity (Conradsen,
        Nielsen, Schou & Skriver 2003, IEEE TGRS 41(1), 4-19, equations 11 and 12 with p = 1):

        ln Q = (n + m) ln(n + m) - n ln n - m ln m + n ln X + m ln Y - (n + m) ln(X + Y)

        for sums of intensities X = n x and Y = m y of n and m looks, and
        rho = 1 - (1/n + 1/m - 1/(n + m)) / 6. It depends on r = ln(y / x) only:
        ln Q = m r - (n + m) ln((n + m e^r) / (n + m)). For many looks it is n m / (n + m) r^2,
        the square of r over its noise, which is taken where the gain is not known.
        """
        ratio = difference / difference.dtype.type(self.unit)
        if self.looks is None:
            return np.asarray(ratio * ratio)
        n, m = self.looks
        correction = 1 - (1 / n + 1 / m - 1 / (n + m)) / 6
        # Written so that nothing overflows, and small ratios keep their digits.
        positive = np.maximum(ratio, 0)
        share = difference.dtype.type(m / (n + m))
        growth = np.exp(-positive) * (1 - share) + share * np.exp(ratio - positive)
        log_q = share * ratio - positive - np.log(growth)
        return np.asarray(np.maximum(-2 * max(correction, 0.1) * (n + m) * log_q, 0))


def ratio_test(
    looks: tuple[float, float], pixels: float, unit: float, *, known_gain: bool
) -> RatioTest:
    """The test of means over some pixels.

    Args:
        looks: Equivalent numbers of looks of single pixels.
        pixels: Pixels that a mean is worth.
        unit: Values of a decibel; without known gain, the noise of a difference of two pixels.
        known_gain: Whether the gain of the decibels is known.
    """
    if not known_gain:
        return RatioTest(None, unit / math.sqrt(pixels))
    return RatioTest((looks[0] * pixels, looks[1] * pixels), unit * DB_PER_NEPER)


def deviates(statistics: NDArray[Real], polarisations: int) -> NDArray[Real]:
    """The normal deviates that are as rare, on both sides together, as sums of statistics.

    -2 rho ln Q follows a chi-squared distribution of one degree of freedom for each polarisation
    where nothing changed.

    Args:
        statistics: Sums over the polarisations, at least 0, of any shape.
        polarisations: One or two.
    """
    if polarisations == 1:
        return np.asarray(np.sqrt(statistics))
    # The probability that chi2(2) exceeds t is exp(-t / 2).
    return np.interp(statistics, *_rarities()).astype(statistics.dtype)


@cache
def _rarities() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values of chi2(2), and the deviates that are as rare."""
    steps = np.concatenate((np.linspace(0, 20, 2001), np.linspace(20, 2000, 2001)[1:]))
    return np.array([-2 * _log_rarity(step) for step in steps.tolist()]), steps


def _log_rarity(deviate: float) -> float:
    """The logarithm of the probability that noise exceeds a deviate to either side."""
    if deviate < 30:
        return math.log(math.erfc(deviate / math.sqrt(2)))
    # The first term of the asymptotic series: beyond, the probability itself underflows.
    return -(deviate**2) / 2 - math.log(deviate * math.sqrt(math.pi / 2))
