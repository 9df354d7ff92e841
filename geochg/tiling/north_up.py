"""Which way a grid lies to the north."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from geochg.geometry.orientation import Turn
from geochg.geometry.placement import crs_of, transformer


def north_up(grid: GeoBox) -> GeoBox:
    """The same pixels with the north on top and the east on the right, or as nearly as they go.

    North is that of the earth at the grid's centre; where a pole lies in the grid, that of its CRS.
    """
    east_north = _east_north(grid)
    turns = [Turn(*bits) for bits in product((False, True), repeat=3)]
    # The first is no turn at all: of equals, it is taken.
    return max(turns, key=lambda turn: _northness(turn, east_north)).grid(grid)


def _east_north(grid: GeoBox) -> NDArray[np.float64]:
    """`(2, 2)` how far a step along columns, then rows, leads east and north, in any one unit."""
    steps = np.array([[grid.transform.a, grid.transform.d], [grid.transform.b, grid.transform.e]])
    height_px, width_px = grid.shape
    middle = (width_px / 2, height_px / 2)
    places = [middle, (middle[0] + 1, middle[1]), (middle[0], middle[1] + 1)]
    xs, ys = np.transpose([grid.transform * corner for corner in places])
    lon, lat = transformer(crs_of(grid), CRS("EPSG:4326")).transform(xs, ys)
    if not np.isfinite([lon, lat]).all() or held_pole(grid):
        return steps
    east = (np.subtract(lon[1:], lon[0]) + 180) % 360 - 180
    return np.column_stack([east * np.cos(np.radians(lat[0])), np.subtract(lat[1:], lat[0])])


def held_pole(grid: GeoBox) -> int:
    """1 or -1 where the north or the south pole lies within a projected grid, else 0."""
    if crs_of(grid).geographic:
        return 0
    to_grid = transformer(CRS("EPSG:4326"), crs_of(grid))
    for pole in (1, -1):
        x, y = to_grid.transform(0.0, 90.0 * pole)
        if np.isfinite([x, y]).all():
            col, row = ~grid.transform * (x, y)
            if 0 <= col <= grid.shape[1] and 0 <= row <= grid.shape[0]:
                return pole
    return 0


def _northness(turn: Turn, east_north: NDArray[np.float64]) -> float:
    """How far rows run to the south and columns to the east after a turn, by a unit's step."""
    to_source = turn.to_source((0, 0))
    along_col = np.array([to_source.a, to_source.d]) @ east_north
    along_row = np.array([to_source.b, to_source.e]) @ east_north
    score = along_col[0] / np.linalg.norm(along_col) - along_row[1] / np.linalg.norm(along_row)
    return round(float(score), 6)
