"""A bounded, evenly spread sample of the pixels of a pair, gathered in one pass over tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.smooth import smoothed
from geochg.records import Tile

MAX_PIXELS = 1 << 18
"""Most pixels a sample holds; 262 144 pixels of 4 bands and 2 dates take 8 MiB as float32."""

OUTLIER_RANGES = 1000.0
"""A value this many interquartile ranges from the median is no measurement."""

ROW_STEP = 40503
"""Columns the sampling lattice moves on from row to row (odd; 2^16 times the golden ratio - 1)."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelSample:
    """Smoothed band values of the sampled pixels, the same pixels at both dates.

    Attributes:
        before: `(bands, pixels)` float64, source units.
        after: `(bands, pixels)` float64, source units.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]

    def without_outliers(self) -> PixelSample:
        """The sample without pixels that lie absurdly far from the others: undeclared nodata."""
        both_dates = np.concatenate((self.before, self.after))
        low, middle, high = np.quantile(both_dates, (0.25, 0.5, 0.75), axis=1)[:, :, np.newaxis]
        reach = np.where(high > low, OUTLIER_RANGES * (high - low), np.inf)
        is_kept = (np.abs(both_dates - middle) <= reach).all(axis=0)
        return PixelSample(self.before[:, is_kept], self.after[:, is_kept])

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(self.before.shape[1])


def sample_pixels(tiles: Iterable[Tile], max_pixels: int = MAX_PIXELS) -> PixelSample:
    """Samples the valid, finite pixels of the tiles' cores.

    A pixel belongs to the lattice of step s when (row * ROW_STEP + col) mod s is 0, counted on the
    common grid; s starts at 1 and doubles, thinning what is held, whenever there are more than
    `max_pixels`. Which pixels end up in the sample depends on nothing but the tiles and the bound,
    and memory stays flat. The values are averaged as `smoothed` does for the answers, so that the
    noise of the sample is the noise of the tiles.

    Args:
        tiles: Iterated once; cores must not overlap.
        max_pixels: Bound of the sample.

    Returns:
        The sample; `(0, 0)` arrays when there are no tiles.
    """
    growing = _GrowingSample(max_pixels)
    for tile in tiles:
        growing.add(tile)
    values = growing.all_values()
    bands = len(values) // 2
    return PixelSample(values[:bands], values[bands:])


@dataclass(slots=True, eq=False)
class _GrowingSample:
    """The sample while it grows: chunks of values `(2 bands, n)` and their lattice keys `(n,)`."""

    max_pixels: int
    step: int = 1
    held: int = 0
    values: list[NDArray[np.float32]] = field(default_factory=list)
    keys: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, tile: Tile) -> None:
        core = tile.window.core.slices_within(tile.window.read)
        valid = tile.valid & finite_pixels(tile)
        rows = np.arange(tile.window.core.row_start, tile.window.core.row_stop)
        cols = np.arange(tile.window.core.col_start, tile.window.core.col_stop)
        keys = rows[:, np.newaxis] * ROW_STEP + cols
        sampled = valid[core] & (keys % self.step == 0)
        both_dates = np.concatenate((tile.before, tile.after)).astype(np.float32, copy=False)
        both_dates[:, ~valid] = 0
        both_dates = smoothed(both_dates, valid)
        self.values.append(both_dates[:, *core][:, sampled])
        self.keys.append(keys[sampled])
        self.held += int(sampled.sum())
        while self.held > self.max_pixels:
            self._thin()

    def _thin(self) -> None:
        self.step *= 2
        is_kept = [keys % self.step == 0 for keys in self.keys]
        self.values = [
            np.ascontiguousarray(v[:, k]) for v, k in zip(self.values, is_kept, strict=True)
        ]
        self.keys = [keys[k] for keys, k in zip(self.keys, is_kept, strict=True)]
        self.held = sum(map(len, self.keys))

    def all_values(self) -> NDArray[np.float64]:
        if not self.values:
            return np.zeros((0, 0))
        return np.concatenate(self.values, axis=1).astype(np.float64)


def finite_pixels(tile: Tile) -> NDArray[np.bool_]:
    """`(height, width)` bool, true where every band of both dates is a finite number."""
    return np.asarray(np.isfinite(tile.before).all(axis=0) & np.isfinite(tile.after).all(axis=0))
