"""The area of interest: a vector file, a bounding box or WKT, brought to the grid's pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from geochg.errors import InputError, OptionError
from geochg.files.remote_files import refuse_remote
from geochg.geometry.polygons_only import in_reach, polygon_part
from geochg.geometry.vector_file import file_of, is_there, read_areas
from geochg.records import PixelWindow
from geochg.tiling.footprints import lonlat_box, pixel_polygon
from geochg.tiling.grid import covered_window, crop

_FORMS = (
    "give a vector file (FILE|layername=NAME), a box as west,south,east,north or WKT; coordinates "
    "are longitude and latitude unless a CRS stands before them, as in "
    "EPSG:26914;485900,5205000,489000,5208000"
)


@dataclass(frozen=True)
class Area:
    """An area of interest on a grid.

    Attributes:
        polygon: In pixel coordinates of the grid.
        note: What of the file was left out, in words; empty where nothing was.
    """

    polygon: BaseGeometry
    note: str = ""

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
            them when they are not longitude and latitude. Of several layers of a file one is
            named, `FILE|layername=NAME`. A box in degrees whose west is greater than its east lies
            over the antimeridian, as in RFC 7946.
        allow_remote: Whether a file on this machine may name data elsewhere.

    Raises:
        OptionError: If the text is none of these.
        InputError: If the file cannot be read, has no CRS, or the area lies outside the grid.
    """
    given_area = read_area(text, allow_remote=allow_remote)
    polygon = pixel_polygon(given_area.geometry, given_area.crs, grid)
    window = None
    if polygon.area > 0 and polygon.intersects(_box(grid)):
        window = covered_window(polygon, grid)
    if window is None:
        raise InputError(
            f"the area of interest {_short(text)} lies outside the common grid",
            f"the grid covers {_lonlat_bounds(grid)} (west,south,east,north)",
        )
    cut_polygon = shapely.transform(polygon, lambda xy: xy - (window.col_start, window.row_start))
    return crop(grid, window), Area(polygon_part(shapely.make_valid(cut_polygon)), given_area.note)


def square_around(grid: GeoBox, lonlat: tuple[float, float], side_px: int) -> GeoBox:
    """Cuts a grid to a square around a point, moved inwards where it would leave the grid.

    Args:
        grid: The common grid.
        lonlat: Longitude and latitude in degrees.
        side_px: Side of the square in pixels; less where the grid is smaller.

    Raises:
        InputError: If the point lies outside the grid.
    """
    point = pixel_polygon(shapely.Point(lonlat), CRS(4326), grid)
    # A grid around the globe is near to the point on several turns.
    places = shapely.get_coordinates(shapely.intersection(point, _box(grid)))
    if not len(places):
        raise InputError(
            f"the place {lonlat[0]:g},{lonlat[1]:g} lies outside the common grid",
            f"the grid covers {_lonlat_bounds(grid)} (west,south,east,north)",
        )
    (col, row), (height_px, width_px) = places[0], grid.shape
    top = max(0, min(int(row) - side_px // 2, height_px - side_px))
    left = max(0, min(int(col) - side_px // 2, width_px - side_px))
    bottom, right = min(top + side_px, height_px), min(left + side_px, width_px)
    return crop(grid, PixelWindow(top, bottom, left, right))


class GivenArea(NamedTuple):
    """An area of interest as it was given.

    Attributes:
        geometry: A valid polygon or multipolygon in `crs`.
        crs: CRS of the geometry.
        note: What of a file was left out, in words; empty where nothing was.
    """

    geometry: BaseGeometry
    crs: CRS
    note: str = ""


def read_area(text: str, *, allow_remote: bool = False) -> GivenArea:
    """Reads an area of interest, as `cut_to_area` takes it, without a grid.

    Args:
        text: As of `cut_to_area`.
        allow_remote: As of `cut_to_area`.

    Raises:
        OptionError: If the text is none of these.
        InputError: If the file cannot be read, or has no CRS.
    """
    head, separator, place_text = text.partition(";")
    crs_text, body = (head, place_text) if separator else ("EPSG:4326", text)
    numbers, polygon = _numbers(body), _wkt(body)
    if numbers is None and polygon is None:
        refuse_remote(file_of(text), allow=allow_remote)
        return _read_file(text)
    try:
        crs = CRS(crs_text.replace("SRID=", "EPSG:"))
    except CRSError as error:
        raise OptionError(f"{crs_text!r} before the area is no CRS", _FORMS) from error
    given_area = polygon if numbers is None else _bounds(numbers, crs)
    if given_area is not None and not in_reach(given_area):
        raise OptionError(
            f"the area of interest {_short(text)} has coordinates that are not finite, or far "
            "beyond any CRS",
            _FORMS,
        )
    geometry = (
        shapely.Polygon() if given_area is None else polygon_part(shapely.make_valid(given_area))
    )
    if geometry.is_empty or geometry.area == 0:
        raise OptionError(f"the area of interest {_short(text)} covers nothing", _FORMS)
    if not _is_lonlat(geometry, crs):
        raise OptionError(f"{_short(text)} is not in longitude and latitude", _FORMS)
    return GivenArea(geometry, crs)


def _is_lonlat(geometry: BaseGeometry, crs: CRS) -> bool:
    """Whether a geometry lies on the globe, if its CRS is one of degrees."""
    west, south, east, north = geometry.bounds
    return not crs.geographic or (-360 <= west <= east <= 540 and -90 <= south <= north <= 90)


def _numbers(text: str) -> tuple[float, float, float, float] | None:
    try:
        west, south, east, north = (float(number) for number in text.split(","))
    except ValueError:
        return None
    return west, south, east, north


def _bounds(numbers: tuple[float, float, float, float], crs: CRS) -> BaseGeometry:
    west, south, east, north = numbers
    if crs.geographic and 180 >= west > east >= -180:
        east += 360
    if not (west < east and south < north):
        raise OptionError(
            f"the box {','.join(f'{number:g}' for number in numbers)} has no area",
            "order it west,south,east,north",
        )
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


def _read_file(text: str) -> GivenArea:
    if not is_there(text):
        raise InputError(
            f"the area of interest {_short(text)} is neither a box nor a polygon, nor a file "
            "that is there",
            _FORMS,
        )
    frame, note = read_areas(text, columns=[])
    crs, geometry = CRS(frame.crs), shapely.union_all(frame.geometry.to_numpy())
    if not _is_lonlat(geometry, crs):
        raise InputError(
            f"{_short(text)} reaches beyond longitude and latitude",
            "its coordinates or its CRS are wrong: set the right one in QGIS",
        )
    return GivenArea(geometry, crs, note)


def _box(grid: GeoBox) -> BaseGeometry:
    return shapely.box(0, 0, grid.shape[1], grid.shape[0])


def _lonlat_bounds(grid: GeoBox) -> str:
    """The bounds of a grid, rounded outwards, as `cut_to_area` reads them."""
    west, south, east, north = lonlat_box(grid)
    outwards = (
        math.floor(west * 1e5),
        math.floor(max(south, -90) * 1e5),
        math.ceil(east * 1e5),
        math.ceil(min(north, 90) * 1e5),
    )
    return ",".join(f"{value / 1e5:.5f}" for value in outwards)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
