"""A raster seen coarsely: a few of its pixels from all over, as they are stored, at little cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.windows import Window

from geochg.tiling.absent_blocks import is_written

_MOST_SIDE_PX = 512
_LATTICE = 24
_READABLE_WHOLE_PX = 4096 * 4096


def read_coarse(dataset: DatasetReader, bands: Sequence[int]) -> NDArray[Any]:
    """Stored values of pixels in the middle of equal cells, at most 512 a side.

    Read from overviews where there are any or the raster is small, else pixel by pixel on a
    lattice of 24 a side, which costs less than reading a large raster whole.

    Args:
        dataset: An open raster.
        bands: Band numbers, from 1; of one type.

    Returns:
        `(bands, rows, columns)` in the dataset's type.

    Raises:
        RasterioError: If it cannot be read.
    """
    height_px, width_px = dataset.shape
    factor = max(1.0, max(height_px, width_px) / _MOST_SIDE_PX)
    if dataset.overviews(bands[0]) or height_px * width_px <= _READABLE_WHOLE_PX:
        shape = (len(bands), max(1, round(height_px / factor)), max(1, round(width_px / factor)))
        values: NDArray[Any] = dataset.read(list(bands), out_shape=shape)
        return values
    return _lattice(dataset, bands)


def _lattice(dataset: DatasetReader, bands: Sequence[int]) -> NDArray[Any]:
    height_px, width_px = dataset.shape
    rows, cols = (_middles(side_px) for side_px in (height_px, width_px))
    whole_rows = dataset.block_shapes[bands[0] - 1][1] >= width_px
    pixel_at = partial(_pixel, dataset, bands, {})
    lines = []
    for row in rows:
        if whole_rows:
            line = dataset.read(list(bands), window=Window(0, row, width_px, 1))[:, 0, cols]
        else:
            line = np.concatenate([pixel_at(row, col) for col in cols], axis=2)[:, 0]
        lines.append(line)
    return np.stack(lines, axis=1)


def _pixel(
    dataset: DatasetReader,
    bands: Sequence[int],
    absent: dict[str, NDArray[Any]],
    row: int,
    col: int,
) -> NDArray[Any]:
    """A pixel, `(bands, 1, 1)`; of blocks that were never written, the first one's in `absent`."""
    window = Window(col, row, 1, 1)
    height_px, width_px = dataset.block_shapes[bands[0] - 1]
    block = row // height_px, col // width_px
    if dataset.driver != "GTiff" or any(is_written(dataset, *block, band) for band in bands):
        values: NDArray[Any] = dataset.read(list(bands), window=window)
        return values
    if "pixel" not in absent:
        absent["pixel"] = dataset.read(list(bands), window=window)
    return absent["pixel"]


def _middles(side_px: int) -> list[int]:
    """The middles of equal cells along a side."""
    count = min(_LATTICE, side_px)
    return [(2 * cell + 1) * side_px // (2 * count) for cell in range(count)]
