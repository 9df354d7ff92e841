"""Ground in cells: thirds of a usual tile, over the pixels of which the truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from geochg.geometry.grid_cells import cell_edge

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE_SIDE_PX = 256
"""Side of the tile of which cells are thirds."""

LEAST_KNOWN_SHARE = 0.01
"""A cell of which less is known is left out."""


def cell_means(
    values: NDArray[np.floating] | NDArray[np.bool_], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The mean of each cell over its known pixels, `(cells,)`, row by row.

    Cells begin at the upper left corner; those at the right and lower edges are smaller. NaN where
    too little of a cell is known.

    Args:
        values: `(height, width)`.
        known: `(height, width)`.
    """
    return np.array(
        [
            values[part][known[part]].mean() if known[part].mean() >= LEAST_KNOWN_SHARE else np.nan
            for part in _cells(*known.shape)
        ],
        np.float64,
    )


def _cells(height_px: int, width_px: int) -> Iterator[tuple[slice, slice]]:
    for rows in _spans(height_px):
        for cols in _spans(width_px):
            yield rows, cols


def _spans(length_px: int) -> list[slice]:
    """The cells along a side; a strip narrower than half a cell is none of its own."""
    cells = max(1, (6 * length_px + TILE_SIDE_PX) // (2 * TILE_SIDE_PX))
    edges = [min(cell_edge(number, TILE_SIDE_PX), length_px) for number in range(cells + 1)]
    return [slice(*edge) for edge in pairwise(edges)]
