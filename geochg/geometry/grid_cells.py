"""The 3x3 grid that windows and arrays are divided into: the one place that says where it is cut.

Mapping, training masks, evaluation and chat all cut by it: each edge lies on the pixel border that
is nearest to the third of the side, so that 256 px are cut at 85 and 171.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geochg.records import CELL_AREA_SHARE, GRID_CELLS, GridCell, PixelWindow


def cell_edge(number: int, side_px: int) -> int:
    """The edge before a cell, by its number from 0 along a side that holds three; 3 is the end.

    In whole numbers only, so that it exports with a network.
    """
    return (2 * side_px * number + 3) // 6


def thirds(start: int, size_px: int) -> tuple[int, ...]:
    """The four edges of the thirds of a range of pixels."""
    return tuple(start + cell_edge(number, size_px) for number in range(4))


def grid_box(window: PixelWindow, cell: GridCell) -> PixelWindow:
    """A cell of a window's 3x3 grid; of a window below three pixels some cells are empty."""
    rows = thirds(window.row_start, window.height_px)
    cols = thirds(window.col_start, window.width_px)
    return PixelWindow(rows[cell.row], rows[cell.row + 1], cols[cell.col], cols[cell.col + 1])


def axis_cells(start: int, size_px: int, length_px: int) -> NDArray[np.intp]:
    """Row or column of the grid, 0 to 2, of each pixel along an axis.

    Args:
        start: First pixel of the range that the grid divides.
        size_px: Length of that range; pixels before and behind it count to its first and last cell.
        length_px: Pixels along the axis.

    Returns:
        `(length_px,)`.
    """
    return np.searchsorted(thirds(start, size_px)[1:3], np.arange(length_px), side="right")


def cell_numbers(window: PixelWindow) -> NDArray[np.intp]:
    """`(height, width)` index 0 to 8 into `GRID_CELLS` of each pixel of a window."""
    rows = axis_cells(0, window.height_px, window.height_px)
    return rows[:, None] * 3 + axis_cells(0, window.width_px, window.width_px)


def cell_slices(shape: tuple[int, ...], cell: GridCell) -> tuple[slice, slice]:
    """Where a cell lies in an array, given its height and width."""
    full_window = PixelWindow.whole(shape)
    return grid_box(full_window, cell).slices_within(full_window)


def changed_cells(mask: NDArray[np.bool_]) -> tuple[GridCell, ...]:
    """The cells of which more than `CELL_AREA_SHARE` is set, in raster order.

    Args:
        mask: `(height, width)`, at least three pixels a side.
    """
    return tuple(
        cell for cell in GRID_CELLS if mask[cell_slices(mask.shape, cell)].mean() > CELL_AREA_SHARE
    )
