"""Standardised image differencing, which needs no model: what any model should be better than."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRETCH_PERCENTILES = (2, 98)
MEDIAN_PX = 5
"""Side of the median that makes areas of the difference."""

_LEAST = 1e-6


def difference(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Length of the difference of stretched and standardised bands, `(height, width)`.

    0 where either date has no data, that is no value above 0. Where the dates differ in their
    number of bands, the first bands of both are compared.

    Args:
        before: `(bands, height, width)`, 0 where there is no data.
        after: Likewise.
    """
    valid = np.asarray((before > 0).any(axis=0) & (after > 0).any(axis=0), np.bool_)
    if not valid.any():
        return np.zeros(valid.shape)
    bands = min(len(before), len(after))
    change = _standardised_bands(before[:bands], valid) - _standardised_bands(after[:bands], valid)
    return np.where(valid, np.sqrt((change**2).sum(axis=0)), 0)


def median_filtered(change: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median around each pixel, of which areas above a threshold are cut."""
    from scipy.ndimage import median_filter

    found: NDArray[np.float64] = median_filter(change, MEDIAN_PX)
    return found


def _standardised_bands(
    bands: NDArray[np.float64], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Bands stretched to 0-1, then to mean 0 and deviation 1, by their valid pixels."""
    low, high = np.percentile(bands[:, valid], STRETCH_PERCENTILES, axis=1)
    width = (high - low + _LEAST)[:, np.newaxis, np.newaxis]
    stretched = np.clip((bands - low[:, np.newaxis, np.newaxis]) / width, 0, 1)
    seen = stretched[:, valid]
    mean, deviation = seen.mean(axis=1), seen.std(axis=1) + _LEAST
    standardised: NDArray[np.float64] = (stretched - mean[:, np.newaxis, np.newaxis]) / deviation[
        :, np.newaxis, np.newaxis
    ]
    return standardised
