"""Where in the area analysed a feature lies, in compass words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

PLACES = (
    "north-west", "north", "north-east",
    "west", "centre", "east",
    "south-west", "south", "south-east",
)  # fmt: skip
"""The nine parts of an area, thirds of its height and width, row by row from the north."""

EVERYWHERE = ""
"""The place of what reaches across the area and has no half of it in one part."""


def places(polygons: NDArray[np.object_], grid: GeoBox) -> list[str]:
    """The part of the area that most of each polygon lies in.

    Args:
        polygons: `(n,)` polygons in the grid's CRS.
        grid: The common grid, whose bounding box is the area.

    Returns:
        One of `PLACES` or `EVERYWHERE` for each.
    """
    if len(polygons) == 0:
        return []
    left, bottom, right, top = grid.boundingbox.bbox
    xs, ys = np.linspace(left, right, 4), np.linspace(top, bottom, 4)
    west, south, east, north = shapely.bounds(polygons).T
    first_col, last_col = (np.searchsorted(xs[1:3], x, side="right") for x in (west, east))
    first_row, last_row = (np.searchsorted(-ys[1:3], -y, side="right") for y in (north, south))
    numbers = (first_row * 3 + first_col).tolist()
    for i in np.flatnonzero((first_row != last_row) | (first_col != last_col)).tolist():
        parts = shapely.box(
            np.tile(xs[:3], 3), np.repeat(ys[1:], 3), np.tile(xs[1:], 3), np.repeat(ys[:3], 3)
        )
        share = shapely.area(shapely.intersection(polygons[i], parts)) / polygons[i].area
        reaches_across = last_row[i] - first_row[i] == 2 or last_col[i] - first_col[i] == 2
        largest = int(share.argmax())
        numbers[i] = -1 if reaches_across and share[largest] < 0.5 else largest
    return [PLACES[i] if i >= 0 else EVERYWHERE for i in numbers]
