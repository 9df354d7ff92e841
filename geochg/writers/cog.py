"""Cloud-optimised GeoTIFFs that are written block by block, and read once more when done."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.geometry.placement import crs_of
from geochg.records import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from rasterio.enums import ColorInterp
    from rasterio.io import DatasetWriter

COG_SUFFIXES = (".tif", ".tiff")
"""Suffixes of a GeoTIFF."""

BLOCK_PX = 512
"""Height and width of the blocks of a file."""

_CACHE_BYTES = 64 * 2**20


@dataclass
class _Sums:
    """What tells whether a file holds all that was written.

    Attributes:
        nodata: The value of pixels that do not count; None where all do.
        values: Sum of the other values.
        pixels: Number of the other values.
    """

    nodata: float | None
    values: float = 0.0
    pixels: int = 0

    def add(self, values: NDArray[Any]) -> None:
        """Counts a block; values that are not numbers count like nodata."""
        is_valid = ~np.isnan(values)
        if self.nodata is not None:
            is_valid &= values != self.nodata
        self.values += float(values.sum(dtype=np.float64, where=is_valid))
        self.pixels += int(np.count_nonzero(is_valid))

    def equals(self, other: _Sums) -> bool:
        """Whether both are the same but for the rounding of sums."""
        is_same = np.isclose(self.values, other.values, rtol=1e-9, atol=1e-3)
        return bool(is_same) and self.pixels == other.pixels


class CogDraft:
    """A file that is being written.

    Args:
        dataset: The file.
    """

    def __init__(self, dataset: DatasetWriter) -> None:
        self._dataset, self._sums = dataset, _Sums(dataset.nodata)

    def write(
        self, values: NDArray[Any], window: PixelWindow, valid: NDArray[np.bool_] | None = None
    ) -> None:
        """Writes a block.

        Args:
            values: `(bands, height, width)`, of the type of the file.
            window: Its pixels.
            valid: `(height, width)`, which of them are measured, where a mask tells that.

        Raises:
            OSError: If it cannot be written.
        """
        from rasterio.windows import Window

        target = Window(window.col_start, window.row_start, window.width_px, window.height_px)
        with _gdal_failures():
            self._dataset.write(values, window=target)
            if valid is not None:
                self._dataset.write_mask(valid, window=target)
        self._sums.add(values)

    def describe(
        self,
        names: Sequence[str],
        tags: Mapping[str, Any],
        scale: float = 1.0,
        colors: Sequence[ColorInterp] = (),
    ) -> None:
        """Says what the file holds.

        Args:
            names: Descriptions of the bands.
            tags: Tags of the file; what is no text is written as JSON text.
            scale: What the values are multiplied with by readers.
            colors: Colours of the bands; as the driver has them when empty.

        Raises:
            OSError: If it cannot be written.
        """
        texts = {
            key: value
            if isinstance(value, str)
            else json.dumps(value, ensure_ascii=False, allow_nan=False)
            for key, value in tags.items()
        }
        with _gdal_failures():
            self._dataset.descriptions = tuple(names)
            self._dataset.scales = (scale,) * len(names)
            if colors:
                self._dataset.colorinterp = list(colors)
            self._dataset.update_tags(**texts)

    def check_whole(self, path: Path) -> None:
        """Reads a copy once more: GDAL may lose blocks on a full disk and say nothing.

        Raises:
            OSError: If it does not hold what was written.
        """
        import rasterio

        sums = _Sums(self._sums.nodata)
        with rasterio.open(path) as copied:
            for _, window in copied.block_windows(1):
                sums.add(copied.read(window=window))
        if not sums.equals(self._sums):
            raise OSError(errno.EIO, "the file is not complete; the disk may be full")


@contextmanager
def cog_draft(
    path: Path,
    grid: GeoBox,
    bands: int,
    dtype: str,
    nodata: float | None,
    compression: Mapping[str, Any],
) -> Iterator[CogDraft]:
    """A file to write block by block; it is made cloud-optimised when the block of `with` ends.

    Memory does not grow with the grid. Overviews are averages.

    Args:
        path: Where to write; what is there is replaced. A second file, uncut, is in its folder
            while writing.
        grid: The grid.
        bands: Number of bands.
        dtype: Type of the values.
        nodata: The value of pixels without data, which those without a block have; None for none.
        compression: Options of GDAL's COG driver beside `compress=deflate`, such as `predictor`.

    Raises:
        OSError: If the file cannot be written.
    """
    import rasterio
    from rasterio.shutil import copy

    draft_path = path.with_name(f"{path.name}.draft.tif")
    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, GDAL_TIFF_INTERNAL_MASK=True):
            dataset = _open_draft(draft_path, grid, count=bands, dtype=dtype, nodata=nodata)
            draft = CogDraft(dataset)
            try:
                yield draft
            finally:
                with _gdal_failures():
                    dataset.close()
            with _gdal_failures():
                copy(
                    draft_path,
                    path,
                    driver="COG",
                    compress="deflate",
                    blocksize=BLOCK_PX,
                    bigtiff="if_safer",
                    overview_resampling="average",
                    **compression,
                )
                draft.check_whole(path)
    finally:
        draft_path.unlink(missing_ok=True)


def _open_draft(path: Path, grid: GeoBox, **bands: Any) -> DatasetWriter:  # noqa: ANN401
    import rasterio

    height_px, width_px = grid.shape
    with _gdal_failures():
        return rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height_px,
            width=width_px,
            crs=crs_of(grid).to_wkt(),
            transform=grid.affine,
            tiled=True,
            blockxsize=BLOCK_PX,
            blockysize=BLOCK_PX,
            compress="deflate",
            zlevel=1,
            photometric="minisblack",
            alpha="no",
            sparse_ok=True,
            bigtiff="if_safer",
            **bands,
        )


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
