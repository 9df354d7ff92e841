"""Windows over a tile, shifted against each other, and the map that their patches make together."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEP_SHARE = 2 / 3
"""Windows follow each other by at most this share of their side."""


class WindowBox(NamedTuple):
    """A window of a tile: its first row and column, and its sides, in pixels."""

    row: int
    col: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the tile that it covers."""
        return (
            slice(self.row, self.row + self.height),
            slice(self.col, self.col + self.width),
        )


@lru_cache(maxsize=64)
def window_boxes(height: int, width: int, side_px: int, patches: int) -> tuple[WindowBox, ...]:
    """Windows that cover a tile, row by row.

    Every other window is moved by half a patch, so that borders of patches do not coincide and the
    mean over windows is finer than a patch.

    Args:
        height: Height of the tile.
        width: Width of the tile.
        side_px: Side of a window; smaller where the tile is.
        patches: Patches along the side of a window.
    """
    rows, high = _starts(height, side_px, patches)
    cols, wide = _starts(width, side_px, patches)
    return tuple(WindowBox(row, col, high, wide) for row in rows for col in cols)


def _starts(length: int, side_px: int, patches: int) -> tuple[list[int], int]:
    side = min(side_px, length)
    count = math.ceil((length - side) / (STEP_SHARE * side)) + 1
    starts = np.rint(np.linspace(0, length - side, count)).astype(int)
    # The first and the last reach the border of the tile.
    starts[1:-1:2] += round(side / patches / 2)
    return np.minimum(starts, length - side).tolist(), side


def joined_map(
    likenesses: NDArray[np.float32], boxes: Sequence[WindowBox], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The mean of the likenesses of the windows at each pixel.

    Likenesses stand in the middle of their patch and are interpolated between; what lies at the
    border of a window, where the encoder sees the surroundings on one side only, weighs little.

    Args:
        likenesses: `(windows, rows, columns, classes)`.
        boxes: The windows in the tile.
        shape: Height and width of the tile.

    Returns:
        `(classes, height, width)` float32; 0 where no window lies.
    """
    total = np.zeros((likenesses.shape[-1], *shape), np.float32)
    weight = np.zeros(shape, np.float32)
    for patches, box in zip(likenesses, boxes, strict=True):
        row_weights = _interpolation(box.height, patches.shape[0])
        col_weights = _interpolation(box.width, patches.shape[1])
        taper = np.outer(_taper(box.height), _taper(box.width))
        layers = row_weights @ patches.transpose(2, 0, 1) @ col_weights.T
        total[:, *box.slices] += layers * taper
        weight[box.slices] += taper
    np.divide(total, weight, out=total, where=weight > 0)
    return total


@lru_cache(maxsize=16)
def _interpolation(length: int, patches: int) -> NDArray[np.float32]:
    """`(length, patches)` weights of the patches at each pixel; linear, constant at the ends."""
    position = np.clip((np.arange(length) + 0.5) * patches / length - 0.5, 0, patches - 1)
    distance = np.abs(position[:, None] - np.arange(patches))
    weights: NDArray[np.float32] = np.maximum(1 - distance, 0).astype(np.float32)
    return weights


@lru_cache(maxsize=16)
def _taper(length: int) -> NDArray[np.float32]:
    """`(length,)` weights that rise from the ends to 1 at a quarter, and stay above 0."""
    from_end = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1
    weights: NDArray[np.float32] = np.minimum(from_end * 4 / (length + 4), 1).astype(np.float32)
    return weights
