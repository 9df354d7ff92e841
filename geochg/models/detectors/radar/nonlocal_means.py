"""A speckle filter that keeps edges: means over pixels around which both dates look alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.radar.windows import RADIUS_PX, window_sums

SEARCH_PX = 7
"""Pixels are sought this far to each side: 15 x 15."""

REACH_PX = SEARCH_PX + RADIUS_PX
"""How far away a pixel may lie that has a say in the result."""

STRENGTH = 0.35
"""Decay of the weights in standard deviations of the noise, for patches of 7 x 7 pixels."""

Layers = NDArray[np.float32]


class Filtered(NamedTuple):
    """The result of the filter.

    Attributes:
        means: `(layers, height, width)` float32, 0 where not valid.
        pixels: `(height, width)` float32, number of pixels of equal weight that a mean is worth.
    """

    means: Layers
    pixels: NDArray[np.float32]


def nonlocal_means(
    layers: Layers, noise: NDArray[np.float64], valid: NDArray[np.bool_]
) -> Filtered:
    """Means of each layer over the pixels whose surroundings are alike in all layers.

    Non-local means (Buades, Coll & Morel 2011, Image Processing On Line 1, 208-212) with their
    patch and strength for strong noise, on logarithms of intensity, whose noise is additive, and
    over the patches of both dates at once, as multi-temporal filters take them (Su, Deledalle,
    Tupin & Sun 2014, IEEE TGRS 52(10), 6181-6196). A pair of pixels gets the weight
    `exp(-max(d - 1, 0) 2 / STRENGTH^2)`, where d is the mean of `(a - b)^2 / (2 noise^2)` over
    the patches and layers, which is 1 where nothing but noise differs.

    Args:
        layers: `(layers, height, width)` float32, finite where valid.
        noise: `(layers,)` standard deviation of the noise by which differences are measured.
        valid: `(height, width)` bool.

    Returns:
        The means; what lies `REACH_PX` from a tile's border is the same in every tile.
    """
    # Without noise, whatever differs is different.
    scale = np.maximum(noise, np.finfo(np.float32).tiny ** 0.25)
    layers = np.where(valid, layers, np.float32(0))
    guides = (layers / scale[:, np.newaxis, np.newaxis]).astype(np.float32)
    weight = valid.astype(np.float32)
    is_whole = bool(valid.all())
    total, mass, squares = layers.copy(), weight.copy(), weight.copy()
    for first, second in _pairs_of_pixels(*valid.shape):
        pair_weight = None if is_whole else weight[first] * weight[second]
        likeness = _weights(guides, first, second, pair_weight)
        total[:, *first] += likeness * layers[:, *second]
        total[:, *second] += likeness * layers[:, *first]
        square = likeness * likeness
        for place in (first, second):
            mass[place] += likeness
            squares[place] += square
    np.divide(total, mass, out=total, where=valid)
    pixels = np.divide(mass * mass, squares, out=np.zeros_like(mass), where=valid)
    return Filtered(total, pixels)


_Place = tuple[slice, slice]


def _pairs_of_pixels(height: int, width: int) -> Iterator[tuple[_Place, _Place]]:
    """Two views of a layer that lie one step apart, for each step and not its opposite."""
    for row_step in range(min(SEARCH_PX, height - 1) + 1):
        for col_step in range(-SEARCH_PX, SEARCH_PX + 1):
            if (row_step == 0 and col_step <= 0) or abs(col_step) >= width:
                continue
            left = max(-col_step, 0)
            overlap = width - abs(col_step)
            yield (
                (slice(0, height - row_step), slice(left, left + overlap)),
                (slice(row_step, height), slice(left + col_step, left + col_step + overlap)),
            )


def _weights(
    guides: Layers, first: _Place, second: _Place, pair_weight: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Weights of the pairs of pixels; 0 where one of them is not valid."""
    distance = np.zeros(guides[0][first].shape, np.float32)
    for guide in guides:
        difference = guide[first] - guide[second]
        distance += difference * difference
    if pair_weight is None:
        rows, cols = (_window_lengths(length) for length in distance.shape)
        window_px = rows[:, np.newaxis] * cols
        distance = window_sums(distance)
    else:
        window_px = np.maximum(window_sums(pair_weight), np.float32(1))
        distance = window_sums(distance * pair_weight)
    distance /= np.float32(2 * len(guides)) * window_px
    distance -= np.float32(1)
    np.maximum(distance, np.float32(0), out=distance)
    distance *= np.float32(-2 / STRENGTH**2)
    likeness = np.exp(np.maximum(distance, np.float32(-80)))
    return np.asarray(likeness if pair_weight is None else likeness * pair_weight)


def _window_lengths(length: int) -> NDArray[np.float32]:
    """How many pixels of the window around each pixel of a row lie in it."""
    places = np.arange(length)
    before, after = np.minimum(places, RADIUS_PX), np.minimum(length - 1 - places, RADIUS_PX)
    return (before + after + 1).astype(np.float32)
