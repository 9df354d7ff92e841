"""Areas of any CRS brought to another one, as far as they lie around a box of it."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.geometry.geodesy import EDGE_M, METRES_PER_RADIAN
from geochg.geometry.polygons_only import polygon_part

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyproj import CRS

_MARGIN = 0.1
"""Share of the box's extent that is kept around it."""

_EDGES = 2_000
"""Parts into which an edge as long as the box is divided, so that it may be bent."""


class Bounds(NamedTuple):
    """A box in some CRS; of degrees, the east may lie beyond 180."""

    west: float
    south: float
    east: float
    north: float


def areas_in_crs(
    polygons: NDArray[np.object_], crs: CRS, target: CRS, bounds: Bounds
) -> NDArray[np.object_]:
    """Areas in another CRS, cut to a box and some ground around it.

    Projections fail far from their centre, so that what lies far from the box is never projected.
    Longitudes are taken on the box's side of the antimeridian.

    Args:
        polygons: `(n,)` valid polygons and multipolygons whose edges are straight in `crs`.
        crs: Their CRS.
        target: The CRS wanted.
        bounds: The box, in `target`.

    Returns:
        `(n,)` valid polygons and multipolygons in `target`; empty where nothing lies around the
        box.
    """
    import shapely

    region = _with_margin(bounds if crs == target else _transformed_bounds(bounds, crs, target))
    near = _cut(_on_turns(polygons, region) if crs.is_geographic else polygons, region)
    if crs != target:
        near = shapely.segmentize(near, _edge_length(crs, region))
        near = _transformed(near, crs, target, (bounds.west + bounds.east) / 2)
    invalid = np.flatnonzero(~shapely.is_valid(near))
    for index in invalid.tolist():
        near[index] = polygon_part(shapely.make_valid(near[index]))
    return near


def _transformed_bounds(bounds: Bounds, crs: CRS, target: CRS) -> Bounds | None:
    """The box in the CRS of the areas; None where it cannot be told, and nothing is cut."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    west, south, east, north = bounds
    if target.is_geographic:
        # Beyond 180 degrees some projections know nothing.
        turn = 360 * math.floor((west + 180) / 360)
        west, east = west - turn, east - turn
        if east > 180:
            west, east = -180.0, 180.0
    to_areas = Transformer.from_crs(target, crs, always_xy=True)
    try:
        box = Bounds(*to_areas.transform_bounds(west, south, east, north, densify_pts=41))
    except ProjError:
        return None
    if not all(map(math.isfinite, box)):
        return None
    is_over_antimeridian = crs.is_geographic and box.west > box.east
    return box._replace(east=box.east + 360) if is_over_antimeridian else box


def _with_margin(box: Bounds | None) -> Bounds | None:
    if box is None:
        return None
    margin = _MARGIN * max(box.east - box.west, box.north - box.south)
    return Bounds(box.west - margin, box.south - margin, box.east + margin, box.north + margin)


def _on_turns(polygons: NDArray[np.object_], region: Bounds | None) -> NDArray[np.object_]:
    """Areas in degrees on the turns of the globe that a region lies on."""
    import shapely

    if region is None:
        return polygons
    west, _, east, _ = shapely.bounds(polygons).T
    turned = np.array(polygons, copy=True)
    turned[:] = shapely.Polygon()
    for turn in (-360, 0, 360):
        near = np.flatnonzero((west + turn <= region.east) & (east + turn >= region.west))
        moved_shapes = shapely.transform(polygons[near], partial(np.add, (turn, 0)))
        for index, shape in zip(near.tolist(), moved_shapes, strict=True):
            former = turned[index]
            turned[index] = shape if former.is_empty else shapely.union(former, shape)
    return turned


def _cut(polygons: NDArray[np.object_], region: Bounds | None) -> NDArray[np.object_]:
    """What of the areas lies in a region; those that lie in it as wholes stay as they are."""
    import shapely

    if region is None:
        return polygons
    west, south, east, north = shapely.bounds(polygons).T
    is_apart = (east < region.west) | (west > region.east)
    is_apart |= (north < region.south) | (south > region.north) | np.isnan(west)
    is_within = (west >= region.west) & (east <= region.east)
    is_within &= (south >= region.south) & (north <= region.north)
    cut_polygons = np.array(polygons, copy=True)
    cut_polygons[is_apart] = shapely.Polygon()
    box = shapely.box(*region)
    for index in np.flatnonzero(~is_apart & ~is_within).tolist():
        cut_polygons[index] = polygon_part(shapely.intersection(polygons[index], box))
    return cut_polygons


def _edge_length(crs: CRS, region: Bounds | None) -> float:
    """Longest edge that is transformed as it is, in the unit of a CRS."""
    unit_m = crs.axis_info[0].unit_conversion_factor
    least = EDGE_M / (unit_m * METRES_PER_RADIAN if crs.is_geographic else unit_m)
    if region is None:
        return least
    return max(least, max(region.east - region.west, region.north - region.south) / _EDGES)


def _transformed(
    polygons: NDArray[np.object_], crs: CRS, target: CRS, center: float
) -> NDArray[np.object_]:
    """The areas in another CRS; empty where one has no place in it."""
    import shapely
    from pyproj import Transformer

    transform = Transformer.from_crs(crs, target, always_xy=True).transform

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transform(xy[:, 0], xy[:, 1])
        if target.is_geographic:
            x = center + (x - center + 180) % 360 - 180
        return np.column_stack([x, y])

    moved_shapes: NDArray[np.object_] = shapely.transform(polygons, move)
    coordinates, index = shapely.get_coordinates(moved_shapes, return_index=True)
    moved_shapes[np.unique(index[~np.isfinite(coordinates).all(axis=1)])] = shapely.Polygon()
    return moved_shapes
