"""A small picture of a pair: both dates beside each other, with the changes drawn on them."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from PIL import Image, ImageColor, ImageDraw

from geochg.class_list import ClassList
from geochg.errors import GeochgError, InputError
from geochg.options import AlignMode, AnalyzeOptions
from geochg.pipeline.views import view_of_pair, whole_tile
from geochg.records import Tile
from geochg.tiling.footprints import pixel_polygon
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.pair import RasterPair, open_pair
from geochg.tiling.series_dates import date_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

PREVIEW_PX = 512
"""Longer side of each date in a preview, in pixels."""

MOST_DRAWN = 3_000
"""Features that are drawn, the largest; more cover each other."""

_GAP_PX = 6
_LINE_PX = 16
_INK, _PAPER, _HALO = "#e6e6e6", "#181818", "#000000"
_HOLE = (90, 90, 90)
_MOST_CLASSES, _LONGEST_NAME = 12, 40
_PHOTO_COLORS = 256 - _MOST_CLASSES - 3
"""Colours of a palette of 256 that are left for the pixels of the dates."""


def pair_preview(
    before: str,
    after: str,
    options: AnalyzeOptions | None = None,
    frames: Iterable[GeoDataFrame] = (),
) -> bytes:
    """Draws a pair as a PNG of 256 colours, which is always smaller than 600 kB.

    In base64 it so stays below the megabyte that many clients take. The dates are shown as they
    lie: the correction of a shift is far below a pixel of the picture. Holes are grey.

    Args:
        before: The earlier raster.
        after: The later raster.
        options: The options of the run; the defaults when None.
        frames: Tables of changes, with the columns `class`, `area_m2` and polygons.

    Raises:
        InputError: If a raster cannot be used, or nothing in it is valid.
        OptionError: If an option does not fit the pair.
        RunError: If a raster cannot be read.
    """
    options = replace(options or AnalyzeOptions(), align=AlignMode.OFF, match=False)
    with gdal_settings():
        pair = view_of_pair(_picture_pair(before, after, options), options, PREVIEW_PX)
        tile = whole_tile(pair, options, "display")
    outlines = list(_outlines(frames, pair.grid))
    file = io.BytesIO()
    _canvas_of(tile, _labels(pair), outlines).save(file, "PNG", optimize=True)
    return file.getvalue()


def _picture_pair(before: str, after: str, options: AnalyzeOptions) -> RasterPair:
    """The pair with bands that make a picture: colours, else whatever both dates have."""
    try:
        return open_pair(before, after, options, "rgb")
    except InputError:
        return open_pair(before, after, options, "all")


def _labels(pair: RasterPair) -> tuple[str, str]:
    """What stands above each date."""
    dates = [date_of(source).text for source in (pair.before, pair.after)]
    names = (
        f"{name} {date}".strip() for name, date in zip(("before", "after"), dates, strict=True)
    )
    first, second = names
    return first, second


def _outlines(
    frames: Iterable[GeoDataFrame], grid: GeoBox
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Class and line `(n, 2)` in pixels of the grid, x first, of the largest changes."""
    height_px, width_px = grid.shape
    box = shapely.box(0, 0, width_px, height_px)
    rows = (
        (float(area_m2), number, str(name), polygon, crs)
        for number, (area_m2, name, polygon, crs) in enumerate(_rows(frames))
    )
    for _, _, name, polygon, crs in heapq.nlargest(MOST_DRAWN, rows, key=lambda row: row[:2]):
        try:
            placed_polygon = pixel_polygon(polygon, crs, grid)
        except GeochgError:  # a shape that does not lie in the picture's CRS at all
            continue
        visible = shapely.line_merge(shapely.intersection(shapely.boundary(placed_polygon), box))
        for line in shapely.get_parts(visible):
            if line.length:
                yield name, shapely.get_coordinates(line)


def _rows(frames: Iterable[GeoDataFrame]) -> Iterator[tuple[Any, Any, Any, CRS]]:
    for frame in frames:
        if len(frame):
            crs = CRS(frame.crs)
            columns = (frame["area_m2"], frame["class"], frame.geometry)
            yield from ((*row, crs) for row in zip(*columns, strict=True))


def _canvas_of(
    tile: Tile, labels: Sequence[str], outlines: Sequence[tuple[str, NDArray[np.float64]]]
) -> Image.Image:
    """Both dates beside each other, their labels above and the classes below; with a palette."""
    height_px, width_px = tile.valid.shape
    names = list(dict.fromkeys(name for name, _ in outlines))[:_MOST_CLASSES]
    size_px = (2 * width_px + _GAP_PX, height_px + _LINE_PX + (_LINE_PX if names else 0))
    photos = Image.new("RGB", size_px)
    lefts_px = (0, width_px + _GAP_PX)
    for date, left_px in zip(tile.dates, lefts_px, strict=True):
        photos.paste(Image.fromarray(_picture(date, tile.valid)), (left_px, _LINE_PX))
    colors = dict(ClassList.of_names(names).colors) if names else {}
    canvas, inks = _with_inks(photos, [_INK, _PAPER, _HALO, *colors.values()])
    draw = ImageDraw.Draw(canvas)
    for name, line in outlines:
        for left_px in lefts_px:
            # Corners of pixels lie half a pixel before their centres, which is where Pillow draws.
            points = [tuple(point) for point in line - 0.5 + (left_px, _LINE_PX)]
            draw.line(points, fill=inks[_HALO], width=4)
            draw.line(points, fill=inks[colors.get(name, _INK)], width=2)
    # Thick lines at an edge of a date leave it; none are to be seen among words.
    for box in (
        (width_px, 0, width_px + _GAP_PX - 1, canvas.height),
        (0, 0, canvas.width, _LINE_PX - 1),
        (0, height_px + _LINE_PX, canvas.width, canvas.height),
    ):
        draw.rectangle(box, fill=inks[_PAPER])
    for label, left_px in zip(labels, lefts_px, strict=True):
        draw.text((left_px + 4, 2), label, fill=inks[_INK])
    _write_legend(draw, {name: inks[color] for name, color in colors.items()}, inks, canvas.height)
    return canvas


def _with_inks(photos: Image.Image, colors: Sequence[str]) -> tuple[Image.Image, dict[str, int]]:
    """A picture with a palette, and the numbers in it of colours that are to be drawn with.

    Colours of lines would be lost among those of the pixels if all were chosen together.
    """
    canvas = photos.quantize(_PHOTO_COLORS)
    palette = (canvas.getpalette() or [])[: 3 * _PHOTO_COLORS]
    palette += [0] * (3 * _PHOTO_COLORS - len(palette))
    inks = {}
    for number, color in enumerate(dict.fromkeys(colors), start=_PHOTO_COLORS):
        palette += ImageColor.getrgb(color)[:3]
        inks[color] = number
    canvas.putpalette(palette)
    return canvas, inks


def _write_legend(
    draw: ImageDraw.ImageDraw,
    class_inks: Mapping[str, int],
    inks: Mapping[str, int],
    bottom_px: int,
) -> None:
    left_px, top_px = 4.0, bottom_px - _LINE_PX
    for class_name, ink in class_inks.items():
        # Pillow's own font has no other letters, and some builds of it refuse them.
        name = class_name[:_LONGEST_NAME].encode("latin-1", "replace").decode("latin-1")
        draw.rectangle((left_px, top_px + 4, left_px + 8, top_px + 12), fill=ink)
        draw.text((left_px + 12, top_px + 2), name, fill=inks[_INK])
        left_px += 24 + draw.textlength(name)


def _picture(date: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Display pixels `(bands, height, width)` as a picture `(height, width, 3)` of uint8."""
    bands = date[:3] if len(date) >= 3 else date[[0, 0, 0]]
    picture = np.ascontiguousarray(np.moveaxis(bands, 0, -1), dtype=np.uint8)
    picture[~valid] = _HOLE
    return picture
