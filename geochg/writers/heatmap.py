"""The heatmap: probability of change at each pixel, as a cloud-optimised GeoTIFF."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.geometry.placement import crs_of
from geochg.records import PixelWindow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    Blocks = Iterable[tuple[PixelWindow, NDArray[np.uint8]]]

HEATMAP_SUFFIXES = (".tif", ".tiff")
"""Suffixes of a heatmap."""

_LEVELS = 254
_NODATA = 255
_BLOCK_PX = 512
_CACHE_BYTES = 64 * 2**20


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
    import rasterio
    from rasterio.shutil import copy

    draft = path.with_name(f"{path.name}.draft.tif")
    with _gdal_failures(), rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        try:
            written_px = _write_draft(blocks, grid, draft, metadata)
            copy(
                draft,
                path,
                driver="COG",
                compress="deflate",
                level=9,
                blocksize=_BLOCK_PX,
                bigtiff="if_safer",
                overview_resampling="average",
            )
        finally:
            draft.unlink(missing_ok=True)
        _check_whole(path, written_px)


@contextmanager
def _gdal_failures() -> Iterator[None]:
    """Turns what rasterio raises into an `OSError`.

    `rasterio.shutil` lets through GDAL's own errors, which rasterio keeps in a private module.
    """
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise OSError(str(error)) from error


def _check_whole(path: Path, written_px: NDArray[np.int64]) -> None:
    """Reads the file once more: GDAL may lose blocks on a full disk and say nothing."""
    import numpy as np
    import rasterio

    found_px = np.zeros(256, np.int64)
    with rasterio.open(path) as heatmap:
        for _, window in heatmap.block_windows(1):
            found_px += np.bincount(heatmap.read(1, window=window).ravel(), minlength=256)
    if (found_px[:_NODATA] != written_px[:_NODATA]).any():
        raise OSError(errno.EIO, "the file is not complete; the disk may be full")


def _write_draft(
    blocks: Blocks, grid: GeoBox, path: Path, metadata: Mapping[str, Any]
) -> NDArray[np.int64]:
    """Writes the blocks as they come; gives how many pixels of each value they held."""
    import numpy as np
    import rasterio
    from rasterio.windows import Window

    written_px = np.zeros(256, np.int64)
    height_px, width_px = grid.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height_px,
        width=width_px,
        count=1,
        dtype="uint8",
        nodata=_NODATA,
        crs=crs_of(grid).to_wkt(),
        transform=grid.affine,
        tiled=True,
        blockxsize=_BLOCK_PX,
        blockysize=_BLOCK_PX,
        compress="deflate",
        zlevel=1,
        sparse_ok=True,
        bigtiff="if_safer",
    ) as draft:
        draft.scales = (1 / _LEVELS,)
        draft.set_band_description(1, "probability of change")
        draft.update_tags(geochg=json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False))
        for window, heat in blocks:
            target = Window(window.col_start, window.row_start, window.width_px, window.height_px)
            draft.write(heat, 1, window=target)
            written_px += np.bincount(heat.ravel(), minlength=256)
    return written_px
