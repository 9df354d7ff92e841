"""The area of interest: a vector file, a bounding box or WKT, brought to the grid's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from pyproj.exceptions import CRSError
from rasterio.features import rasterize
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from geochg.errors import InputError, OptionError
from geochg.geometry.ground import crs_of
from geochg.records import PixelWindow
from geochg.remote_files import refuse_remote
from geochg.tiling.grid import covered_window, crop, footprint, pixel_polygon

_FORMS = (
    "give a vector file, a box as west,south,east,north or WKT; coordinates are longitude and "
    "latitude unless a CRS stands before them, as in EPSG:26914;485900,5205000,489000,5208000"
)


@dataclass(frozen=True)
class Area:
    """An area of interest on a grid, in its pixel coordinates."""

    polygon: BaseGeometry

    def touches(self, window: PixelWindow) -> bool:
        """Whether any of a window may lie inside."""
        box = shapely.box(window.col_start, window.row_start, window.col_stop, window.row_stop)
        return bool(shapely.intersects(self.polygon, box))

    def mask(self, window: PixelWindow) -> NDArray[np.bool_]:
        """Which pixels of a window have their centre inside; `(height, width)` bool."""
        box = shapely.box(window.col_start, window.row_start, window.col_stop, window.row_stop)
        shape = (window.height_px, window.width_px)
        if shapely.contains_properly(self.polygon, box):
            return np.ones(shape, dtype=bool)
        inside = shapely.intersection(self.polygon, box)
        if inside.area == 0:
            return np.zeros(shape, dtype=bool)
        local = shapely.transform(inside, lambda xy: xy - (window.col_start, window.row_start))
        burnt: NDArray[np.uint8] = rasterize([local], out_shape=shape, dtype="uint8")
        return burnt.astype(bool)


def cut_to_area(grid: GeoBox, text: str, *, allow_remote: bool = False) -> tuple[GeoBox, Area]:
    """Cuts a grid to the bounds of an area of interest.

    Args:
        grid: The common grid.
        text: A vector file, `west,south,east,north` or WKT, the latter two with `CRS;` before
            them when they are not longitude and latitude.
        allow_remote: Whether a file on this machine may name data elsewhere.

    Raises:
        OptionError: If the text is none of these.
        InputError: If the file cannot be read, has no CRS, or the area lies outside the grid.
    """
    geometry, crs = _read_area(text, allow_remote=allow_remote)
    near = _near(geometry, crs, grid)
    window = None
    if near.area > 0:
        polygon = pixel_polygon(shapely.segmentize(near, _segment_length(near)), crs, grid)
        if polygon.intersects(_box(grid)):
            window = covered_window(polygon, grid)
    if window is None:
        raise InputError(
            f"the area of interest {_short(text)} lies outside the pair's common area",
            f"that area is {_lonlat_bounds(grid)} (west,south,east,north)",
        )
    cut = shapely.transform(polygon, lambda xy: xy - (window.col_start, window.row_start))
    return crop(grid, window), Area(shapely.make_valid(cut))


def square_around(grid: GeoBox, lonlat: tuple[float, float], side_px: int) -> GeoBox:
    """Cuts a grid to a square around a point, moved inwards where it would leave the grid.

    Args:
        grid: The common grid.
        lonlat: Longitude and latitude in degrees.
        side_px: Of the square; less where the grid is smaller.

    Raises:
        InputError: If the point lies outside the grid.
    """
    point = pixel_polygon(_near(shapely.Point(lonlat), CRS(4326), grid), CRS(4326), grid)
    if point.is_empty or not point.intersects(_box(grid)):
        raise InputError(
            f"the place {lonlat[0]:g},{lonlat[1]:g} lies outside the pair's common area",
            f"that area is {_lonlat_bounds(grid)} (west,south,east,north)",
        )
    (col, row), (height_px, width_px) = shapely.get_coordinates(point)[0], grid.shape
    top = max(0, min(int(row) - side_px // 2, height_px - side_px))
    left = max(0, min(int(col) - side_px // 2, width_px - side_px))
    bottom, right = min(top + side_px, height_px), min(left + side_px, width_px)
    return crop(grid, PixelWindow(top, bottom, left, right))


def _near(geometry: BaseGeometry, crs: CRS, grid: GeoBox) -> BaseGeometry:
    """The part of an area in degrees around the grid, on the grid's turn of the globe.

    Projections fail far from their centre, so the whole world is no area to project.
    """
    if not crs.geographic:
        return geometry
    west, south, east, north = _lonlat_box(grid)
    margin = max(east - west, north - south)
    around = shapely.box(west - margin, south - margin, east + margin, north + margin)
    turns = [affinity.translate(geometry, turn) for turn in (-360, 0, 360)]
    return shapely.intersection(shapely.union_all(turns), around)


def _lonlat_box(grid: GeoBox) -> tuple[float, float, float, float]:
    """West, south, east, north of a grid; east may lie beyond 180 degrees."""
    if crs_of(grid).geographic:
        west, south, east, north = grid.boundingbox.bbox
        return float(west), float(south), float(east), float(north)
    degrees = CRS("EPSG:4326")
    transformer = Transformer.from_crs(crs_of(grid).proj, degrees.proj, always_xy=True)
    lon, lat = transformer.transform(*shapely.get_coordinates(footprint(grid)).T)
    lon = lon[0] + (lon - lon[0] + 180) % 360 - 180
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def _read_area(text: str, *, allow_remote: bool) -> tuple[BaseGeometry, CRS]:
    head, separator, rest = text.partition(";")
    crs_text, body = (head, rest) if separator else ("EPSG:4326", text)
    geometry = _box_from_text(body) or _wkt(body)
    if geometry is None:
        refuse_remote(text, allow=allow_remote)
        return _read_file(text)
    try:
        crs = CRS(crs_text.replace("SRID=", "EPSG:"))
    except CRSError as error:
        raise OptionError(f"{crs_text!r} before the area is no CRS", _FORMS) from error
    geometry = shapely.make_valid(geometry)
    if geometry.is_empty or geometry.area == 0:
        raise OptionError(f"the area of interest {_short(text)} covers nothing", _FORMS)
    west, south, east, north = geometry.bounds
    if crs.geographic and not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
        raise OptionError(f"{_short(text)} is not in longitude and latitude", _FORMS)
    return geometry, crs


def _box_from_text(text: str) -> BaseGeometry | None:
    try:
        west, south, east, north = (float(number) for number in text.split(","))
    except ValueError:
        return None
    if west >= east or south >= north:
        raise OptionError(f"the box {text} has no area", "order it west,south,east,north")
    return shapely.box(west, south, east, north)


def _wkt(text: str) -> BaseGeometry | None:
    if not text.lstrip().upper().startswith(("POLYGON", "MULTIPOLYGON")):
        return None
    try:
        return shapely.from_wkt(text)
    except shapely.errors.GEOSException as error:
        raise OptionError(
            f"the area of interest is not valid WKT: {_short(text)}", _FORMS
        ) from error


def _read_file(text: str) -> tuple[BaseGeometry, CRS]:
    import pyogrio
    from pyogrio.errors import DataSourceError

    if not text.startswith("/vsi") and not _exists(text):
        raise InputError(
            f"the area of interest {_short(text)} is neither a box nor a polygon, nor a file "
            "that is there",
            _FORMS,
        )
    try:
        frame = pyogrio.read_dataframe(text, columns=[])
    except (DataSourceError, ValueError) as error:
        raise InputError(f"{text} is not a vector file that GDAL can open", _FORMS) from error
    if getattr(frame, "crs", None) is None:
        raise InputError(
            f"the area of interest {text} has no coordinate reference system",
            "assign one, for example in QGIS with Layer > Set CRS, and save it again",
        )
    geometry = shapely.union_all(shapely.make_valid(frame.geometry.to_numpy()))
    if geometry.area == 0:
        raise InputError(f"{text} has no polygon with an area", "give polygons")
    return geometry, CRS(frame.crs)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or with characters none may have
        return False


def _segment_length(geometry: BaseGeometry) -> float:
    west, south, east, north = geometry.bounds
    return float(max(east - west, north - south)) / 32


def _box(grid: GeoBox) -> BaseGeometry:
    return shapely.box(0, 0, grid.shape[1], grid.shape[0])


def _lonlat_bounds(grid: GeoBox) -> str:
    bounds = grid.geographic_extent.boundingbox
    return ",".join(f"{value:.5f}" for value in bounds.bbox)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
