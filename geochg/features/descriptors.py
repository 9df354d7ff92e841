"""What a tile shows of its changes, as sums over pixels: those of the parts of a change add up.

A head that learns from a review (`geochg.learning`) is given means, so it does not matter how a
change was cut into tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.features.tile_results import TileResult
from geochg.geometry.polygonize import piece_labels
from geochg.records import Answer, DenseFeatures, Outlines, Tile

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

AROUND_PX = (3, 6)
"""Distances from each pixel of a change, in eight directions, at which lies what is around it."""

PIXEL_SUMS = 6
"""Number of pixels; sums of the values before, after, of their difference, and of their squares."""

_SIZES = 2
_DIRECTIONS = tuple((row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if row or col)


class Descriptors(NamedTuple):
    """Sums over the pixels of changes and of what is around them.

    Attributes:
        within: `(n, PIXEL_SUMS + surfaces)` float64: sums over the pixels within each change.
        around: As `within`, over pixels around it that belong to no change.
        encoding: `(n, channels)` float64: sums of the encoding within each change.
    """

    within: NDArray[np.float64]
    around: NDArray[np.float64]
    encoding: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of changes, not of fields."""
        return len(self.within)

    def packed(self) -> list[bytes]:
        """One text of float32 a change, which `summed_descriptors` reads."""
        sizes = [self.within.shape[1] - PIXEL_SUMS, self.encoding.shape[1]]
        heads = np.tile(np.array(sizes, np.float32), (len(self), 1))
        rows = np.concatenate((heads, self.within, self.around, self.encoding), axis=1)
        return [row.tobytes() for row in rows.astype("<f4")]


def descriptors(
    tile: Tile, polygons: Sequence[BaseGeometry], features: DenseFeatures | None
) -> Descriptors:
    """What a tile shows of changes in its core.

    Args:
        tile: The tile, of two dates or more, of which the first and the last count.
        polygons: The changes, or their parts in the core, in grid pixels.
        features: The dense features of the tile; None where its model has none.
    """
    core = tile.window.core
    labels = np.zeros(tile.valid.shape, np.int32)
    part = core.slices_within(tile.window.read)
    labels[part] = piece_labels(polygons, core)
    is_core = np.zeros(labels.shape, bool)
    is_core[part] = True
    free = is_core & tile.valid & (labels == 0)
    labels[~tile.valid] = 0
    row, col = np.nonzero(labels)
    owner = labels[row, col].astype(np.intp) - 1
    inner = _Pixels(row, col, owner, len(polygons))
    outer = inner.around(free)
    pixels = _pixel_values(tile)
    surfaces = [] if features is None else [(features.surfaces, features.surfaces_px)]
    sums = [
        np.concatenate([part.sums(maps, side) for maps, side in [(pixels, 1.0), *surfaces]], axis=1)
        for part in (inner, outer)
    ]
    encoding = np.zeros((len(polygons), 0))
    if features is not None:
        encoding = inner.sums(features.encoding, features.encoding_px)
    return Descriptors(sums[0], sums[1], encoding)


def with_descriptors(tile: Tile, answers: Sequence[Answer], result: TileResult) -> TileResult:
    """The result with a descriptor in each of its cells."""
    if not result.cells:
        return result
    outlines = next((answer for answer in answers if isinstance(answer, Outlines)), None)
    features = outlines.features() if outlines is not None and outlines.features else None
    packed = descriptors(tile, [cell.polygon for cell in result.cells], features).packed()
    cells = zip(result.cells, packed, strict=True)
    return replace(result, cells=tuple(replace(cell, descriptor=text) for cell, text in cells))


def summed_descriptors(
    packed: Sequence[bytes], owner: NDArray[np.int64], count: int
) -> Descriptors:
    """The descriptors of changes, from those of their parts.

    Args:
        packed: What `Descriptors.packed` gave of each part; empty where it was not described.
        owner: `(parts,)` number of the change that each belongs to, from 0.
        count: Number of changes.
    """
    described = [number for number, text in enumerate(packed) if text]
    if not described:
        empty = np.zeros((count, PIXEL_SUMS))
        return Descriptors(empty, empty, np.zeros((count, 0)))
    rows = np.stack([np.frombuffer(packed[number], "<f4") for number in described]).astype(
        np.float64
    )
    surfaces = int(rows[0, 0])
    total = np.zeros((count, rows.shape[1] - _SIZES))
    np.add.at(total, owner[described], rows[:, _SIZES:])
    width = PIXEL_SUMS + surfaces
    return Descriptors(*np.split(total, [width, 2 * width], axis=1))


def is_packed_descriptor(text: bytes) -> bool:
    """Whether bytes are those of one change that `Descriptors.packed` gave."""
    if len(text) % 4 or len(text) < 4 * (_SIZES + 2 * PIXEL_SUMS):
        return False
    values = np.frombuffer(text, "<f4")
    if not np.isfinite(values).all():
        return False
    surfaces, encoding = values[:_SIZES].tolist()
    width = 2 * (PIXEL_SUMS + surfaces) + encoding
    return bool(min(surfaces, encoding) >= 0 and len(values) - _SIZES == width)


class _Pixels(NamedTuple):
    """Pixels of the read window, each of a change; one may come several times."""

    row: NDArray[np.intp]
    col: NDArray[np.intp]
    owner: NDArray[np.intp]
    changes: int

    def around(self, free: NDArray[np.bool_]) -> _Pixels:
        """The pixels a little away from these that belong to no change."""
        height_px, width_px = free.shape
        rows, cols, owners = [], [], []
        for distance_px in AROUND_PX:
            for row_step, col_step in _DIRECTIONS:
                row, col = self.row + row_step * distance_px, self.col + col_step * distance_px
                inside = (row >= 0) & (row < height_px) & (col >= 0) & (col < width_px)
                row, col, owner = row[inside], col[inside], self.owner[inside]
                is_free = free[row, col]
                rows.append(row[is_free])
                cols.append(col[is_free])
                owners.append(owner[is_free])
        row, col, owner = (np.concatenate(part) for part in (rows, cols, owners))
        return _Pixels(row, col, owner, self.changes)

    def sums(self, maps: NDArray[np.floating], side_px: float) -> NDArray[np.float64]:
        """`(changes, channels)`: sums of maps over the pixels.

        Args:
            maps: `(channels, rows, columns)` of pixels of some side, which may reach farther.
            side_px: Their side in pixels of the tile.
        """
        channels, rows, cols = maps.shape
        total = np.zeros((self.changes, channels))
        if not len(self.row):
            return total
        row, col = (
            np.minimum(((place + 0.5) / side_px).astype(np.intp), side - 1)
            for place, side in ((self.row, rows), (self.col, cols))
        )
        keys, counts = np.unique((self.owner * rows + row) * cols + col, return_counts=True)
        values = maps.reshape(channels, -1)[:, keys % (rows * cols)].T.astype(np.float64)
        owner = keys // (rows * cols)
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        total[owner[first]] = np.add.reduceat(values * counts[:, None], first, axis=0)
        return total


def _pixel_values(tile: Tile) -> NDArray[np.float32]:
    """`(PIXEL_SUMS, height, width)`: what is summed of the pixels themselves."""
    scale = 255.0 if np.issubdtype(tile.before.dtype, np.integer) else 1.0
    before, after = (date.astype(np.float32) / scale for date in (tile.dates[0], tile.dates[-1]))
    difference = np.abs(after - before).mean(axis=0)
    first, last = before.mean(axis=0), after.mean(axis=0)
    layers = (np.ones_like(first), first, last, difference, first**2, last**2)
    values: NDArray[np.float32] = np.nan_to_num(np.stack(layers))
    return values
