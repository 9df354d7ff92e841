"""The tiles of a pair as a run gives them to its model, for whoever asks models by themselves."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

from geochg.options import AnalyzeOptions
from geochg.pipeline.run import reading_threads
from geochg.records import Tile, TileFailure
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.pair import RasterPair
from geochg.tiling.preparation import prepare
from geochg.tiling.read import read_ahead


def read_tiles(
    pair: RasterPair,
    options: AnalyzeOptions | None = None,
    *,
    pixels: Literal["display", "values"] = "display",
) -> Generator[Tile | TileFailure, None, None]:
    """Measures a pair (shift, stretch, match) and reads its tiles in order, a few ahead.

    Memory stays flat, however large the pair, where the tiles are let go.

    Args:
        pair: The pair, as `open_pair` gives it.
        options: Size and overlap of the tiles, `align`, `match` and `workers` are taken from
            these; the defaults when None.
        pixels: Pixels that the model wants; see `Capabilities.pixels`.

    Yields:
        The tiles; for one that cannot be read, a `TileFailure` that says why.

    Raises:
        InputError: If the pair has too many tiles or cannot be measured.
    """
    options = options or AnalyzeOptions()
    layout = pair.layout(options)
    with gdal_settings():
        plan = prepare(pair, options.align, pixels=pixels, match=options.match).plan(pair)
    yield from read_ahead(plan, layout, reading_threads(options))
