"""The heatmap: probability of change at each pixel, as a cloud-optimised GeoTIFF."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.records import PixelWindow
from geochg.writers.cog import cog_draft

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    Blocks = Iterable[tuple[PixelWindow, NDArray[np.uint8]]]

_LEVELS = 254
_NODATA = 255


def write_heatmap(blocks: Blocks, grid: GeoBox, path: Path, metadata: Mapping[str, Any]) -> None:
    """Writes a heatmap block by block; memory does not grow with the grid.

    The file holds one uint8 band, probability times 254, with a scale of 1/254 so that readers
    show 0-1, and 255 where there is no data or no block. Overviews are averages.

    Args:
        blocks: Windows of the grid that do not overlap, and `(height, width)` uint8 of each; best
            in raster order.
        grid: The common grid.
        path: Where to write; what is there is replaced. A second file, uncut, is in its folder
            while writing.
        metadata: Plain JSON values, kept as JSON text in the tag `geochg`.

    Raises:
        OSError: If the file cannot be written.
    """
    with cog_draft(path, grid, 1, "uint8", _NODATA, {"level": 9}) as draft:
        for window, heat in blocks:
            draft.write(heat[None], window)
        draft.describe(["probability of change"], {"geochg": dict(metadata)}, 1 / _LEVELS)
