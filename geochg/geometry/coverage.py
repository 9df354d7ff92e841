"""How much of each cell of a lattice polygons cover."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.records import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_PARTS = 4
"""Parts into which a cell is divided along each side, to tell how much of it is covered."""

_MOST_CELLS = 1 << 20
"""Polygons whose box has more cells are looked at cell by cell."""


class Coverage(NamedTuple):
    """The cells that a polygon covers.

    Attributes:
        window: The cells of its box, within the lattice.
        share: `(height, width)` float32 0-1: how much of each is covered.
    """

    window: PixelWindow
    share: NDArray[np.float32]

    @property
    def part(self) -> tuple[slice, slice]:
        """The rows and columns of the window."""
        window = self.window
        return slice(window.row_start, window.row_stop), slice(window.col_start, window.col_stop)


def coverage_of(
    polygon: BaseGeometry, shape: tuple[int, int], offset: tuple[float, float] = (0.0, 0.0)
) -> Coverage | None:
    """The cells that a polygon covers; None where it covers none of the lattice.

    Args:
        polygon: A polygon or multipolygon in cells: x is the column, y the row.
        shape: Rows and columns of the lattice.
        offset: What is added to x and y first, in cells.
    """
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    if polygon.is_empty:
        return None
    left, top, right, bottom = polygon.bounds
    window = PixelWindow(
        max(math.floor(top + offset[1]), 0),
        min(math.ceil(bottom + offset[1]), shape[0]),
        max(math.floor(left + offset[0]), 0),
        min(math.ceil(right + offset[0]), shape[1]),
    )
    if window.height_px <= 0 or window.width_px <= 0:
        return None
    parts = _PARTS if window.height_px * window.width_px <= _MOST_CELLS else 1
    transform = Affine.translation(window.col_start - offset[0], window.row_start - offset[1])
    fine = rasterize(
        [polygon],
        (window.height_px * parts, window.width_px * parts),
        transform=transform * Affine.scale(1 / parts),
        dtype="uint8",
    )
    blocks = fine.reshape(window.height_px, parts, window.width_px, parts)
    share = blocks.mean(axis=(1, 3), dtype=np.float32)
    return Coverage(window, share) if share.any() else None
