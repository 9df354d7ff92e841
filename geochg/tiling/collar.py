"""Collars: the black or white that fills up an image to its frame, though nothing says so.

A collar is one value in all bands, reaches the image's edge, and has the whole picture within it.
It is found on a coarse view of the image and told pixel by pixel: a black pixel away from it is
ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio import MemoryFile

from geochg.geometry.morphology import dilated
from geochg.geometry.pieces import label_pieces
from geochg.tiling.virtual_raster import MaskTest, zero_around

LEAST_SHARE = 0.004
"""Less of an image than this is too little to be told from dark or bright ground."""

MOST_SHARE = 0.97
"""An image of which more than this has one value is a plain one, not one in a frame."""

_MOST_WITHIN = 0.02
"""Share of the picture that may have the collar's value too: elsewhere that value is measured."""

_LEAST_WHOLE = 0.8
"""Share of the picture that must hang together: in maps of few values it lies in pieces."""

_LEAST_STEP = 0.25
"""By how much of the picture's usual range its rim differs from the collar; a slope has no rim."""

_NO_MEASUREMENT = -999.0
_NO_MEASUREMENT_FLOAT = 1e15  # what netCDF and others fill up floats with is greater: 1e20, 9.97e36


@dataclass(frozen=True, slots=True)
class Collar:
    """A collar of one date.

    Attributes:
        value: What it holds in every band.
        share: Share (0-1) of the image that it takes.
        shape_px: Rows and columns of the coarse view.
        cells: One byte for each cell of the view, row by row: 1 where it may hold some of the
            collar, else 0.
        spread: How far from the value what it holds lies, where compression made noise of it.
    """

    value: float
    share: float
    shape_px: tuple[int, int]
    cells: bytes
    spread: float = 0.0

    def raster(self) -> MemoryFile:
        """The cells as a raster in memory: 0 where the collar may be, 255 elsewhere."""
        cells = np.frombuffer(self.cells, np.uint8).reshape(self.shape_px)
        memory = MemoryFile()
        with memory.open(
            driver="GTiff",
            count=1,
            dtype="uint8",
            height=self.shape_px[0],
            width=self.shape_px[1],
            transform=Affine.scale(2),  # rasterio warns of rasters without a place
        ) as dataset:
            dataset.write(np.where(cells > 0, 0, 255).astype(np.uint8), 1)
        return memory

    def tests(self, bands: Sequence[int], cells_path: str) -> tuple[MaskTest, ...]:
        """What says that a pixel is none of it: another value in some band, or another place."""
        reach = self.spread + max(abs(self.value) * 1e-6, 0.25)
        # Noise is of whole numbers, between which the edge of a table is sharp.
        table = zero_around(self.value, reach, 0.5 if self.spread else reach)
        test = MaskTest("1", path=cells_path, shape_px=self.shape_px)
        return (*(MaskTest(str(band), table) for band in bands), test)


def find_collars(values: NDArray[Any], nodata: Sequence[float | None]) -> tuple[Collar, ...]:
    """The collars of a raster, the largest first; at most a black and a white one.

    Args:
        values: `(bands, rows, columns)` coarse view of the bands in use, as they lie on disk.
        nodata: Nodata values that the file itself names for them.
    """
    is_declared = _declared_nodata(values, nodata)
    collars = [
        collar
        for value in _candidates(values)
        if value not in nodata and (collar := _collar(values, value, is_declared)) is not None
    ]
    return tuple(sorted(collars, key=lambda collar: -collar.share))


def _declared_nodata(
    values: NDArray[Any], nodata_by_band: Sequence[float | None]
) -> NDArray[np.bool_]:
    """Which pixels of a coarse view the file calls nodata."""
    is_declared = np.zeros(values.shape[1:], bool)
    for plane, nodata in zip(values, nodata_by_band, strict=True):
        if nodata is not None:
            is_declared |= plane == nodata
        if plane.dtype.kind == "f":
            is_declared |= ~np.isfinite(plane)
    return is_declared


def _candidates(values: NDArray[Any]) -> Iterator[float]:
    """Black and white that all bands have somewhere on the edge of a view."""
    edge = np.concatenate([values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1]], axis=1)
    alike = edge[0][(edge == edge[0]).all(axis=0)]
    for value in np.unique(alike):
        if _black_or_white(float(value), values):
            yield float(value)


def _black_or_white(value: float, values: NDArray[Any]) -> bool:
    """Whether a value is what writers fill up with: 0, the greatest there is, or no measurement."""
    if value == 0 or value <= _NO_MEASUREMENT:
        return True
    if values.dtype.kind in "iu":
        # 1023, 2047 and 4095 are the white of 10, 11 and 12 bits.
        bits = int(value) + 1
        return value >= 255 and bits & (bits - 1) == 0 and value == values.max()
    is_white = value in (1.0, 255.0, 65535.0) or value >= _NO_MEASUREMENT_FLOAT
    return is_white and bool(value == values[np.isfinite(values)].max())


def _collar(values: NDArray[Any], value: float, is_declared: NDArray[np.bool_]) -> Collar | None:
    is_value = (values == value).all(axis=0)
    labels, _ = label_pieces(is_value)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    cells = np.isin(labels, edge[edge > 0])
    share = float(cells.mean())
    if not LEAST_SHARE <= share <= MOST_SHARE:
        return None
    picture = ~cells & ~is_declared
    if not picture.any() or (is_value & picture).sum() > _MOST_WITHIN * picture.sum():
        return None
    if not holds_together(picture):
        return None
    around = dilated(cells, square=True)
    if not stands_out(values, value, around & picture, picture):
        return None
    return Collar(value, share, (cells.shape[0], cells.shape[1]), around.astype(np.uint8).tobytes())


def holds_together(picture: NDArray[np.bool_]) -> bool:
    """Whether most of a picture is one piece."""
    pieces, count = label_pieces(picture, corners=True)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    return bool(count) and bool(sizes.max() >= _LEAST_WHOLE * picture.sum())


def stands_out(
    values: NDArray[Any], value: float, rim: NDArray[np.bool_], picture: NDArray[np.bool_]
) -> bool:
    """Whether the picture begins with a step, in some band."""
    low, high = np.percentile(values[:, picture].astype(np.float64), (25, 75), axis=1)
    step = np.median(np.abs(values[:, rim].astype(np.float64) - value), axis=1)
    return bool((step >= _LEAST_STEP * (high - low)).any())
