"""Rasters of one place put together: named as GDAL opens them, and on the grid that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from odc.geo.geobox import GeoBox

from geochg.errors import OptionError
from geochg.options import AnalyzeOptions
from geochg.tiling.aoi import Area, cut_to_area
from geochg.tiling.grid import shared_grid
from geochg.tiling.pair_checks import Remark, grid_remarks
from geochg.tiling.raster_input import raster_input
from geochg.tiling.source import RasterSource

if TYPE_CHECKING:
    from geochg.tiling.raster_input import RasterInput, RasterLike


class Placement(NamedTuple):
    """Where rasters lie together.

    Attributes:
        grid: Their common grid, cut to where all of them and the area of interest lie.
        area: The area of interest on the grid; None when there is none.
        remarks: What is remarkable about it.
    """

    grid: GeoBox
    area: Area | None
    remarks: tuple[Remark, ...]


def raster_inputs(
    images: Sequence[RasterLike | RasterInput], geobox: GeoBox | None
) -> list[RasterInput]:
    """All rasters by names that GDAL opens; one object given twice is one raster.

    Args:
        images: The rasters; see `raster_input`.
        geobox: Grid of the numpy arrays among them.

    Raises:
        InputError: As `raster_input`.
        OptionError: If there is a grid for arrays and no array.
    """
    are_arrays = [isinstance(image, np.ndarray) for image in images]
    if geobox is not None and not any(are_arrays):
        raise OptionError("geobox is for numpy arrays", "leave it out: all rasters have a grid")
    inputs: dict[int, RasterInput] = {}
    for image, is_array in zip(images, are_arrays, strict=True):
        if id(image) not in inputs:
            inputs[id(image)] = raster_input(image, geobox if is_array else None)
    return [inputs[id(image)] for image in images]


def place_sources(sources: Sequence[RasterSource], options: AnalyzeOptions) -> Placement:
    """Finds the grid that rasters share; the first one's counts unless the options say else.

    Args:
        sources: The rasters, the earliest first.
        options: Grid and area are taken from these.

    Raises:
        InputError: If they do not overlap, or there is no such area.
        OptionError: If an option does not fit them.
    """
    grid = shared_grid(
        [source.geobox for source in sources],
        crs=options.crs,
        resolution=options.resolution,
        paths=[source.label for source in sources],
    )
    remarks: list[Remark] = []
    for source in sources[1:]:
        remarks += grid_remarks(sources[0], source, grid)
    area = None
    if options.aoi is not None:
        grid, area = cut_to_area(grid, options.aoi, allow_remote=options.allow_remote)
        if area.note:
            remarks.append(Remark(area.note))
    return Placement(grid, area, tuple(remarks))
