"""Crops of an image around polygons, as models are shown them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geochg.models.images import filled, rgb_image
from geochg.records import Tile

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

SIDE_PX = 336
"""Side of what is shown."""

LEAST_VALID_SHARE = 0.6
"""Share of a place that must have data."""

_RED = (255, 0, 0)
_LINE_PX = 3


def shown_crop(tile: Tile, polygon: BaseGeometry | None) -> Tile | None:
    """A crop at the size that models are shown, with an outline; None where data are lacking.

    Args:
        tile: A tile of one date and of display pixels.
        polygon: What is outlined, in pixels of the grid; None for nothing.
    """
    from PIL.Image import Resampling

    if _valid_share(tile, polygon) < LEAST_VALID_SHARE:
        return None
    image = rgb_image(filled(tile.before, tile.valid))
    shown_image = image.resize((SIDE_PX, SIDE_PX), Resampling.BICUBIC)
    if polygon is not None:
        _draw_outline(shown_image, tile, polygon)
    return Tile.of_image(np.ascontiguousarray(np.asarray(shown_image).transpose(2, 0, 1)))


def _valid_share(tile: Tile, polygon: BaseGeometry | None) -> float:
    if polygon is None:
        return float(tile.valid.mean())
    inside = _mask(tile, polygon)
    return float(tile.valid[inside].mean()) if inside.any() else float(tile.valid.mean())


def _mask(tile: Tile, polygon: BaseGeometry) -> NDArray[np.bool_]:
    import shapely

    read = tile.window.read
    rows, cols = np.indices(tile.valid.shape)
    x, y = cols + read.col_start + 0.5, rows + read.row_start + 0.5
    return np.asarray(shapely.contains_xy(polygon, x, y))


def _draw_outline(image: object, tile: Tile, polygon: BaseGeometry) -> None:
    import shapely
    from PIL.ImageDraw import Draw

    read = tile.window.read
    scale = np.array([SIDE_PX / read.width_px, SIDE_PX / read.height_px])
    draw = Draw(image)  # type: ignore[arg-type]
    for ring in shapely.get_rings(polygon):
        points = (shapely.get_coordinates(ring) - (read.col_start, read.row_start)) * scale
        draw.line([tuple(point) for point in points.tolist()], fill=_RED, width=_LINE_PX)
