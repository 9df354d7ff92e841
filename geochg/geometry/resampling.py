"""Rasters made finer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def enlarged(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """A raster with so many pixels for one along each side, bilinear between their centres.

    Args:
        values: `(height, width)` float32.
        factor: Pixels along a side of a former one.
    """
    for axis in (0, 1):
        length = values.shape[axis]
        position = np.clip((np.arange(length * factor) + 0.5) / factor - 0.5, 0, length - 1)
        low = np.minimum(position.astype(np.intp), max(length - 2, 0))
        share = (position - low).astype(np.float32)
        shape = (-1, 1) if axis == 0 else (1, -1)
        first = np.take(values, low, axis)
        second = np.take(values, np.minimum(low + 1, length - 1), axis)
        values = first + (second - first) * share.reshape(shape)
    return values
