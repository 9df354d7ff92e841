"""The file of a fetched scene: a cloud-optimised GeoTIFF that says what it was made of."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.shutil import copy
from rasterio.windows import Window

from geochg.geometry.placement import crs_of
from geochg.records import PixelWindow
from geochg.stac.packing import HIDDEN, WRITTEN_SCALE
from geochg.stac.scene_reader import ScenePixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCENE_SUFFIXES = (".tif", ".tiff")
"""Suffixes of a fetched scene."""

BLOCK_PX = 512
_CACHE_BYTES = 64 * 2**20
_COLORS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


@dataclass(frozen=True)
class SceneLayers:
    """The bands of a file.

    Attributes:
        names: Names of the bands.
        dtype: Type of the values.
        reflectance: Whether they are reflectance times 10,000, and what was not seen is nodata;
            else what was not seen is told by a mask, or is not a number.
    """

    names: Sequence[str]
    dtype: np.dtype[Any]
    reflectance: bool

    @property
    def nodata(self) -> float | None:
        """The value where no ground was seen; None where a mask tells it."""
        if self.reflectance:
            return HIDDEN
        return np.nan if self.dtype.kind == "f" else None


def write_scene(
    blocks: Iterable[tuple[PixelWindow, ScenePixels]],
    grid: GeoBox,
    layers: SceneLayers,
    path: Path,
    tags_after: Mapping[str, Any],
) -> None:
    """Writes a scene block by block; memory does not grow with the grid.

    Args:
        blocks: Windows of the grid that cover it without overlap, and their pixels.
        grid: The grid.
        layers: The bands.
        path: Where to write. A second file, uncut, is in its folder while writing.
        tags_after: Tags of the file; they are read after the last block, so that they may tell
            what the blocks held. JSON values are written as JSON text.

    Raises:
        OSError: If the file cannot be written.
    """
    draft = path.with_name(f"{path.name}.draft.tif")
    settings = rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, GDAL_TIFF_INTERNAL_MASK=True)
    try:
        with settings:
            sums = _write_draft(blocks, grid, layers, draft, tags_after)
            with _gdal_failures():
                copy(
                    draft,
                    path,
                    driver="COG",
                    compress="deflate",
                    predictor="yes",
                    blocksize=BLOCK_PX,
                    bigtiff="if_safer",
                    overview_resampling="average",
                )
                _check_whole(path, sums)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _gdal_failures() -> Iterator[None]:
    """Turns what rasterio raises into an `OSError`.

    `rasterio.shutil` lets through GDAL's own errors, which rasterio keeps in a private module.
    """
    from rasterio._err import CPLE_BaseError

    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise OSError(str(error)) from error


def _write_draft(
    blocks: Iterable[tuple[PixelWindow, ScenePixels]],
    grid: GeoBox,
    layers: SceneLayers,
    path: Path,
    tags_after: Mapping[str, Any],
) -> NDArray[np.float64]:
    """Writes the blocks as they come; gives the sum of each band, as a check."""
    height_px, width_px = grid.shape
    sums = np.zeros(len(layers.names))
    with _gdal_failures():
        draft = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height_px,
            width=width_px,
            count=len(layers.names),
            dtype=layers.dtype.name,
            nodata=layers.nodata,
            crs=crs_of(grid).to_wkt(),
            transform=grid.affine,
            tiled=True,
            blockxsize=BLOCK_PX,
            blockysize=BLOCK_PX,
            compress="deflate",
            zlevel=1,
            photometric="minisblack",
            alpha="no",
            bigtiff="if_safer",
        )
    with draft:
        for window, pixels in blocks:
            target = Window(window.col_start, window.row_start, window.width_px, window.height_px)
            values = pixels.values.astype(layers.dtype, copy=False)
            hidden = layers.nodata if layers.nodata is not None else 0
            values = np.where(pixels.clear, values, layers.dtype.type(hidden))
            sums += np.nan_to_num(values).sum(axis=(1, 2), dtype=np.float64)
            with _gdal_failures():
                draft.write(values, window=target)
                if layers.nodata is None:
                    draft.write_mask(pixels.clear, window=target)
        with _gdal_failures():
            _describe(draft, layers, tags_after)
    return sums


def _describe(
    draft: rasterio.io.DatasetWriter, layers: SceneLayers, tags: Mapping[str, Any]
) -> None:
    draft.descriptions = tuple(layers.names)
    draft.colorinterp = [_COLORS.get(name, ColorInterp.undefined) for name in layers.names]
    if layers.reflectance:
        draft.scales = (WRITTEN_SCALE,) * len(layers.names)
        draft.offsets = (0.0,) * len(layers.names)
    texts = {
        key: value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, allow_nan=False)
        for key, value in tags.items()
    }
    draft.update_tags(**texts)


def _check_whole(path: Path, sums: NDArray[np.float64]) -> None:
    """Reads the file once more: GDAL may lose blocks on a full disk and say nothing."""
    found_sums = np.zeros_like(sums)
    with rasterio.open(path) as scene:
        for _, window in scene.block_windows(1):
            values = np.nan_to_num(scene.read(window=window))
            found_sums += values.sum(axis=(1, 2), dtype=np.float64)
    if not np.allclose(found_sums, sums, rtol=1e-9, atol=1e-3):
        raise OSError(errno.EIO, "the file is not complete; the disk may be full")


def acquisition_text(moments: Sequence[datetime]) -> str:
    """The acquisition time of an image made of several scenes, as `geochg analyze` reads it.

    Args:
        moments: When its scenes were taken, in UTC.

    Returns:
        ISO 8601: a moment within one day, else the month that all lie in, else the middle day.
    """
    first, last = min(moments), max(moments)
    if (last - first).total_seconds() < 12 * 3600:
        return first.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    if (first.year, first.month) == (last.year, last.month):
        return f"{first:%Y-%m}"
    return (first + (last - first) / 2).date().isoformat()
