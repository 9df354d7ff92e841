"""Bands of two dates on one robust scale, as far as possible that of the unchanged ground."""

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.difference import LinearDifference, strength

ROUNDS = 4
"""Number of times that the unchanged half is chosen anew."""

_IQR_TO_SD = 1.349
"""Interquartile range of a Gaussian of standard deviation 1."""

_LEAST_SPREAD = 0.1
"""The robust spread never falls below this share of the standard deviation."""

_ROUNDING = 1e-6
"""A deviation below this share of the largest value is rounding of a constant band."""


def standardised_difference(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> LinearDifference:
    """After minus before, band by band, each date centred on its median and divided by its spread.

    That takes out any gain above 0 and any offset of sensor and light. Medians and spreads of a
    scene that changed in part are off, so they are matched again on the half of the pixels that
    differs least, `ROUNDS` times. The unit stays the standard deviation of the whole scene (the
    geometric mean of both dates'). A band that is constant at one date is measured in the spread of
    the other; one that is constant at both is left out.

    Args:
        before: `(bands, pixels)` float64, any units.
        after: `(bands, pixels)` float64, any units.

    Returns:
        One layer for each band that varies.
    """
    whole_before, whole_after = _spreads(before, after)
    kept_bands = np.flatnonzero(whole_before > 0)
    before, after = before[kept_bands], after[kept_bands]
    unit = np.sqrt(whole_before * whole_after)[kept_bands]
    bands = np.eye(len(whole_before))[kept_bands]
    difference = _matched_difference(before, after, unit)
    for _ in range(ROUNDS):
        strengths = strength(difference.of_pixels(before, after))
        unchanged = strengths <= np.median(strengths)
        difference = _matched_difference(before, after, unit, unchanged)
    return LinearDifference(difference.before @ bands, difference.after @ bands, difference.offset)


def _matched_difference(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    unit: NDArray[np.float64],
    selected: NDArray[np.bool_] | slice = slice(None),
) -> LinearDifference:
    """The difference whose gains and offsets match the selected pixels of the dates.

    The gain between the dates is the ratio of their spreads; 1/unit is split between them so that
    the geometric mean of both gains is 1/unit.
    """
    spread_before, spread_after = _spreads(before[:, selected], after[:, selected])
    # Where the selected pixels are all alike in a band, they say nothing about its gain.
    ratio = np.divide(spread_after, spread_before, out=np.ones_like(unit), where=spread_before > 0)
    gain_before, gain_after = np.sqrt(ratio) / unit, 1 / (np.sqrt(ratio) * unit)
    offset = gain_before * np.median(before[:, selected], axis=1)
    offset -= gain_after * np.median(after[:, selected], axis=1)
    return LinearDifference(-np.diag(gain_before), np.diag(gain_after), offset)


def _spreads(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Robust standard deviations of the bands, each `(bands,)`; 0 only where both are constant."""
    spread_before, spread_after = robust_spread(before), robust_spread(after)
    return (
        np.where(spread_before > 0, spread_before, spread_after),
        np.where(spread_after > 0, spread_after, spread_before),
    )


def robust_spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Robust standard deviation of each row, `(rows,)` float64; 0 where constant."""
    deviation = np.std(values, axis=1)
    varies = deviation > _ROUNDING * np.abs(values).max(axis=1)
    low, high = np.quantile(values, (0.25, 0.75), axis=1)
    robust = np.maximum((high - low) / _IQR_TO_SD, _LEAST_SPREAD * deviation)
    return np.where(varies, robust, 0.0)
