"""The grid of a fetched scene: of area and collection alone, so that all dates have one grid."""

from __future__ import annotations

import math

import numpy as np
import rasterio
import shapely
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError
from rasterio.errors import RasterioError

from geochg.errors import InputError, OptionError
from geochg.files.remote_files import refuse_remote
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.stac.options import FetchOptions
from geochg.stac.search_area import SearchArea
from geochg.tiling.footprints import in_crs
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.grid import pixel_m

_MOST_PX = 2_500_000_000
_SEGMENTS = 64
_METRES_A_DEGREE = 111_320.0
_MOST_STRETCH = 4.0
"""How much longer or shorter than it says a metre of a CRS may be: as one of Web Mercator is at 75
degrees of latitude."""

_SNAP_PX = 1e-6
"""What of a pixel counts as rounding where an area ends on the edge of one."""


def utm_crs(area: SearchArea) -> CRS:
    """The UTM zone in which the middle of an area lies; near the poles the polar projections."""
    lon, lat = area.center
    if lat > 84:
        return CRS("EPSG:32661")
    if lat < -80:
        return CRS("EPSG:32761")
    zone = min(int((lon + 180) // 6) + 1, 60)
    return CRS(f"EPSG:{(32600 if lat >= 0 else 32700) + zone}")


def scene_grid(
    area: SearchArea, options: FetchOptions, *, resolution_m: float, anchor_m: float = 0.0
) -> GeoBox:
    """The grid of an area, whose pixel edges lie on multiples of the resolution.

    Args:
        area: The area; the grid covers its bounds.
        options: CRS and resolution, where they are given.
        resolution_m: Pixel size of the collection in metres.
        anchor_m: Remainder of the pixel edges of the collection.

    Raises:
        OptionError: If the CRS is unknown or does not hold the area, or the grid is too large.
    """
    crs = _crs(options.crs) if options.crs else utm_crs(area)
    west, south, east, north = _bounds(area, crs)
    if options.resolution:
        resolution, anchor = options.resolution, 0.0
    else:
        resolution = resolution_m / metres_a_unit(crs)
        anchor = anchor_m if not options.crs else 0.0
    # The grid is counted in whole pixels from the anchor, so that two areas share their edges.
    left = math.floor((west - anchor) / resolution + _SNAP_PX)
    right = math.ceil((east - anchor) / resolution - _SNAP_PX)
    bottom = math.floor((south - anchor) / resolution + _SNAP_PX)
    top = math.ceil((north - anchor) / resolution - _SNAP_PX)
    width_px, height_px = max(right - left, 1), max(top - bottom, 1)
    _check_size(width_px, height_px)
    origin = (left * resolution + anchor, top * resolution + anchor)
    transform = Affine(resolution, 0, origin[0], 0, -resolution, origin[1])
    grid = GeoBox((height_px, width_px), transform, crs)
    # Far from its centre a projection lays ground anywhere.
    if not 1 / _MOST_STRETCH < pixel_m(grid) / (resolution * metres_a_unit(crs)) < _MOST_STRETCH:
        raise OptionError(f"the area has no place in {crs}", "choose another --crs")
    return grid


def grid_of_raster(path: str) -> GeoBox:
    """The grid of a raster.

    Args:
        path: File or address, as the user typed it.

    Raises:
        InputError: If it cannot be read, or has no CRS.
    """
    refuse_remote(path)
    shown_name = without_secrets(path)
    try:
        with gdal_settings(path), rasterio.open(path) as raster:
            if raster.crs is None or raster.transform == Affine.identity():
                raise InputError(
                    f"{shown_name} has no georeference", "give another raster to --like"
                )
            grid = GeoBox(raster.shape, raster.transform, CRS(raster.crs.to_wkt()))
    except (RasterioError, CRSError) as error:
        raise InputError(f"cannot read {shown_name}: {cleaned(error)}", "check --like") from error
    _check_size(grid.shape[1], grid.shape[0])
    return grid


def _crs(text: str) -> CRS:
    try:
        return CRS(text)
    except CRSError as error:
        raise OptionError(f"{text!r} is no CRS", "write it like EPSG:32633") from error


def _bounds(area: SearchArea, crs: CRS) -> tuple[float, float, float, float]:
    """Bounds of an area in a CRS."""
    degrees = CRS("EPSG:4326")
    west, south, east, north = area.polygon.bounds
    longest = max(east - west, north - south)
    polygon = area.polygon
    if crs != degrees:
        polygon = shapely.segmentize(polygon, longest / _SEGMENTS)
    bounds = in_crs(polygon, degrees, crs, area.center[0]).bounds
    if not np.isfinite(bounds).all():
        raise OptionError(f"the area has no place in {crs}", "choose another --crs")
    return bounds


def metres_a_unit(crs: CRS) -> float:
    """Metres of a unit of a CRS; of a degree those at the equator."""
    if crs.geographic:
        return _METRES_A_DEGREE
    return float(crs.proj.axis_info[0].unit_conversion_factor or 1.0)


def _check_size(width_px: int, height_px: int) -> None:
    if width_px * height_px > _MOST_PX:
        raise OptionError(
            f"the image would have {width_px:,} x {height_px:,} px",
            "give a smaller area, or larger pixels with --resolution",
        )
