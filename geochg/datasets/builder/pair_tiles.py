"""Tiles of two rasters of one place, brought to display values as `analyze` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from geochg.errors import RunError
from geochg.options import AlignMode
from geochg.records import Tile, TileFailure, TileWindow

if TYPE_CHECKING:
    from geochg.tiling.pair import RasterPair

READERS = 2


def pair_tiles(
    pair: RasterPair,
    windows: Sequence[TileWindow],
    align: AlignMode,
    name: str,
    *,
    match: bool = False,
) -> Iterator[Tile]:
    """The tiles of some windows, in order.

    Args:
        pair: The rasters on their common grid.
        windows: The windows.
        align: What to do about a residual shift.
        name: Name of the pair, for errors.
        match: Whether to match the later values to the earlier ones.

    Raises:
        InputError: If a raster cannot be opened again.
        RunError: If a tile cannot be read.
    """
    from geochg.tiling.gdal import gdal_settings
    from geochg.tiling.preparation import prepare
    from geochg.tiling.read import read_ahead

    if not windows:
        return
    with gdal_settings():
        plan = prepare(pair, align, pixels="display", match=match).plan(pair)
        for tile in read_ahead(plan, windows, READERS):
            if isinstance(tile, TileFailure):
                raise RunError(
                    f"cannot read tile {tile.window.name} of {name}: {tile.reason}",
                    "the file may be damaged",
                )
            yield tile
