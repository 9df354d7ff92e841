"""Geometries of any CRS in the pixel coordinates of a grid, over the antimeridian and the poles."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from geochg.errors import InputError
from geochg.geometry.geodesy import map_polygons
from geochg.geometry.placement import crs_of, transformer
from geochg.geometry.polygons_only import polygon_part
from geochg.tiling.north_up import held_pole

_SNAP_PX = 1e-6
"""Parts that were cut apart along a meridian meet again when they lie this near to each other."""


class LonLatBox(NamedTuple):
    """Bounds in degrees; the east may lie beyond 180."""

    west: float
    south: float
    east: float
    north: float


def footprint(grid: GeoBox) -> BaseGeometry:
    """Outline of a grid in its own CRS, with points along the edges so that it may be bent."""
    height_px, width_px = grid.shape
    outline = shapely.segmentize(shapely.box(0, 0, width_px, height_px), max(grid.shape) / 32)
    return moved_geometry(outline, lambda x, y: grid.transform * (x, y))


@lru_cache(maxsize=32)
def lonlat_box(grid: GeoBox) -> LonLatBox:
    """The bounds of a grid in longitude and latitude; all around where a pole lies in it."""
    if crs_of(grid).geographic:
        return LonLatBox(*(float(bound) for bound in grid.boundingbox.bbox))
    to_degrees = transformer(crs_of(grid), CRS("EPSG:4326"))
    lon, lat = to_degrees.transform(*shapely.get_coordinates(footprint(grid)).T)
    if not np.isfinite([lon, lat]).all():
        return LonLatBox(-180.0, -90.0, 180.0, 90.0)
    south, north = float(lat.min()), float(lat.max())
    if pole := held_pole(grid):
        return LonLatBox(-180.0, min(south, 90.0 * pole), 180.0, max(north, 90.0 * pole))
    lon = unwrapped_longitudes(lon, lon[0])
    return LonLatBox(float(lon.min()), south, float(lon.max()), north)


def pixel_polygon(
    geometry: BaseGeometry, crs: CRS, grid: GeoBox, *, segments: int | None = None
) -> BaseGeometry:
    """A geometry in pixel coordinates of a grid, as far as it lies around the grid.

    Longitudes are taken on the grid's side of the antimeridian.

    Args:
        geometry: A point or an area in `crs`.
        crs: CRS of the geometry.
        grid: The grid to place it on.
        segments: Into how many parts an edge as long as the geometry is divided, so that it may
            be bent; None for as many as keep it within a tenth of a pixel or so.

    Raises:
        InputError: If parts of it have no place in the grid's CRS.
    """
    target = crs_of(grid)
    if crs.geographic:
        geometry = _around(geometry, grid)
    if crs != target:
        geometry = _densified(geometry, segments or _segments(grid))
    placed_polygon = in_crs(geometry, crs, target, grid_center(grid)[0])
    if target.geographic and not crs.geographic and _width(placed_polygon) > 180:
        # It crosses the far side of the globe, or a pole lies in it.
        parts = shapely.get_parts(geometry)
        placed_polygon = _around(shapely.union_all(map_polygons(parts, crs.proj)), grid)
    if not np.isfinite(shapely.get_coordinates(placed_polygon)).all():
        raise InputError(
            f"not all of the imagery has a place in {grid.crs}", "choose another grid with --crs"
        )
    pixels = moved_geometry(placed_polygon, lambda x, y: ~grid.transform * (x, y))
    if pixels.geom_type == "Point" or shapely.is_valid(pixels):
        return pixels
    return shapely.union_all(polygon_part(shapely.make_valid(pixels)), grid_size=_SNAP_PX)


def in_crs(geometry: BaseGeometry, crs: CRS, target: CRS, center: float) -> BaseGeometry:
    """A geometry in another CRS; longitudes are on the turn of the globe around `center`."""
    if crs != target:
        geometry = moved_geometry(geometry, transformer(crs, target).transform)
    if target.geographic:
        unwrap = _turned_longitudes if crs == target else unwrapped_longitudes
        geometry = moved_geometry(geometry, lambda x, y: (unwrap(x, center), y))
    return geometry


def grid_center(grid: GeoBox) -> tuple[float, float]:
    """The middle of a grid in its CRS."""
    height_px, width_px = grid.shape
    x, y = grid.transform * (width_px / 2, height_px / 2)
    return float(x), float(y)


def unwrapped_longitudes(
    longitudes: NDArray[np.float64], center: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each longitude on the turn of the globe nearest to `center`."""
    return center + (longitudes - center + 180) % 360 - 180


def moved_geometry(geometry: BaseGeometry, move: Callable[..., Any]) -> BaseGeometry:
    """A geometry whose x and y went through a function."""
    return shapely.transform(geometry, move, interleaved=False)


def _around(geometry: BaseGeometry, grid: GeoBox) -> BaseGeometry:
    """The part of a geometry in degrees around a grid, on the grid's turn of the globe.

    Projections fail far from their centre, so the whole world is no area to project.
    """
    west, south, east, north = lonlat_box(grid)
    margin = max(east - west, north - south)
    low, high = west - margin, east + margin
    if not crs_of(grid).geographic:
        # Once around is enough: a projection would lay one turn on the other.
        middle = (west + east) / 2
        low, high = max(low, middle - 180), min(high, middle + 180)
    near = shapely.box(low, south - margin, high, north + margin)
    turns = [affinity.translate(geometry, turn) for turn in (-360, 0, 360)]
    return shapely.intersection(shapely.union_all(turns), near)


def _turned_longitudes(longitudes: NDArray[np.float64], center: float) -> NDArray[np.float64]:
    """Longitudes moved as a whole, so that a raster wider than half the globe is not torn."""
    if not longitudes.size:
        return longitudes
    middle = float(longitudes.min() + longitudes.max()) / 2
    return longitudes + 360 * round((center - middle) / 360)


def _densified(geometry: BaseGeometry, segments: int) -> BaseGeometry:
    west, south, east, north = geometry.bounds
    longest = max(east - west, north - south)
    return shapely.segmentize(geometry, longest / segments) if longest > 0 else geometry


def _segments(grid: GeoBox) -> int:
    """A chord of an arc strays from it by the square of its length."""
    return min(max(64, math.ceil(8 * math.sqrt(max(grid.shape)))), 4096)


def _width(geometry: BaseGeometry) -> float:
    west, _, east, _ = geometry.bounds
    return float(east - west)
