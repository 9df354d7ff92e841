"""Water in dense predictions: it makes change likelier, and dry ground has none."""

import numpy as np
from numpy.typing import NDArray

from geochg.records import LAND_COVER, DisplayRanges

GREEN_BAND, INFRARED_BAND = 1, 3
"""Indices of green and of the near infrared beside red, green and blue."""

_WATER = LAND_COVER.index("water")
_LEAST = np.float32(1e-6)


def water_index(image: NDArray[np.generic], ranges: DisplayRanges) -> NDArray[np.float32]:
    """`(rows, columns)`: the normalised difference water index (NDWI, McFeeters 1996), -1 to 1.

    Args:
        image: `(bands, rows, columns)` 0-255: red, green, blue and near infrared.
        ranges: Source values of each band that are shown as 0 and as 255.
    """
    green, infrared = (
        np.float32(low) + image[band].astype(np.float32) * np.float32((high - low) / 255)
        for band, (low, high) in (
            (GREEN_BAND, ranges[GREEN_BAND]),
            (INFRARED_BAND, ranges[INFRARED_BAND]),
        )
    )
    index: NDArray[np.float32] = (green - infrared) / np.maximum(green + infrared, _LEAST)
    return np.clip(index, -1, 1)


def without_dry_water(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    dry_before: NDArray[np.bool_],
    dry_after: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The shares of land covers at both dates, without water that came or went on dry ground.

    Muddy water can be as bright in the near infrared as soil: so the index alone turns no water
    into land, it only refuses water that is not there at the other date.

    Args:
        before: `(COVERS, rows, columns)`: shares of land covers.
        after: As `before`.
        dry_before: `(rows, columns)`: where the near infrared is brighter than green.
        dry_after: As `dry_before`.
    """
    least = np.minimum(before[_WATER], after[_WATER])
    limited = []
    for shares, dry in ((before, dry_before), (after, dry_after)):
        shares = shares.copy()
        removed = np.where(dry, shares[_WATER] - least, np.float32(0))
        shares[_WATER] -= removed
        # What is no water is other ground, not cloud or its shadow.
        ground = np.delete(shares[: len(LAND_COVER)], _WATER, axis=0) + _LEAST
        added = ground * (removed / ground.sum(axis=0))
        shares[: len(LAND_COVER)] += np.insert(added, _WATER, 0, axis=0)
        limited.append(shares)
    return limited[0], limited[1]


def with_water(
    change: NDArray[np.float32],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    weight: float,
) -> NDArray[np.float32]:
    """`(rows, columns)`: the logits of any change, higher where water came or went.

    Args:
        change: `(rows, columns)`: logits of any change.
        before: `(COVERS, rows, columns)`: shares of land covers.
        after: As `before`.
        weight: See `Calibration.water`.
    """
    return np.asarray(change + weight * np.abs(after[_WATER] - before[_WATER]))
