"""The eight ways in which one lattice of pixels can lie on another: quarter turns, mirrored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from affine import Affine

from geochg.records import PixelWindow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True, slots=True)
class Turn:
    """How pixels are turned; without arguments, not at all.

    Attributes:
        transposed: Whether rows become columns; this comes first.
        rows_reversed: Whether the last row then becomes the first.
        cols_reversed: Whether the last column then becomes the first.
    """

    transposed: bool = False
    rows_reversed: bool = False
    cols_reversed: bool = False

    @classmethod
    def of(cls, relative: Affine) -> Turn:
        """The turn nearest to a map from turned pixel coordinates to those before the turn.

        Args:
            relative: Maps x and y (columns and rows) of the turned lattice to the one before.
        """
        a, b, d, e = relative.a, relative.b, relative.d, relative.e
        if abs(a) + abs(e) >= abs(b) + abs(d):
            return cls(False, rows_reversed=e < 0, cols_reversed=a < 0)
        return cls(True, rows_reversed=b < 0, cols_reversed=d < 0)

    @property
    def inverse(self) -> Turn:
        """The turn back."""
        if not self.transposed:
            return self
        return Turn(True, rows_reversed=self.cols_reversed, cols_reversed=self.rows_reversed)

    def turned_pixels(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Turns the last two axes, rows and columns, of an array; a view where it can be one."""
        turned = pixels.swapaxes(-1, -2) if self.transposed else pixels
        row_step, col_step = -1 if self.rows_reversed else 1, -1 if self.cols_reversed else 1
        return turned[..., ::row_step, ::col_step]

    def shape(self, shape_px: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns after the turn."""
        height_px, width_px = shape_px
        return (width_px, height_px) if self.transposed else (height_px, width_px)

    def to_source(self, shape_px: tuple[int, int]) -> Affine:
        """Maps pixel coordinates after the turn to those before it.

        Args:
            shape_px: Rows and columns after the turn.
        """
        height_px, width_px = shape_px
        inverse = Affine.identity()
        if self.rows_reversed:
            inverse = Affine(1, 0, 0, 0, -1, height_px) * inverse
        if self.cols_reversed:
            inverse = Affine(-1, 0, width_px, 0, 1, 0) * inverse
        return Affine(0, 1, 0, 1, 0, 0) * inverse if self.transposed else inverse

    def grid(self, grid: GeoBox) -> GeoBox:
        """A grid after the turn; it covers the same ground with the same pixels."""
        from odc.geo.geobox import GeoBox

        height_px, width_px = grid.shape
        shape = self.shape((height_px, width_px))
        return GeoBox(shape, grid.transform * self.to_source(shape), grid.crs)

    def blocks(
        self, blocks: Iterable[tuple[PixelWindow, NDArray[np.uint8]]], shape_px: tuple[int, int]
    ) -> Iterator[tuple[PixelWindow, NDArray[np.uint8]]]:
        """Parts of an array after the turn.

        Args:
            blocks: Windows and the `(height, width)` pixels of each.
            shape_px: Rows and columns of the whole array before the turn.
        """
        to_turned = ~self.to_source(self.shape(shape_px))
        for window, pixels in blocks:
            yield moved_window(window, to_turned), self.turned_pixels(pixels)


def moved_window(window: PixelWindow, to_other: Affine) -> PixelWindow:
    """A window in other pixel coordinates, of a lattice on which whole pixels stay whole."""
    first = to_other * (window.col_start, window.row_start)
    last = to_other * (window.col_stop, window.row_stop)
    left, right = sorted((round(first[0]), round(last[0])))
    top, bottom = sorted((round(first[1]), round(last[1])))
    return PixelWindow(top, bottom, left, right)
