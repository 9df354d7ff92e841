"""A half-open range of grid rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


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
