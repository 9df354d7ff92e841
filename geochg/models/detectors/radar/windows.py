"""Sums over the windows around each pixel, in an order that no border of a tile changes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RADIUS_PX = 3
SIDE_PX = 2 * RADIUS_PX + 1
WINDOW_PX = SIDE_PX**2
"""Pixels of a window: 7 x 7, as patches of non-local means under strong noise have."""


def window_sums(layer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over 7 x 7 pixels, `(height, width)` float32; what lies outside counts as 0."""
    for _ in range(2):
        height, width = layer.shape
        padded = np.zeros((height + 2 * RADIUS_PX, width), layer.dtype)
        padded[RADIUS_PX : RADIUS_PX + height] = layer
        pairs = padded[:-1] + padded[1:]
        fours = pairs[:-2] + pairs[2:]
        sums = fours[:height]
        sums += pairs[4 : 4 + height]
        sums += padded[6:]
        layer = sums.T
    return np.ascontiguousarray(layer)


class LocalStatistics(NamedTuple):
    """What the window around each pixel holds, `(height, width)` float32 each.

    Attributes:
        mean: Its mean.
        deviation: Its standard deviation.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


def local_statistics(layer: NDArray[np.float32], centre: float) -> LocalStatistics:
    """Mean and standard deviation of each window, right where all of its pixels are valid.

    Args:
        layer: `(height, width)` float32.
        centre: A typical value, which keeps squares small.
    """
    centred = layer - np.float32(centre)
    mean = window_sums(centred) / np.float32(WINDOW_PX)
    square = window_sums(centred * centred) / np.float32(WINDOW_PX)
    variance = np.maximum(square - mean * mean, 0) * np.float32(WINDOW_PX / (WINDOW_PX - 1))
    return LocalStatistics(mean + np.float32(centre), np.sqrt(variance))


def noise_level(deviations: NDArray[np.float32]) -> float:
    """The noise of an image: the commonest standard deviation of its windows.

    Windows of ground that varies have larger ones, so the mode is that of even ground (Anfinsen,
    Doulgeris & Eltoft 2009, IEEE TGRS 47(11), 3795-3809, likewise take the mode of local
    estimates of the number of looks).

    Args:
        deviations: `(windows,)`, at least 0.
    """
    end = float(np.quantile(deviations, 0.99))
    if end <= 0:
        return 0.0
    counts, edges = np.histogram(deviations, _BINS, range=(0.0, end))
    blurred = np.convolve(counts, np.ones(_BLUR_BINS), mode="same")
    top = int(np.argmax(blurred))
    return float(edges[top] + edges[top + 1]) / 2


_BINS, _BLUR_BINS = 200, 9
