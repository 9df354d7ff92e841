"""Statistics of a whole pair, by which the change head knows how unusual a difference is *here*.

What counts as a change depends on the scene: a field is nothing unusual among fields, and two
sensors never show the same colours. So the head is given, beside a tile, what was measured on the
pair: mean and spread of the colours and features of each date, how their differences vary
together, and the medians of the difference maps. All of it goes into one vector, so that it can be
kept, exported and handed to any runtime; `SceneLayout` says what stands where.

The whitening follows the idea of IR-MAD (Nielsen 2007): the covariance is that of the less changed
part of the pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

COLOR_CHANNELS = 3
"""Red, green and blue lead the first level of the maps."""

WHITENED_CHANNELS = 200
"""Levels with more channels than this are not whitened: a scene has too few of their pixels."""

COLOR_WINDOWS = (5, 11, 21)
"""Windows over which the colour difference is averaged, in pixels of the first level."""

WIDE_WINDOWS = (5, 11)
"""Windows over which colour differences are averaged and then whitened, in the same pixels."""

SPREAD_FLOOR = 0.05
"""Added to each standard deviation, lest constant channels be blown up."""

_ROUNDS, _KEPT, _SHRINK, _RIDGE = 2, 0.7, 0.1, 1e-3
"""Rounds of the robust covariance, share of pixels kept, shrinkage of what lies off its diagonal,
and what is added to the diagonal."""


RELATIVE_COLOR = 2 + len(COLOR_WINDOWS) + len(WIDE_WINDOWS)
RELATIVE_LEVEL = 3
"""Difference maps of the colours and of each feature level that are divided by medians."""


class LevelLayout(NamedTuple):
    """Slices of a scene vector about one level of the maps; each `channels` long.

    Attributes:
        channels: Channels of the level that are compared.
        means: Mean of each date.
        spreads: Standard deviation of each date, with the floor added.
    """

    channels: int
    means: tuple[slice, slice]
    spreads: tuple[slice, slice]


class WhiteningLayout(NamedTuple):
    """Slices of a scene vector about one whitened difference.

    Attributes:
        channels: Channels of the difference.
        offset: Mean of the difference, `channels` long.
        matrix: Matrix from differences to uncorrelated ones, row by row, `channels ** 2` long.
    """

    channels: int
    offset: slice
    matrix: slice


@dataclass(frozen=True)
class SceneLayout:
    """The layout of a scene vector.

    Attributes:
        channels: Channels of the feature levels, the finest first.
        medians: Number of difference maps that are divided by their median.
    """

    channels: tuple[int, ...]
    medians: int

    @cached_property
    def _parts(self) -> tuple[list[LevelLayout], list[WhiteningLayout], slice, slice]:
        end = 0

        def take(length: int) -> slice:
            nonlocal end
            end += length
            return slice(end - length, end)

        levels = [
            LevelLayout(width, (take(width), take(width)), (take(width), take(width)))
            for width in (COLOR_CHANNELS, *self.channels)
        ]
        colors = (COLOR_CHANNELS,) * (1 + len(WIDE_WINDOWS))
        whitened = [
            WhiteningLayout(width, take(width), take(width**2))
            for width in (*colors, *(w for w in self.channels if w <= WHITENED_CHANNELS))
        ]
        return levels, whitened, take(self.medians), take(2)

    @property
    def levels(self) -> list[LevelLayout]:
        """The colours, then the feature levels."""
        return self._parts[0]

    @property
    def whitened(self) -> list[WhiteningLayout]:
        """Colours, colours averaged over `WIDE_WINDOWS`, then the levels that are whitened."""
        return self._parts[1]

    @property
    def medians_slice(self) -> slice:
        """Median of each relative difference map."""
        return self._parts[2]

    @property
    def resolution_slice(self) -> slice:
        """Binary logarithm of the shown pixel's side in metres, and 1 where it is known."""
        return self._parts[3]

    @property
    def size(self) -> int:
        """Length of a scene vector."""
        return int(self.resolution_slice.stop)


def scene_layout(channels: Sequence[int]) -> SceneLayout:
    """The layout for feature levels of so many channels, the finest first."""
    return SceneLayout(tuple(channels), RELATIVE_COLOR + RELATIVE_LEVEL * len(channels))


Maps = Sequence["NDArray[np.float32]"]
"""Per level, the colours first: `(tiles, channels, rows, columns)` float32 of one date."""


def scene_vector(
    layout: SceneLayout,
    before: Maps,
    after: Maps,
    valid: NDArray[np.bool_],
    resolution_m: float | None,
) -> NDArray[np.float32]:
    """Means, spreads and whitenings of a pair, measured on a sample of its tiles.

    Args:
        layout: Layout of the vector.
        before: Maps of the before date of all tiles of the sample.
        after: As `before`.
        valid: `(tiles, rows, columns)` bool at the first level: where both dates have data.
        resolution_m: Side of a shown pixel on the ground, in metres; None where it is not known.

    Returns:
        `(layout.size,)` float32; all medians are 1, see `with_medians`.
    """
    vector = np.zeros(layout.size, np.float32)
    vector[layout.medians_slice] = 1
    if resolution_m is not None:
        vector[layout.resolution_slice] = np.log2(resolution_m), 1
    whitened = iter(layout.whitened)
    for index, level in enumerate(layout.levels):
        inside = _valid_or_all(valid_at(valid, valid.shape[-1] // before[index].shape[-1]))
        dates = [maps[index][:, : level.channels] for maps in (before, after)]
        for mean, spread, maps in zip(level.means, level.spreads, dates, strict=True):
            values = _pixels_in(maps, inside)
            vector[mean] = values.mean(axis=1)
            vector[spread] = values.std(axis=1) + SPREAD_FLOOR
        if level.channels > WHITENED_CHANNELS:
            continue
        difference = _standard_features(dates[0], vector, level, 0)
        difference -= _standard_features(dates[1], vector, level, 1)
        for window in (1, *WIDE_WINDOWS) if index == 0 else (1,):
            white = next(whitened)
            offset, matrix = whitening_matrix(_pixels_in(_window_mean(difference, window), inside))
            vector[white.offset], vector[white.matrix] = offset, matrix.ravel()
    return vector


def with_medians(
    layout: SceneLayout,
    vector: NDArray[np.float32],
    maps: NDArray[np.float32],
    valid: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """The vector with the medians of the difference maps.

    Args:
        layout: Layout of the vector.
        vector: See `scene_vector`.
        maps: `(tiles, medians, rows, columns)`, computed with the vector.
        valid: See `scene_vector`.
    """
    vector = vector.copy()
    vector[layout.medians_slice] = np.median(_pixels_in(maps, _valid_or_all(valid)), axis=1)
    return vector


def _valid_or_all(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask, or all pixels where not one pixel of this level is wholly valid."""
    return valid if valid.any() else np.ones_like(valid)


def _pixels_in(maps: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`(channels, pixels)` of `(tiles, channels, rows, columns)` where a mask is true."""
    flat = np.moveaxis(maps, 1, 0).reshape(maps.shape[1], -1)
    return flat if inside.all() else flat[:, inside.ravel()]


def _standard_features(
    maps: NDArray[np.float32], vector: NDArray[np.float32], level: LevelLayout, date: int
) -> NDArray[np.float32]:
    mean, spread = vector[level.means[date]], vector[level.spreads[date]]
    return (maps - mean[:, None, None]) / spread[:, None, None]


def _window_mean(maps: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    if window == 1:
        return maps
    for axis in (2, 3):
        maps = _mean_along(maps, window, axis)
    return maps


def _mean_along(maps: NDArray[np.float32], window: int, axis: int) -> NDArray[np.float32]:
    """The mean of the values around each one along an axis; those at the edges go on beyond it."""
    reach = window // 2
    margins = [(0, 0)] * maps.ndim
    margins[axis] = (reach + 1, reach)
    total = np.pad(maps.astype(np.float64), margins, mode="edge")
    np.cumsum(total, axis=axis, out=total)
    ends, starts = (np.arange(maps.shape[axis]) + shift for shift in (window, 0))
    mean = (total.take(ends, axis) - total.take(starts, axis)) / window
    return mean.astype(np.float32)


def whitening_matrix(
    difference: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and whitening matrix of the less changed part of difference vectors.

    Args:
        difference: `(channels, pixels)` float32.

    Returns:
        `(channels,)` and `(channels, channels)`: `matrix @ (vector - mean)` has uncorrelated
        channels of variance 1 where little changed.
    """
    values = difference.astype(np.float64)
    channels, pixels = values.shape
    is_kept = np.ones(pixels, bool)
    for last in [False] * (_ROUNDS - 1) + [True]:
        offset = values[:, is_kept].mean(axis=1)
        centred = values - offset[:, None]
        covariance = centred[:, is_kept] @ centred[:, is_kept].T / max(np.count_nonzero(is_kept), 1)
        covariance *= 1 - _SHRINK
        covariance[np.diag_indices(channels)] /= 1 - _SHRINK
        covariance[np.diag_indices(channels)] += _RIDGE
        matrix = np.linalg.inv(np.linalg.cholesky(covariance))
        if not last:
            lengths = np.square(matrix @ centred).sum(axis=0)
            is_kept = lengths <= np.quantile(lengths, _KEPT)
    return offset.astype(np.float32), matrix.astype(np.float32)


def valid_at(valid: NDArray[np.bool_], stride: int) -> NDArray[np.bool_]:
    """`(..., rows // stride, columns // stride)`: where all pixels below are valid."""
    rows, cols = (side // stride for side in valid.shape[-2:])
    blocks: Any = valid[..., : rows * stride, : cols * stride]
    blocks = blocks.reshape(*valid.shape[:-2], rows, stride, cols, stride)
    return np.asarray(blocks.all(axis=(-3, -1)))
