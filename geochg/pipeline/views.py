"""A whole pair in one view: at a resolution at which all of it is one tile."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from geochg.errors import RunError
from geochg.options import AnalyzeOptions
from geochg.pipeline.batching import has_core
from geochg.records import PixelWindow, Tile, TileFailure
from geochg.tiling.image import place_image
from geochg.tiling.layout import Layout
from geochg.tiling.pair import RasterPair, nothing_valid, place_pair
from geochg.tiling.preparation import prepare
from geochg.tiling.read import read_ahead


def view_of_pair(pair: RasterPair, options: AnalyzeOptions, side_px: int) -> RasterPair:
    """The pair at a resolution at which its longer side has so many pixels, if it has more.

    Args:
        pair: The pair.
        options: The options it was opened with.
        side_px: Most pixels of a side, about.

    Raises:
        InputError: If the rasters cannot be placed at that resolution.
    """
    factor = max(pair.grid.shape) / side_px
    if factor <= 1:
        return pair
    coarser = replace(options, resolution=abs(pair.grid.resolution.x) * factor)
    if pair.is_alone:
        view_pair = place_image(pair.inputs()[0], coarser)
    else:
        view_pair = place_pair(*pair.inputs(), coarser)
    return replace(pair, grid=view_pair.grid, area=view_pair.area, is_view=True)


def whole_tile(
    pair: RasterPair, options: AnalyzeOptions, pixels: Literal["display", "values"]
) -> Tile:
    """All of a pair as one tile.

    Args:
        pair: The pair, at a resolution at which it fits into memory.
        options: Of these, `align` and `match` say how the dates are brought together.
        pixels: Pixels of the tile; see `Capabilities.pixels`.

    Raises:
        RunError: If it cannot be read.
        InputError: If no pixel of it is valid.
    """
    plan = prepare(pair, options.align, pixels=pixels, match=options.match).plan(pair)
    height_px, width_px = pair.grid.shape
    # Rounding may leave a grid a pixel or two larger than the tile.
    side_px = max(options.tile_size_px, height_px, width_px)
    (window,) = Layout(height_px, width_px, side_px, 0)
    (tile,) = read_ahead(plan, [window], 2)
    if isinstance(tile, TileFailure):
        raise RunError(f"cannot read the place: {tile.reason}", "the file may be damaged")
    if not has_core(tile):
        raise nothing_valid(pair)
    rows, cols = PixelWindow.whole(pair.grid.shape).slices_within(window.read)
    # Tiles are square, places need not be: what pads them is not worth a look.
    dates = (date[:, rows, cols] for date in tile.dates)
    cut_tile = Tile.of_dates(dates, tile.valid[rows, cols])
    return replace(cut_tile, display_ranges=tile.display_ranges)
