"""From grid pixels to the ground: the grid's CRS, polygons placed in it, and tables of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.crs import CRS
    from odc.geo.geobox import GeoBox
    from pandas import Series
    from pyproj import Transformer


def crs_of(grid: GeoBox) -> CRS:
    """The CRS of a grid that is known to have one; odc-geo allows grids without a place."""
    if grid.crs is None:
        raise ValueError("the grid has no CRS")
    return grid.crs


_SEMI_MAJOR_M = 6_378_137.0
_ECCENTRICITY_2 = 0.00669437999014
"""Of the WGS84 ellipsoid."""


@lru_cache(maxsize=32)
def transformer(crs: CRS, target: CRS) -> Transformer:
    """The transformer of x and y from one CRS to another; kept, since making it takes long."""
    from pyproj import Transformer

    return Transformer.from_crs(crs.proj, target.proj, always_xy=True)


def on_ground(polygons: NDArray[np.object_], grid: GeoBox) -> NDArray[np.object_]:
    """Polygons in the grid's CRS, shells counterclockwise, from polygons in grid pixels."""
    import shapely

    a, b, c, d, e, f = grid.affine[:6]
    placed_shapes = shapely.transform(
        polygons,
        lambda xy: np.column_stack(
            [a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f]
        ),
    )
    oriented: NDArray[np.object_] = shapely.orient_polygons(placed_shapes, exterior_cw=False)
    return oriented


def height_per_width(grid: GeoBox) -> float:
    """Height of a pixel on the ground by its width."""
    a, b, _, d, e, _ = grid.affine[:6]
    width, height = math.hypot(a, d), math.hypot(b, e)
    if crs_of(grid).geographic:
        _, south, _, north = grid.boundingbox.bbox
        width *= max(math.cos(math.radians((south + north) / 2)), 0.01)
    return height / width


def ground_axes(polygons: NDArray[np.object_], grid: GeoBox) -> NDArray[np.float64]:
    """Where a step of a pixel leads on the ground, at the middle of each of some polygons.

    Args:
        polygons: `(n,)` polygons in grid pixels.
        grid: The grid, of any CRS.

    Returns:
        `(n, 2, 2)` float64: of each matrix the first column is where a step in x leads, the second
        where one in y does; the rows are metres to the east and to the north.
    """
    import shapely
    from odc.geo.crs import CRS

    corners = shapely.bounds(polygons)
    middle = (corners[:, :2] + corners[:, 2:]) / 2
    points = middle[:, None] + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    x, y = grid.affine * points.reshape(-1, 2).T
    lon, lat = (
        values.reshape(-1, 3)
        for values in transformer(crs_of(grid), CRS("EPSG:4326")).transform(x, y)
    )
    lat_start = np.radians(lat[:, :1])
    # Radii of curvature of the WGS84 ellipsoid, along the parallel and along the meridian.
    flatness = 1 - _ECCENTRICITY_2 * np.sin(lat_start) ** 2
    parallel_m = _SEMI_MAJOR_M / np.sqrt(flatness)
    meridian_m = parallel_m * (1 - _ECCENTRICITY_2) / flatness
    turn = (lon[:, 1:] - lon[:, :1] + 180) % 360 - 180
    east = np.radians(turn) * parallel_m * np.cos(lat_start)
    north = np.radians(lat[:, 1:] - lat[:, :1]) * meridian_m
    return np.stack([east, north], axis=1)


def table_column(values: Iterable[Any], dtype: str) -> Series[Any]:
    """A column; `object` for lists, which pandas keeps as they are."""
    import pandas as pd

    return pd.Series(list(values), dtype=dtype)


def layer_frame(
    columns: Mapping[str, Series[Any]], polygons: NDArray[np.object_], grid: GeoBox
) -> GeoDataFrame:
    """A table of features: columns of one length, and `(n,)` polygons in the grid's CRS."""
    from geopandas import GeoDataFrame

    return GeoDataFrame(dict(columns), geometry=polygons, crs=crs_of(grid).proj)
