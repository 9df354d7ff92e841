"""Pictures as they are held in the page: WebP in data addresses, cutouts as cells of few sheets."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from PIL import Image, ImageDraw, features
from shapely.geometry.base import BaseGeometry

from geochg.records import PixelWindow
from geochg.report.changes import ListedChange
from geochg.report.views import DateView, Pixels, ViewSize

COLUMNS = 16
"""Cells in a row of a sheet, and rows of a full sheet."""

MOST_SPRITE_BYTES = 12_000_000
"""Most that all sheets together take, before they are written as text."""

_SIDES_PX = ((1_000, 96), (5_000, 64), (math.inf, 48))
"""Side of a cutout by the number of changes."""

_QUALITIES = (72, 55, 40, 25, 12)
_VIEW_QUALITY = 80
_SPEED = 2
_LEAST_SIDE_PX = 40
_MARGIN = 1.6
_OUTLINE = (255, 255, 255, 255)
_NO_DATA = (128, 128, 128)


class SpriteCell(NamedTuple):
    """Where a cutout lies: number of its sheet, column and row in it."""

    sheet: int
    col: int
    row: int


@dataclass(frozen=True)
class Sprites:
    """The cutouts of all listed changes.

    Attributes:
        sheets: Data addresses of the sheets.
        rows: Rows of each sheet; each has `COLUMNS` columns.
        per_change: Cutouts of a change: two, or one of a single image; none without images.
    """

    sheets: tuple[str, ...] = ()
    rows: int = 0
    per_change: int = 0

    def cell(self, change: int, date: int) -> SpriteCell:
        """The cell of a change, by its number in the list, at its first (0) or last (1) date."""
        number, cells = change * self.per_change + date, COLUMNS * self.rows
        sheet, place = divmod(number, cells)
        return SpriteCell(sheet, place % COLUMNS, place // COLUMNS)


def sprites_of(
    changes: Sequence[ListedChange],
    views: Sequence[DateView],
    dates_of: Callable[[ListedChange], tuple[int, int]],
    size: ViewSize,
    step: Callable[[], None],
) -> Sprites:
    """Cuts out every change at its dates.

    Args:
        changes: The changes.
        views: The dates.
        dates_of: The numbers of the two dates of a change.
        size: Size of the views.
        step: Called before each sheet; may raise to stop.
    """
    if not changes or not views:
        return Sprites()
    per_change = min(2, len(views))
    side_px = next(side for most_changes, side in _SIDES_PX if len(changes) <= most_changes)
    cells = len(changes) * per_change
    rows = min(COLUMNS, math.ceil(cells / COLUMNS))
    changes_a_sheet = COLUMNS * rows // per_change
    count = math.ceil(len(changes) / changes_a_sheet)
    sheets: list[Future[str]] = []
    # A sheet is compressed while the next one is cut.
    with ThreadPoolExecutor(1) as pool:
        for start in range(0, len(changes), changes_a_sheet):
            step()
            part = changes[start : start + changes_a_sheet]
            pixels = _sheet(part, views, dates_of, size, (rows, per_change, side_px))
            sheets.append(pool.submit(_fitting_sheet, pixels, MOST_SPRITE_BYTES // count))
        return Sprites(tuple(sheet.result() for sheet in sheets), rows, per_change)


def picture_address(pixels: Pixels, quality: int = _VIEW_QUALITY) -> str:
    """A picture as an address that holds it; where there is no data one sees through it."""
    return _address(_encode(pixels, quality))


def _sheet(
    changes: Sequence[ListedChange],
    views: Sequence[DateView],
    dates_of: Callable[[ListedChange], tuple[int, int]],
    size: ViewSize,
    shape: tuple[int, int, int],
) -> Pixels:
    """The cutouts of some changes side by side, row by row."""
    rows, per_change, side_px = shape
    sheet = np.zeros((rows * side_px, COLUMNS * side_px, 4), np.uint8)

    def cut_out(date: int) -> None:
        """Fills the cells of the dates of one image, whose reader no other thread has."""
        for number, change in enumerate(changes):
            for place, of_date in enumerate(dates_of(change)[:per_change]):
                if of_date == date:
                    window = _window(change, size)
                    pixels = views[date].cutout(window, side_px)
                    if place or per_change == 1:
                        pixels = _with_outline(pixels, change.outline, window, size)
                    row, col = divmod(number * per_change + place, COLUMNS)
                    top, left = row * side_px, col * side_px
                    sheet[top : top + side_px, left : left + side_px] = pixels

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(cut_out, range(len(views))))
    return sheet


def _window(change: ListedChange, size: ViewSize) -> PixelWindow:
    """A square on the ground around a change, in grid pixels."""
    left, top, right, bottom = change.bounds_px
    wanted_side = _MARGIN * max((right - left) * size.per_col, (bottom - top) * size.per_row)
    side = max(wanted_side, _LEAST_SIDE_PX * size.per_col)
    cols, rows = math.ceil(side / size.per_col), math.ceil(side / size.per_row)
    col = round((left + right - cols) / 2)
    row = round((top + bottom - rows) / 2)
    return PixelWindow(row, row + rows, col, col + cols)


def _with_outline(
    pixels: Pixels, outline: BaseGeometry, window: PixelWindow, size: ViewSize
) -> Pixels:
    """A cutout with the change drawn on it."""
    side_px = pixels.shape[0]
    scale_x = side_px / (window.width_px * size.per_col)
    scale_y = side_px / (window.height_px * size.per_row)
    origin = (window.col_start * size.per_col, window.row_start * size.per_row)
    picture = Image.fromarray(pixels, "RGBA")
    draw = ImageDraw.Draw(picture)
    for ring in _rings(outline):
        points = (shapely.get_coordinates(ring) - origin) * (scale_x, scale_y)
        draw.line([*map(tuple, points.tolist())], fill=_OUTLINE, width=1)
    return np.asarray(picture)


def _rings(outline: BaseGeometry) -> Iterator[BaseGeometry]:
    for part in shapely.get_parts(outline):
        if part.geom_type == "Polygon":
            yield from shapely.get_rings(part)


def _fitting_sheet(pixels: Pixels, most_bytes: int) -> str:
    """A sheet as an address that holds it, in the best quality in which it is small enough."""
    for quality in _QUALITIES:
        content = _encode(pixels, quality)
        if len(content) <= most_bytes:
            break
    return _address(content)


def _encode(pixels: Pixels, quality: int) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(pixels), "RGBA")
    content = io.BytesIO()
    is_whole = bool((pixels[..., 3] == 255).all())
    if features.check("webp"):
        image = picture.convert("RGB") if is_whole else picture
        image.save(content, "WEBP", quality=quality, method=_SPEED)
    else:  # a Pillow that was built without it
        sheet = Image.new("RGB", picture.size, _NO_DATA)
        sheet.paste(picture, mask=picture.getchannel("A"))
        sheet.save(content, "JPEG", quality=quality)
    return content.getvalue()


def _address(content: bytes) -> str:
    kind = "webp" if content.startswith(b"RIFF") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
