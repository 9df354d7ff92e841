"""The common grid of a pair: the before image's, cut to where both dates and the area lie.

Where the after image's pixels are much wider, the grid has pixels of their size instead: what one
date cannot show is no change. Its rows run from north to south and its columns from west to east,
or as nearly so as quarter turns and a mirror allow, because that is how models know the ground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely.geometry.base import BaseGeometry

from geochg.errors import InputError, OptionError
from geochg.geometry.orientation import Turn, moved_window
from geochg.geometry.placement import crs_of
from geochg.records import PixelWindow
from geochg.tiling.footprints import footprint, grid_center, in_crs, moved_geometry, pixel_polygon
from geochg.tiling.north_up import north_up
from geochg.tiling.placement_checks import unplaceable

_LATTICE_TOLERANCE_PX = 1e-3
"""Grids whose pixels lie within this of each other are one lattice: no resampling is needed."""

COARSER_FROM = 1.5
"""A date whose pixels are so many times as wide as the other's cannot show what the other shows."""

VIEW_READ_PX = 2**24
"""Pixels of a raster that are read for one look at all of it."""


def shared_grid(
    grids: Sequence[GeoBox],
    *,
    crs: str | None = None,
    resolution: float | None = None,
    paths: Sequence[str],
) -> GeoBox:
    """The grid that any number of dates is read on: the first image's, cut to where all lie.

    Args:
        grids: Grids of the images.
        crs: CRS to use instead of the first image's.
        resolution: Pixel size to use, in units of the CRS; None for what all images can show.
        paths: What to call the images in messages.

    Raises:
        OptionError: If `crs` is not a CRS or the images cannot be brought to it.
        InputError: If the images have no ground in common.
    """
    first = grids[0]
    coarsest = max(grids[1:] or grids, key=pixel_m)
    grid_source = first if resolution is not None else _shown_by_both(first, coarsest)
    grid = _resampled_grid(north_up(_reprojected_grid(grid_source, crs, resolution)), resolution)
    # The grid already ends where the image does that it was made of.
    made_of = coarsest if grid_source is coarsest else first
    shared = PixelWindow.whole(grid.shape)
    for other, path in zip(grids, paths, strict=True):
        if other is made_of:
            continue
        window = covered_window(pixel_polygon(footprint(other), crs_of(other), grid), grid)
        common = window and shared.cut_to(window)
        if common is None:
            names = f"{paths[0]} and {path}" if path != paths[0] else f"{path} and the others"
            text = "do not overlap" if window is None else "have no ground in common with the rest"
            raise InputError(
                f"{names} {text}",
                f"check that {'all' if len(grids) > 2 else 'both'} show the same place and that "
                "their CRS are right (geochg info)",
            )
        shared = common
    return crop(grid, shared)


def crop(grid: GeoBox, window: PixelWindow) -> GeoBox:
    """The part of a grid that a window within it covers."""
    return grid[window.row_start : window.row_stop, window.col_start : window.col_stop]


def covered_window(polygon: BaseGeometry, grid: GeoBox) -> PixelWindow | None:
    """The whole pixels of the grid that the polygon's bounds reach; None when there are none."""
    height_px, width_px = grid.shape
    west, north, east, south = polygon.bounds
    if not all(map(math.isfinite, polygon.bounds)):
        return None  # ground that the CRS of the grid has no place for
    slack = _LATTICE_TOLERANCE_PX
    window = PixelWindow(
        row_start=max(math.floor(north + slack), 0),
        row_stop=min(math.ceil(south - slack), height_px),
        col_start=max(math.floor(west + slack), 0),
        col_stop=min(math.ceil(east - slack), width_px),
    )
    return window if window.height_px > 0 and window.width_px > 0 else None


def turn_to(grid: GeoBox, other: GeoBox) -> Turn:
    """The turn that brings a grid's pixels into another grid's orientation."""
    return Turn.of(~_linear(grid.transform) * _linear(other.transform))


@dataclass(frozen=True)
class Lattice:
    """How a grid lies on the pixels of a raster whose lattice it shares.

    Attributes:
        to_source: Maps pixel coordinates of the grid to those of the raster; whole numbers.
        turn: Brings pixels of the raster into the grid's orientation.
    """

    to_source: Affine = field(default_factory=Affine.identity)
    turn: Turn = field(default_factory=Turn)

    def source_window(self, window: PixelWindow) -> PixelWindow:
        """A window of the grid in pixels of the raster."""
        return moved_window(window, self.to_source)

    def grid_window(self, window: PixelWindow) -> PixelWindow:
        """A window of the raster in pixels of the grid."""
        return moved_window(window, ~self.to_source)


def shared_lattice(source: GeoBox, grid: GeoBox) -> Lattice | None:
    """How a grid lies on the pixels of a source, when they are one lattice.

    None when the CRS differ or the source has to be resampled onto the grid.
    """
    if source.crs != grid.crs:
        return None
    relative = ~source.transform * on_turn_of(source, grid, grid.transform)
    whole_shift = Affine(*(round(value) for value in relative[:6]))
    if abs(whole_shift.determinant) != 1:
        return None
    height_px, width_px = grid.shape
    corners = ((0, 0), (width_px, 0), (0, height_px))
    residuals = [np.subtract(relative * corner, whole_shift * corner) for corner in corners]
    if np.abs(residuals).max() >= _LATTICE_TOLERANCE_PX:
        return None
    return Lattice(whole_shift, Turn.of(whole_shift))


def on_turn_of(source: GeoBox, grid: GeoBox, transform: Affine) -> Affine:
    """A transform of the grid's on the source's turn of the globe, when both are in degrees."""
    if not (crs_of(source).geographic and crs_of(grid).geographic):
        return transform
    turns = round((middle_longitude(source) - middle_longitude(grid)) / 360)
    return Affine.translation(360 * turns, 0) * transform


def middle_longitude(grid: GeoBox) -> float:
    """Halfway between the western and the eastern bound of a grid in degrees."""
    west, _, east, _ = grid.boundingbox.bbox
    return (float(west) + float(east)) / 2


def pixel_area_m2(grid: GeoBox) -> float:
    """Geodesic area of the pixel at the grid's centre, in square metres."""
    xs, ys = shapely.get_coordinates(_center_pixel(grid)).T
    to_degrees = Transformer.from_crs(crs_of(grid).proj, "EPSG:4326", always_xy=True)
    area_m2, _ = Geod(ellps="WGS84").polygon_area_perimeter(*to_degrees.transform(xs, ys))
    return abs(float(area_m2))


def view_step_px(source: GeoBox, grid: GeoBox) -> int:
    """Every how many-th pixel of a source is enough to show a grid that is looked at once.

    At least two by two pixels of the source go into each of the grid's, and no more are read than
    can be in seconds.
    """
    height_px, width_px = grid.shape
    ratio = pixel_m(grid) / pixel_m(source)
    read_px = height_px * width_px * ratio * ratio
    wanted_step = math.ceil(math.sqrt(read_px / VIEW_READ_PX))
    return max(1, min(wanted_step, math.floor(ratio / 2)))


def pixel_m(grid: GeoBox) -> float:
    """Side of a square as large as the pixel at the grid's centre, in metres."""
    return math.sqrt(pixel_area_m2(grid))


def _shown_by_both(before: GeoBox, after: GeoBox) -> GeoBox:
    """The before grid, but with the after image's pixels where those are much wider."""
    ratio = pixel_m(after) / pixel_m(before)
    if ratio < COARSER_FROM:
        return before
    # The coarser image is best left as it is; only its CRS is not what was asked for.
    if after.crs == before.crs:
        return after
    height_px, width_px = (max(1, math.floor(side_px / ratio)) for side_px in before.shape)
    return GeoBox((height_px, width_px), before.transform * Affine.scale(ratio), before.crs)


def _reprojected_grid(grid: GeoBox, crs: str | None, resolution: float | None) -> GeoBox:
    if crs is None:
        return grid
    try:
        target = CRS(crs)
        if reason := unplaceable(target.proj):
            raise OptionError(f"the CRS {crs!r} {reason}", "name one like EPSG:32633")
        transformer = Transformer.from_crs(crs_of(grid).proj, target.proj, always_xy=True)
        center = transformer.transform(*grid_center(grid))[0]
        # odc-geo's own bounds would circle the globe for a grid across the antimeridian, and its
        # own pixel keeps its size in units, which Web Mercator stretches.
        outline = in_crs(footprint(grid), crs_of(grid), target, center)
        pixel = in_crs(_center_pixel(grid), crs_of(grid), target, center)
    except (CRSError, ProjError, ValueError) as error:
        raise OptionError(
            f"cannot use {crs!r} as the CRS of this pair", "name one like EPSG:32633"
        ) from error
    if not (np.isfinite(outline.bounds).all() and pixel.area > 0):
        raise OptionError(
            f"this pair has no place in {crs!r}", "name a CRS of its region, like EPSG:32633"
        )
    size = resolution or math.sqrt(pixel.area)
    return GeoBox.from_bbox(outline.bounds, target, resolution=size, tight=True)


def _resampled_grid(grid: GeoBox, resolution: float | None) -> GeoBox:
    if resolution is None:
        return grid
    pixel_size = math.sqrt(abs(grid.transform.determinant))
    if min(grid.shape) * pixel_size < resolution:
        raise OptionError(
            f"resolution {resolution} is coarser than the whole image",
            f"it is in units of {grid.crs}, where the image has {pixel_size:g}; for metres, name a "
            "projected --crs as well",
        )
    if grid.axis_aligned:
        return grid.zoom_to(resolution=resolution)
    return grid.zoom_out(resolution / pixel_size)


def _linear(transform: Affine) -> Affine:
    return Affine(transform.a, transform.b, 0, transform.d, transform.e, 0)


def _center_pixel(grid: GeoBox) -> BaseGeometry:
    row, col = (side_px // 2 for side_px in grid.shape)
    corners = shapely.box(col, row, col + 1, row + 1)
    return moved_geometry(corners, lambda x, y: grid.transform * (x, y))
