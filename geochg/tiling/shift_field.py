"""A smooth field of shifts, for dates that lie off each other differently from place to place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geochg.records import PixelWindow
from geochg.tiling.shift import MIN_AGREEING_SHARE, WORTHWHILE_PX

MIN_FIELD_WINDOWS = 12
"""Fewer windows that their neighbours bear out make no field."""

MAX_RESIDUAL_PX = 1.5
"""Above this the windows do not predict each other."""

BETTER_SHARE = 2 / 3
BETTER_BY_PX = 0.4
"""A field fits clearly better if its residual is this share of the shift's, and this much less."""

_GREATEST_PIECE_PX = 256
_LEAST_PIECE_PX = 64
_PLANE_ERROR_PX = 0.1
"""Sides of the squares within which a field is read as a plane, each a warp of its own; they are
halved where the field is none by so much."""


@dataclass(frozen=True, slots=True)
class ShiftField:
    """Shifts as in `Shift`, bilinear between control points on an even lattice over a grid.

    Outer control points lie on the edges of the grid.

    Attributes:
        height_px: Rows of the grid.
        width_px: Columns of the grid.
        rows: Rows of control points.
        cols: Columns of control points.
        dx_px: `dx_px` of the control points, row by row.
        dy_px: `dy_px` of the control points, row by row.
        residual_px: Root mean square distance of the windows' shifts from what the others predict.
        shift_residual_px: The same of the best single shift.
        windows_used: Windows that their neighbours bear out.
        windows_tried: Windows with enough valid ground and texture to be matched.

    Raises:
        ValueError: If the control points are not as many as their rows and columns say.
    """

    height_px: int
    width_px: int
    rows: int
    cols: int
    dx_px: tuple[float, ...]
    dy_px: tuple[float, ...]
    residual_px: float
    shift_residual_px: float
    windows_used: int
    windows_tried: int

    def __post_init__(self) -> None:
        if min(self.rows, self.cols) < 2 or min(self.height_px, self.width_px) < 1:
            raise ValueError("the field has no lattice")
        if not len(self.dx_px) == len(self.dy_px) == self.rows * self.cols:
            raise ValueError("the field has other control points than its lattice")

    @property
    def median_px(self) -> tuple[float, float]:
        """`(dx_px, dy_px)` of half the ground."""
        return float(np.median(self.dx_px)), float(np.median(self.dy_px))

    @property
    def range_px(self) -> tuple[float, float]:
        """Least and greatest length of the shifts."""
        lengths = np.hypot(self.dx_px, self.dy_px)
        return float(lengths.min()), float(lengths.max())

    @property
    def is_clear(self) -> bool:
        """Whether enough windows predict each other, closely enough, for it to be believed."""
        needed = max(MIN_FIELD_WINDOWS, MIN_AGREEING_SHARE * self.windows_tried)
        return self.windows_used >= needed and self.residual_px <= MAX_RESIDUAL_PX

    @property
    def worth_correcting(self) -> bool:
        """Whether correcting gains more somewhere than the resampling costs."""
        return self.is_clear and self.range_px[1] >= WORTHWHILE_PX

    @property
    def is_better(self) -> bool:
        """Whether it is worth correcting and clearly better than one shift."""
        gain_px = self.shift_residual_px - self.residual_px
        is_lower = self.residual_px <= BETTER_SHARE * self.shift_residual_px
        return self.worth_correcting and is_lower and gain_px >= BETTER_BY_PX

    def to_dict(self, pixel_m: float) -> dict[str, Any]:
        """What it comes to, as plain JSON values, without its control points.

        Args:
            pixel_m: Side of a pixel on the ground.
        """
        dx_px, dy_px = self.median_px
        distances_px = np.hypot(np.subtract(self.dx_px, dx_px), np.subtract(self.dy_px, dy_px))
        spread_px = float(np.quantile(distances_px, 0.9))
        least_px, greatest_px = self.range_px
        return {
            "median_dx_px": dx_px,
            "median_dy_px": dy_px,
            "least_px": least_px,
            "greatest_px": greatest_px,
            "greatest_m": greatest_px * pixel_m,
            "spread_px": spread_px,
            "spread_m": spread_px * pixel_m,
            "residual_px": self.residual_px,
            "shift_residual_px": self.shift_residual_px,
            "windows_used": self.windows_used,
            "windows_tried": self.windows_tried,
        }

    def shifts_at(self, xs: NDArray[Any], ys: NDArray[Any]) -> NDArray[np.float64]:
        """Shifts at places of the grid.

        Args:
            xs: Columns, `(n,)`; what lies off the grid has the shift of its edge.
            ys: Rows, likewise.

        Returns:
            `(n, 2)`, dx and dy in pixels.
        """
        basis = bilinear_basis(xs, ys, (self.height_px, self.width_px), (self.rows, self.cols))
        return np.asarray(basis @ np.stack([self.dx_px, self.dy_px], axis=1))

    def pieces(self, window: PixelWindow) -> Iterator[tuple[PixelWindow, Affine]]:
        """Parts of a window, each with what brings its pixels to those of the displaced image.

        The parts are cut from squares on a lattice of the grid, in each of which the field is a
        plane, so that a pixel is read alike in whatever window.

        Args:
            window: In grid pixels.

        Yields:
            The part, and a transform from columns and rows of the part to those of the image, as
            it lies on the grid, at which its pixels are to be read.
        """
        side_px = _GREATEST_PIECE_PX
        tops = range(window.row_start // side_px * side_px, window.row_stop, side_px)
        lefts = range(window.col_start // side_px * side_px, window.col_stop, side_px)
        for top, left in product(tops, lefts):
            yield from self._square_pieces(top, left, side_px, window)

    def _square_pieces(
        self, top: int, left: int, side_px: int, window: PixelWindow
    ) -> Iterator[tuple[PixelWindow, Affine]]:
        """The part that lies in one square, or in its quarters where that is no plane."""
        part = PixelWindow(top, top + side_px, left, left + side_px).cut_to(window)
        if part is None:
            return
        planes, error_px = self._planes(top, left, side_px)
        if error_px > _PLANE_ERROR_PX and side_px > _LEAST_PIECE_PX:
            half_px = side_px // 2
            for row, col in product((top, top + half_px), (left, left + half_px)):
                yield from self._square_pieces(row, col, half_px, window)
            return
        (at_left_x, at_left_y), (col_x, col_y), (row_x, row_y) = planes.tolist()
        to_image = Affine(1 + col_x, row_x, left + at_left_x, col_y, 1 + row_y, top + at_left_y)
        yield part, to_image * Affine.translation(part.col_start - left, part.row_start - top)

    def _planes(self, top: int, left: int, side_px: int) -> tuple[NDArray[np.float64], float]:
        """The planes that fit a square best, and by how much they fail.

        Returns:
            `(3, 2)`: shifts at the top left corner, and by how much they grow from column to
            column and from row to row, of dx and dy; and the greatest error in pixels.
        """
        rows, cols = (part.ravel() * side_px for part in np.mgrid[0:1:5j, 0:1:5j])
        shifts = self.shifts_at(left + cols, top + rows)
        design = np.stack([np.ones(len(cols)), cols, rows], axis=1)
        planes = np.linalg.pinv(design) @ shifts
        return planes, float(np.abs(design @ planes - shifts).max())


def bilinear_basis(
    xs: NDArray[Any], ys: NDArray[Any], shape_px: tuple[int, int], lattice: tuple[int, int]
) -> NDArray[np.float64]:
    """How much each control point of a lattice over a grid counts at some places.

    Args:
        xs: Columns of the places, `(n,)`; those off the grid count as on its edge.
        ys: Rows, likewise.
        shape_px: Rows and columns of the grid.
        lattice: Rows and columns of control points, at least two; outer ones lie on the edges.

    Returns:
        `(n, rows * columns)`; each row adds up to 1.
    """
    (height_px, width_px), (rows, cols) = shape_px, lattice
    col_weights, row_weights = _hats(xs / width_px, cols), _hats(ys / height_px, rows)
    return (row_weights[:, :, None] * col_weights[:, None]).reshape(len(xs), rows * cols)


def _hats(places: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`(n, count)`: linear between `count` points on 0-1, at places that are brought into it."""
    distance = np.abs(places.clip(0, 1)[:, None] * (count - 1) - np.arange(count))
    return (1 - distance).clip(0)
