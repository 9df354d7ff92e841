"""A single raster, opened and put on its grid as both dates of a pair that is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geobox import GeoBox

from geochg.errors import OptionError
from geochg.options import AnalyzeOptions
from geochg.tiling.aoi import cut_to_area
from geochg.tiling.grid import shared_grid
from geochg.tiling.pair import PlacedPair
from geochg.tiling.pair_checks import Remark
from geochg.tiling.raster_input import raster_input
from geochg.tiling.series_dates import naming_remarks, with_given_dates
from geochg.tiling.source import read_source

if TYPE_CHECKING:
    from geochg.tiling.raster_input import RasterInput, RasterLike


def place_image(
    image: RasterLike | RasterInput, options: AnalyzeOptions, *, geobox: GeoBox | None = None
) -> PlacedPair:
    """Opens a raster and finds its grid; reads no pixels and needs no model.

    Args:
        image: The raster; see `raster_input`.
        options: Grid, area and date are taken from these.
        geobox: Grid of a numpy array.

    Raises:
        InputError: If the raster cannot be used.
        OptionError: If an option does not fit.
    """
    is_array = isinstance(image, np.ndarray)
    if geobox is not None and not is_array:
        raise OptionError("geobox is for numpy arrays", "leave it out: the raster has a grid")
    source_input = raster_input(image, geobox if is_array else None)
    (reading,) = options.of_dates(1)
    (source,) = with_given_dates([read_source(source_input, reading)], options.dates)
    grid = shared_grid(
        [source.geobox] * 2,
        crs=options.crs,
        resolution=options.resolution,
        paths=[source_input.label] * 2,
    )
    remarks = tuple(naming_remarks([source]))
    area = None
    if options.aoi is not None:
        grid, area = cut_to_area(grid, options.aoi, allow_remote=options.allow_remote)
        if area.note:
            remarks += (Remark(area.note),)
    return PlacedPair(source, source, grid, area, remarks, is_alone=True)
