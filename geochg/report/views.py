"""Pictures in the report's own pixels: the whole place, and a cutout around each change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image

from geochg.geometry.placement import height_per_width
from geochg.records import PixelWindow
from geochg.report.contents import DatedPicture
from geochg.tiling.date_reader import DateReader
from geochg.tiling.grid import pixel_area_m2

LONGEST_PX = 1600
"""Longer side of the view of a pair; with more dates the views together have as many pixels."""

_LEAST_LONGEST_PX = 480
_BLOCK_PX = 256
_READ_FINER = 2
"""So many times as many pixels are read, each way, as are shown: their mean hides the noise."""

Pixels = NDArray[np.uint8]
"""`(rows, columns, 4)` red, green, blue and whether there is data (255) or none (0)."""


@dataclass(frozen=True)
class ViewSize:
    """The size of the view of a grid, whose pixels are square on the ground.

    Attributes:
        width_px: Columns of the view.
        height_px: Rows of the view.
        per_col: Pixels of the view that a column of the grid has, a fraction mostly.
        per_row: Likewise of a row.
        pixel_m: Side of a pixel of the view on the ground, in metres.
    """

    width_px: int
    height_px: int
    per_col: float
    per_row: float
    pixel_m: float

    @classmethod
    def of(cls, grid: GeoBox, dates: int = 2) -> Self:
        """The size for a number of dates."""
        rows, cols = grid.shape
        longest_px = max(_LEAST_LONGEST_PX, round(LONGEST_PX * math.sqrt(2 / max(2, dates))))
        ground_width, ground_height = float(cols), rows * height_per_width(grid)
        scale = min(1.0, longest_px / max(ground_width, ground_height))
        width_px = max(1, round(ground_width * scale))
        height_px = max(1, round(ground_height * scale))
        area_m2 = pixel_area_m2(grid) * rows * cols
        pixel_m = math.sqrt(area_m2 / (width_px * height_px))
        return cls(width_px, height_px, width_px / cols, height_px / rows, pixel_m)


class DateView:
    """One date on the report's grid: its view, and cutouts of it. A context manager.

    Args:
        picture: The date.
        grid: The grid.
        size: Size of the view.

    Raises:
        InputError: On opening, if the image has gone or changed its kind.
    """

    def __init__(self, picture: DatedPicture, grid: GeoBox, size: ViewSize) -> None:
        self._grid, self._size = grid, size
        self._reader = DateReader(picture.plan, grid)
        self.is_complete = True
        """Whether all that was asked for could be read."""
        self.pixels = self._whole()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the image."""
        self._reader.close()

    def cutout(self, window: PixelWindow, side_px: int) -> Pixels:
        """A square part of the ground, as it would lie in the view.

        Args:
            window: In grid pixels; it may reach beyond the grid.
            side_px: Side of the cutout.

        Returns:
            `(side_px, side_px, 4)`, from the view where that shows as much, else from the image.
        """
        if window.width_px * self._size.per_col >= side_px or self._shows_all:
            return self._from_view(window, side_px)
        pixels = self._read(window, (window.height_px, window.width_px))
        return _resized_pixels(pixels, side_px, side_px)

    @property
    def _shows_all(self) -> bool:
        return min(self._size.per_col, self._size.per_row) >= 1

    def _from_view(self, window: PixelWindow, side_px: int) -> Pixels:
        size = self._size
        left, top = window.col_start * size.per_col, window.row_start * size.per_row
        right, bottom = window.col_stop * size.per_col, window.row_stop * size.per_row
        low_col, low_row = math.floor(left), math.floor(top)
        part = _padded_part(self.pixels, low_row, math.ceil(bottom), low_col, math.ceil(right))
        box = (left - low_col, top - low_row, right - low_col, bottom - low_row)
        return _resized_pixels(part, side_px, side_px, box)

    def _whole(self) -> Pixels:
        """The view, block by block, so that memory does not grow with the image."""
        size, (rows, cols) = self._size, self._grid.shape
        view = np.zeros((size.height_px, size.width_px, 4), np.uint8)
        for top, bottom in _blocks(size.height_px):
            for left, right in _blocks(size.width_px):
                window = PixelWindow(
                    math.floor(top / size.per_row),
                    min(rows, math.ceil(bottom / size.per_row)),
                    math.floor(left / size.per_col),
                    min(cols, math.ceil(right / size.per_col)),
                )
                height_px, width_px = bottom - top, right - left
                shape = (
                    min(window.height_px, _READ_FINER * height_px),
                    min(window.width_px, _READ_FINER * width_px),
                )
                pixels = self._read(window, shape)
                scale_y, scale_x = shape[0] / window.height_px, shape[1] / window.width_px
                box = (
                    (left / size.per_col - window.col_start) * scale_x,
                    (top / size.per_row - window.row_start) * scale_y,
                    min(shape[1], (right / size.per_col - window.col_start) * scale_x),
                    min(shape[0], (bottom / size.per_row - window.row_start) * scale_y),
                )
                view[top:bottom, left:right] = _resized_pixels(pixels, width_px, height_px, box)
        return view

    def _read(self, window: PixelWindow, shape: tuple[int, int]) -> Pixels:
        """A window of the image in display values; what cannot be read has no data."""
        pixels = self._reader.read_picture(window, shape)
        if pixels is None:
            self.is_complete = False
            return np.zeros((*shape, 4), np.uint8)
        return _in_colors(*pixels)


def overview(pixels: Pixels, longest_px: int) -> Pixels:
    """A view made smaller."""
    height_px, width_px = pixels.shape[:2]
    scale = min(1.0, longest_px / max(height_px, width_px))
    return _resized_pixels(
        pixels, max(1, round(width_px * scale)), max(1, round(height_px * scale))
    )


def _blocks(length_px: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length_px, _BLOCK_PX):
        yield start, min(length_px, start + _BLOCK_PX)


def _in_colors(values: NDArray[Any], valid: NDArray[np.bool_]) -> Pixels:
    """Red, green and blue of three bands or more; grey of fewer."""
    bands = values[:3] if len(values) >= 3 else np.repeat(values[:1], 3, axis=0)
    pixels = np.empty((*valid.shape, 4), np.uint8)
    for channel, band in enumerate(bands):
        pixels[..., channel] = band
    pixels[..., 3] = 255
    if not valid.all():
        pixels[~valid] = 0
    return pixels


def _padded_part(pixels: Pixels, top: int, bottom: int, left: int, right: int) -> Pixels:
    """A part of the view, which may reach beyond it."""
    height_px, width_px = pixels.shape[:2]
    part = np.zeros((bottom - top, right - left, 4), np.uint8)
    rows = slice(max(0, top), max(0, min(bottom, height_px)))
    cols = slice(max(0, left), max(0, min(right, width_px)))
    inside = pixels[rows, cols]
    start_row, start_col = max(0, -top), max(0, -left)
    part[start_row : start_row + inside.shape[0], start_col : start_col + inside.shape[1]] = inside
    return part


def _resized_pixels(
    pixels: Pixels,
    width_px: int,
    height_px: int,
    box: tuple[float, float, float, float] | None = None,
) -> Pixels:
    """Pixels brought to another size: the mean of what falls into one, smooth where they grow."""
    whole_box = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    box = box or whole_box
    if box == whole_box and pixels.shape[:2] == (height_px, width_px):
        return pixels
    picture = Image.fromarray(pixels, "RGBA")
    shrinks = box[2] - box[0] >= width_px and box[3] - box[1] >= height_px
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    resized = picture.resize((width_px, height_px), method, box=box)
    return np.asarray(resized)
