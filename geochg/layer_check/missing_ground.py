"""Ground of the class that no polygon maps, as outlines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.geometry.morphology import dilated
from geochg.geometry.pieces import label_pieces
from geochg.geometry.polygonize import piece_polygons
from geochg.geometry.resampling import enlarged
from geochg.layer_check.polygon_odds import ScoreScale, probability_of
from geochg.records import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_CELLS, MARGIN_CELLS = 512, 96
"""Blocks that are searched at once, and how far beyond one ground is followed that begins in it."""

MISSING_PLACE = 0.5
"""Place between unmapped and mapped ground (`polygon_odds.ScoreScale`) from which on a cell may be
of the class."""

MISSING_CERTAINTY = 0.3
"""Probability from which on such ground is told; lower than that of a verdict, since whoever maps
it looks at it."""

MISSING_WEIGHTS, MISSING_CONSTANT = np.array([2.14, 0.67, 0.36]), -2.72
"""Log odds that such ground is of the class, by its place in spreads, its place, and the logarithm
to base 2 of its size beside the median polygon; fitted as `polygon_odds.WEIGHTS`."""

_FAR = -8.0


class MissingGround(NamedTuple):
    """Ground that no polygon maps.

    Attributes:
        polygon: Its outline along pixel edges, in pixels of the grid.
        score: Mean log odds of the class in its cells.
        cells: Number of its cells.
    """

    polygon: object
    score: float
    cells: int


@dataclass(frozen=True, eq=False)
class MissingSearch:
    """The search for what is missing.

    Attributes:
        scores: `(rows, columns)` log odds of the class.
        is_open: `(rows, columns)` bool: ground that is seen, and not mapped or beside what is.
        cell_px: Side of a cell in pixels.
        least_cells: Least cells of such ground.
        least_log_odds: Log odds from which on a cell may be of the class.
    """

    scores: NDArray[np.float16]
    is_open: NDArray[np.bool_]
    cell_px: int
    least_cells: float
    least_log_odds: float

    def ground(self) -> Iterator[MissingGround]:
        """What is missing, block by block; each piece begins in the block that tells of it."""
        rows, cols = self.scores.shape
        for top in range(0, rows, BLOCK_CELLS):
            for left in range(0, cols, BLOCK_CELLS):
                yield from self._of_block(top, left)

    def _of_block(self, top: int, left: int) -> Iterator[MissingGround]:
        rows, cols = self.scores.shape
        window = PixelWindow(
            max(top - MARGIN_CELLS, 0),
            min(top + BLOCK_CELLS + MARGIN_CELLS, rows),
            max(left - MARGIN_CELLS, 0),
            min(left + BLOCK_CELLS + MARGIN_CELLS, cols),
        )
        part = window.slices_within(PixelWindow.whole(self.scores.shape))
        scores = self.scores[part].astype(np.float32)
        labels, count = label_pieces((scores > self.least_log_odds) & self.is_open[part])
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        for number in np.flatnonzero(sizes >= max(self.least_cells, 1)).tolist():
            if number == 0:
                continue
            piece = labels == number
            row, col = (int(index[0]) for index in np.nonzero(piece))
            begins = (row + window.row_start, col + window.col_start)
            is_own = top <= begins[0] < top + BLOCK_CELLS and left <= begins[1] < left + BLOCK_CELLS
            if is_own:
                yield from self._outlined_ground(piece, scores, window)

    def _outlined_ground(
        self, piece: NDArray[np.bool_], scores: NDArray[np.float32], window: PixelWindow
    ) -> Iterator[MissingGround]:
        """A piece with its outline at the pixels of the image."""
        box = _box_of(piece)
        near, least = piece[box], self.least_log_odds
        is_kept = near | (dilated(near, 1) & (scores[box] <= least))
        fine = enlarged(np.where(is_kept, scores[box], _FAR), self.cell_px) > least
        labels, count = label_pieces(fine)
        if not count:
            return
        largest = 1 + int(np.bincount(labels.ravel())[1:].argmax())
        start = (
            (box[0].start + window.row_start) * self.cell_px,
            (box[1].start + window.col_start) * self.cell_px,
        )
        place = PixelWindow(start[0], start[0] + fine.shape[0], start[1], start[1] + fine.shape[1])
        (polygon,) = piece_polygons((labels == largest).astype(np.int32), place)
        yield MissingGround(polygon, float(scores[piece].mean()), int(piece.sum()))


def missing_probability(
    scores: NDArray[np.float64], sizes: NDArray[np.float64], scale: ScoreScale
) -> NDArray[np.float64]:
    """How likely unmapped ground is of the class.

    Args:
        scores: `(m,)` mean log odds of its cells.
        sizes: `(m,)` its area by that of the median polygon.
        scale: The scale of the layer's scores.
    """
    size = np.clip(np.log2(np.maximum(sizes, 1e-3)), -2, 1)
    middle = scale.place(scores) - 0.5
    columns = np.stack([middle * scale.spreads, middle, size], axis=1)
    return probability_of(columns @ MISSING_WEIGHTS + MISSING_CONSTANT)


def _box_of(piece: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The box of a piece and a cell around it."""
    rows, cols = (np.flatnonzero(piece.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(int(rows[0]) - 1, 0), int(rows[-1]) + 2),
        slice(max(int(cols[0]) - 1, 0), int(cols[-1]) + 2),
    )
