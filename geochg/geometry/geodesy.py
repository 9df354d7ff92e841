"""Polygons of any CRS on the ellipsoid: areas, and longitudes and latitudes that maps can take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyproj import CRS
    from shapely.geometry.base import BaseGeometry

EDGE_M = 250.0
"""Longer edges are divided before they are projected, so that they keep to their line within
about a millimetre (a centimetre at 85 degrees of latitude)."""
METRES_PER_RADIAN = 6378137.0


def geodesic_areas(polygons: NDArray[np.object_], crs: CRS) -> NDArray[np.float64]:
    """Areas on the WGS84 ellipsoid, holes left out.

    Args:
        polygons: `(n,)` polygons (of one part) whose edges are straight in `crs`.
        crs: Geographic or projected; longitudes may lie beyond 180 degrees.

    Returns:
        `(n,)` float64, square metres.
    """
    import shapely
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    rings, polygon = shapely.get_rings(_lonlat(polygons, crs), return_index=True)
    areas = np.zeros(len(polygons))
    is_shell = np.append(True, polygon[1:] != polygon[:-1])[: len(polygon)]
    vertices, ring = shapely.get_coordinates(rings, return_index=True)
    stops = np.searchsorted(ring, np.arange(len(rings)), side="right").tolist()
    lon, lat = np.ascontiguousarray(vertices.T)
    start = 0
    for stop, index, shell in zip(stops, polygon.tolist(), is_shell.tolist(), strict=True):
        area = abs(geod.polygon_area_perimeter(lon[start:stop], lat[start:stop])[0])
        areas[index] += area if shell else -area
        start = stop
    return areas


def map_polygons(polygons: NDArray[np.object_], crs: CRS) -> NDArray[np.object_]:
    """Polygons in longitude and latitude as RFC 7946 wants them.

    Those that cross the antimeridian are cut along it, those around a pole reach to the pole, and
    shells run counterclockwise.

    Args:
        polygons: `(n,)` polygons or multipolygons whose edges are straight in `crs`.
        crs: Geographic or projected; longitudes may lie beyond 180 degrees.

    Returns:
        `(n,)` polygons and multipolygons, longitudes -180 to 180 degrees (EPSG:4326, but in the
        order longitude, latitude).
    """
    import shapely

    in_degrees = _lonlat(polygons, crs, divide=not crs.is_geographic)
    west, _, east, _ = shapely.bounds(in_degrees).T
    # A jump of half the world between neighbours is an edge across the antimeridian.
    for index in np.flatnonzero((west < -180) | (east > 180) | (east - west > 180)):
        in_degrees[index] = _on_one_map(in_degrees[index], continuous=crs.is_geographic)
    oriented: NDArray[np.object_] = shapely.orient_polygons(in_degrees, exterior_cw=False)
    return oriented


def _lonlat(polygons: NDArray[np.object_], crs: CRS, *, divide: bool = True) -> NDArray[np.object_]:
    """The polygons in longitude and latitude, long edges divided first."""
    import shapely
    from pyproj import Transformer

    transformer = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    unit_m = crs.axis_info[0].unit_conversion_factor
    edge = EDGE_M / (unit_m * METRES_PER_RADIAN if crs.is_geographic else unit_m)
    divided = shapely.segmentize(polygons, edge) if divide else polygons
    in_degrees: NDArray[np.object_] = shapely.transform(
        divided, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )
    return in_degrees


# --- the antimeridian and the poles --------------------------------------------------------------
# The package `antimeridian` (0.4.9, tried in place of this) tells the inside of a ring by its turn
# in degrees, which means nothing for a ring around a pole: three tests of features with holes
# across the antimeridian and of features around a pole fail with it, whatever its options.


def _on_one_map(geometry: BaseGeometry, *, continuous: bool) -> BaseGeometry:
    """Cuts a polygon along the antimeridian and brings its parts to -180 ... 180."""
    import shapely

    unrolled_parts = [
        _unrolled_polygon(part, continuous=continuous) for part in shapely.get_parts(geometry)
    ]
    pieces = [piece for part in unrolled_parts for piece in _worlds(part)]
    # The grid (0.1 mm) lets parts that met before they were moved meet again.
    return shapely.union_all(pieces, grid_size=1e-9) if len(pieces) > 1 else pieces[0]


def _unrolled_polygon(polygon: BaseGeometry, *, continuous: bool) -> BaseGeometry:
    """The polygon without jumps, its longitudes as far beyond 180 as it reaches."""
    import shapely

    if continuous:
        return polygon
    shell, *holes = (_unrolled_ring(ring) for ring in shapely.get_rings(polygon))
    west, _, east, _ = shell.bounds
    for hole in holes:
        middle = (hole.bounds[0] + hole.bounds[2]) / 2
        # A hole starts on any turn of the world; it belongs on the shell's.
        for turn in range(math.floor((west - middle) / 360), math.ceil((east - middle) / 360) + 1):
            shell = shapely.difference(shell, _shifted_geometry(hole, turn))
    return shell


def _unrolled_ring(ring: BaseGeometry) -> BaseGeometry:
    """The area in a ring; a ring around a pole is closed by way of the pole."""
    import shapely

    lon, lat = shapely.get_coordinates(ring).T
    step = np.diff(lon)
    lon = lon[0] + np.append(0.0, np.cumsum(step - 360 * np.round(step / 360)))
    turns = round((lon[-1] - lon[0]) / 360)
    if turns:
        # Both ways round close over the nearer pole: a layer's features never span a hemisphere.
        pole = math.copysign(90.0, float(lat.mean()))
        lon, lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, [pole, pole])
    return shapely.make_valid(shapely.Polygon(np.column_stack([lon, lat])))


def _worlds(geometry: BaseGeometry) -> list[BaseGeometry]:
    """The parts of an unrolled polygon on each turn of the world, brought to -180 ... 180."""
    import shapely

    west, _, east, _ = geometry.bounds
    turns = range(math.floor((west + 180) / 360), math.ceil((east + 180) / 360))
    parts = []
    for turn in turns:
        world = shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
        cut_parts = shapely.get_parts(shapely.intersection(geometry, world))
        parts += [_shifted_geometry(part, -turn) for part in cut_parts if part.area > 0]
    return parts


def _shifted_geometry(geometry: BaseGeometry, turns: int) -> BaseGeometry:
    import shapely

    return shapely.transform(geometry, lambda xy: xy + np.array([360.0 * turns, 0.0]))
