"""Windows of pixels: ranges of the common grid, tiles, and the cells of a tile's 3x3 grid.

Ranges are half-open. Pixel coordinates are columns and rows of the common grid, counted from its
top-left corner; a pixel covers `[col, col + 1) x [row, row + 1)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self


@dataclass(frozen=True, slots=True)
class PixelWindow:
    """A half-open range of grid rows and columns; starts may be negative for padded reads."""

    row_start: int
    row_stop: int
    col_start: int
    col_stop: int

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Self:
        """The window of a whole array, given its shape, which ends in height and width."""
        return cls(0, shape[-2], 0, shape[-1])

    @property
    def height_px(self) -> int:
        """Number of rows that it covers."""
        return self.row_stop - self.row_start

    @property
    def width_px(self) -> int:
        """Number of columns that it covers."""
        return self.col_stop - self.col_start

    def holds(self, x: float, y: float) -> bool:
        """Whether a point in grid pixels lies in the window."""
        return self.col_start <= x < self.col_stop and self.row_start <= y < self.row_stop

    def cut_to(self, other: PixelWindow) -> PixelWindow | None:
        """The part that lies in another window; None where that is nothing."""
        low, high = max(self.row_start, other.row_start), min(self.row_stop, other.row_stop)
        left, right = max(self.col_start, other.col_start), min(self.col_stop, other.col_stop)
        return PixelWindow(low, high, left, right) if low < high and left < right else None

    def slices_within(self, outer: PixelWindow) -> tuple[slice, slice]:
        """Row and column slices that cut this window out of an array covering `outer`."""
        return (
            slice(self.row_start - outer.row_start, self.row_stop - outer.row_start),
            slice(self.col_start - outer.col_start, self.col_stop - outer.col_start),
        )


@dataclass(frozen=True, slots=True)
class TileWindow:
    """One tile of the layout.

    Attributes:
        index: Position in raster order, from 0; the tile's identity within a run.
        row: Row in the layout of tiles, from 0.
        col: Column in the layout of tiles, from 0.
        read: The square of pixels the model sees; may reach past the grid, where it is padded.
        core: The part of `read` whose answers are kept; cores cover each grid pixel exactly once.
    """

    index: int
    row: int
    col: int
    read: PixelWindow
    core: PixelWindow

    @property
    def name(self) -> str:
        """The tile's name in outputs, such as `r3c12`."""
        return f"r{self.row}c{self.col}"


class GridCell(NamedTuple):
    """One of the 3x3 cells a tile's read window is divided into."""

    row: int
    col: int

    @property
    def name(self) -> str:
        """`top-left` ... `bottom-right`; the middle is `center-center`, as in the data."""
        return f"{('top', 'center', 'bottom')[self.row]}-{('left', 'center', 'right')[self.col]}"

    @property
    def compass(self) -> str:
        """`north-west` ... `south-east`, where the north is on top; the middle is `center`."""
        parts = (("north", "", "south")[self.row], ("west", "", "east")[self.col])
        return "-".join(part for part in parts if part) or "center"


GRID_CELLS = tuple(GridCell(row, col) for row in range(3) for col in range(3))  # in raster order
