"""Whether a raster has a place on the earth: its CRS, its transform, its control points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyproj
from affine import Affine
from pyproj.exceptions import CRSError, ProjError
from rasterio import DatasetReader
from rasterio.control import GroundControlPoint

from geochg.errors import InputError

_EARTH_M = 6_378_137.0
_EARTH_TOLERANCE = 0.01
"""The ellipsoids and spheres of the earth differ by less than this share of their radius."""

_LEAST_PIXEL, _GREATEST_PIXEL = 1e-9, 1e8
"""Sides of pixels in units of a CRS, far beyond what any raster has."""

_PROBES_A_SIDE = 5
_MOST_LONGITUDE = 720.0
_GEOREFERENCE = "georeference it, for example in QGIS with Raster > Georeferencer"


def unplaceable(crs: pyproj.CRS) -> str:
    """Why a CRS leads to no place on the earth, in words behind its name; empty where it does."""
    if crs.is_engineering:
        return "is a local system that leads to no place on the earth"
    if not (crs.is_geographic or crs.is_projected):
        return "is no system of places on a map"
    ellipsoid = crs.ellipsoid
    if ellipsoid is None or abs(ellipsoid.semi_major_metre / _EARTH_M - 1) > _EARTH_TOLERANCE:
        return "is of another body than the earth"
    try:
        pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except (CRSError, ProjError):
        return "has no way to longitude and latitude"
    return ""


def check_placement(name: str, crs_text: str, transform: Affine, shape_px: tuple[int, int]) -> None:
    """Refuses a raster that lies nowhere on the earth.

    Args:
        name: The raster, as it is called in messages.
        crs_text: Its CRS, a code or WKT.
        transform: From its pixels to its CRS.
        shape_px: Rows and columns.

    Raises:
        InputError: If it lies nowhere; the error names the raster and what to do.
    """
    _check_transform(name, transform)
    crs = _known_crs(name, crs_text)
    if reason := unplaceable(crs):
        raise InputError(
            f"the coordinate reference system of {name}, {crs.name[:60]!r}, {reason}",
            "assign the one it was made in: rio edit-info --crs EPSG:32633, or QGIS",
        )
    if reason := _nowhere(crs, transform, shape_px):
        raise InputError(
            f"{name} {reason}", "its transform or its CRS is wrong: assign the right one"
        )


def check_control_points(name: str, points: Sequence[GroundControlPoint]) -> None:
    """Refuses control points that place nothing.

    Raises:
        InputError: If they do not place the raster.
    """
    places = np.array([(point.col, point.row, point.x, point.y) for point in points], float)
    reason = ""
    if not np.isfinite(places).all():
        reason = "are not all numbers"
    elif not (_spans_a_plane(places[:, :2]) and _spans_a_plane(places[:, 2:])):
        reason = f"({len(points)}) lie on a line or in one place"
    if reason:
        raise InputError(f"the control points of {name} {reason}", _GEOREFERENCE)


def _spans_a_plane(points: np.ndarray) -> bool:
    """Whether points do not all lie on one line."""
    if len(points) < 3:
        return False
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] > 1e-6 * spread[0])


def _check_transform(name: str, transform: Affine) -> None:
    numbers = transform[:6]
    reason = ""
    if not all(math.isfinite(number) for number in numbers):
        reason = "is placed by numbers that are none (NaN or infinite)"
    else:
        sides = (math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e))
        if not all(_LEAST_PIXEL <= side <= _GREATEST_PIXEL for side in sides):
            reason = f"has pixels of {sides[0]:.3g} x {sides[1]:.3g}, which are none"
        elif abs(transform.determinant) < 1e-6 * sides[0] * sides[1]:
            reason = "has pixels without an area: its axes lie on one line"
    if reason:
        raise InputError(f"{name} {reason}", _GEOREFERENCE)


def _known_crs(name: str, crs_text: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(crs_text)
    except CRSError as error:
        raise InputError(
            f"the coordinate reference system of {name} is not one that PROJ knows",
            "assign another: rio edit-info --crs EPSG:32633, or QGIS",
        ) from error


def _nowhere(crs: pyproj.CRS, transform: Affine, shape_px: tuple[int, int]) -> str:
    """Why a raster lies nowhere on the earth, in words behind its name; else empty."""
    height_px, width_px = shape_px
    cols, rows = np.meshgrid(
        np.linspace(0, width_px, _PROBES_A_SIDE), np.linspace(0, height_px, _PROBES_A_SIDE)
    )
    xs = (transform.a * cols + transform.b * rows + transform.c).ravel()
    ys = (transform.d * cols + transform.e * rows + transform.f).ravel()
    if crs.is_geographic:
        slack = abs(transform.d) + abs(transform.e)  # grids of pixel centres reach over the pole
        if np.abs(ys).max() > 90 + slack:
            return f"reaches to the latitude {ys[np.abs(ys).argmax()]:.6g}, beyond the pole"
        if np.abs(xs).max() > _MOST_LONGITUDE:
            return f"reaches to the longitude {xs[np.abs(xs).argmax()]:.6g}, far around the globe"
        return ""
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = map(np.asarray, to_degrees.transform(xs, ys))
    back_x, back_y = map(np.asarray, to_degrees.transform(lon, lat, direction="INVERSE"))
    distances = np.hypot(back_x - xs, back_y - ys)
    good = np.isfinite(distances) & (distances <= 1e-3 * np.hypot(np.ptp(xs), np.ptp(ys)))
    return "" if good.any() else "lies where its coordinate reference system has no place"


def check_placed(name: str, dataset: DatasetReader) -> None:
    """Refuses a raster without a CRS or a transform.

    Args:
        name: Its name in messages.
        dataset: The raster, open.

    Raises:
        InputError: If it lacks one of them.
    """
    if dataset.crs is None and dataset.rpcs is not None:
        raise InputError(
            f"{name} is placed by rational polynomials (RPC) only, which need terrain heights",
            "orthorectify it first: gdalwarp -rpc -to RPC_DEM=dem.tif IN.tif OUT.tif",
        )
    if dataset.crs is None:
        raise InputError(
            f"{name} has no coordinate reference system",
            f"if you know it, write it in: rio edit-info --crs EPSG:32633 {name}",
        )
    if dataset.transform.is_identity or dataset.transform.determinant == 0:
        raise InputError(
            f"{name} has a coordinate reference system but no place on the ground",
            "georeference it, for example in QGIS with Raster > Georeferencer",
        )
