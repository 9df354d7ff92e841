"""Backscatter in decibels, whatever it was measured in, and how speckle spreads there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.radar.options import RadarScale

DB_PER_NEPER = 10 / math.log(10)
"""Decibels of an intensity that is e times as large."""

DARKEST = 1e-4
"""Intensities below this share of the image's median, 0 among them, count as this share."""

FEWEST_LOOKS, MOST_LOOKS = 0.5, 1e5

_LEAST_SPAN_DB = 2.0


@dataclass(frozen=True, slots=True)
class Decibels:
    """How values of one date and polarisation become decibels.

    Attributes:
        scale: The measure of the values.
        darkest: Least value that is told apart, in the unit of the values; not used for decibels.
    """

    scale: RadarScale
    darkest: float = 0.0

    @classmethod
    def of_sample(cls, scale: RadarScale, values: NDArray[np.float32]) -> Decibels:
        """The conversion for an image of which `values`, `(pixels,)`, are a sample."""
        positive = values[values > 0]
        if scale is RadarScale.DB or not len(positive):
            return cls(scale, 1.0)
        share = DARKEST if scale is RadarScale.INTENSITY else math.sqrt(DARKEST)
        return cls(scale, share * float(np.median(positive)))

    def of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Decibels of values of any shape, float32."""
        if self.scale is RadarScale.DB:
            return values.astype(np.float32)
        factor = 10 if self.scale is RadarScale.INTENSITY else 20
        logarithm = np.log10(np.maximum(values, np.float32(self.darkest)))
        return np.asarray(np.float32(factor) * logarithm, np.float32)


def has_known_gain(scale: RadarScale, values: NDArray[np.float32]) -> bool:
    """Whether the decibels of an image are decibels, and not stretched or packed ones.

    Whole numbers, as 8-bit pictures hold them, numbers that are mostly above 0 and numbers that
    hardly differ are none that a calibrated image has.

    Args:
        scale: The measure of the values.
        values: `(pixels,)` sample of the image.
    """
    if scale is not RadarScale.DB:
        return True
    low, middle, high = np.quantile(values, (0.01, 0.5, 0.99))
    is_whole = bool((values == np.rint(values)).all())
    return bool(not is_whole and middle <= 0 and high - low >= _LEAST_SPAN_DB)


def spread_db(looks: float) -> float:
    """Standard deviation of speckle in decibels.

    The logarithm of an intensity of L looks, which follows a gamma distribution, has the variance
    psi'(L), the trigamma function (Xie, Pierce & Ulaby 2002, IEEE TGRS 40(3), 721-727).
    """
    return DB_PER_NEPER * math.sqrt(trigamma(looks))


def looks_of_spread(deviation_db: float) -> float:
    """The looks of which speckle has a standard deviation: the inverse of `spread_db`."""
    low, high = math.log(FEWEST_LOOKS), math.log(MOST_LOOKS)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if spread_db(math.exp(middle)) > deviation_db else (low, middle)
    return math.exp((low + high) / 2)


def trigamma(value: float) -> float:
    """The second derivative of the logarithm of the gamma function, of a number above 0.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 6.4.6 and 6.4.12.
    """
    total = 0.0
    while value < 10:
        total += 1 / value**2
        value += 1
    inverse = 1 / value
    series = 1 / 6 - inverse**2 * (1 / 30 - inverse**2 * (1 / 42 - inverse**2 / 30))
    return total + inverse + inverse**2 / 2 + inverse**3 * series
