"""Collars of which compression or a scanner made noise: near black or near white, up to the frame.

Dark water and deep shadow are as dark. What tells a collar from them is its shape and the other
date: a collar begins with a step along straight lines, the picture within it is convex, nothing
else in the picture is as dark, and the other date shows ground with detail in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import rasterio.warp
import shapely
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.windows import Window

from geochg.geometry.morphology import dilated, eroded, fill_holes
from geochg.geometry.pieces import label_pieces
from geochg.tiling.collar import MOST_SHARE, Collar, holds_together, stands_out

NOISE = 8
"""Grey levels of 8 bits that noise reaches from black or white."""

_LEAST_SHARE = 0.01
_LEAST_SIDE = 100  # a view with fewer cells a side does not show whether a line is straight
_RINGING = 24  # grey levels that JPEG reaches from black or white beside the picture
_MOST_WITHIN = 0.02
"""Share of the picture that may be as dark, or as bright: elsewhere that is measured."""

_BLOCK_PX = 16  # of JPEG with halved colours, which reaches over its edge by half of it at most
_ONE_VALUE = 0.99
_MOST_CORNERS = 8
_STRAIGHT_CELLS = 1.5  # how far from a straight side a picture's edge may lie, in cells of the view
_LEAST_STRAIGHT = 0.98
"""Share of a picture's edge that must lie on its straight sides: a bay or a cape is more."""

_SAMPLES = 200
_LEAST_SAMPLES = 20
_PATCH_PX = 5
_LEAST_DETAIL = 0.3
"""Share of its usual detail that the other date must have in a collar's place; water has less."""

_ALWAYS_LOSSY = ("JPEG", "YCBCR JPEG")


def noisy_collar(
    dataset: DatasetReader,
    values: NDArray[Any],
    open_other: Callable[[], DatasetReader],
    other_bands: Sequence[int],
) -> Collar | None:
    """The noisy collar of one date; None where there is none, or it may be ground.

    Args:
        dataset: The date's raster as it lies on disk, placed by its own transform.
        values: `(bands, rows, columns)` coarse view of its bands in use.
        open_other: Opens the other date's raster.
        other_bands: Its bands in use.

    Raises:
        RasterioError: If a raster cannot be read.
    """
    if values.dtype != np.uint8 or min(values.shape[1:]) < _LEAST_SIDE:
        return None
    block = _BLOCK_PX * values.shape[1] / dataset.height
    for value, distance in ((0, values), (255, 255 - values)):
        cells = _collar_cells(distance, block, is_lossy=bool(lossy_codec(dataset)))
        if cells is None:
            continue
        if not _shows_ground(cells, dataset, open_other(), other_bands, value):
            continue
        around = dilated(cells, square=True)
        shape = (cells.shape[0], cells.shape[1])
        packed = around.astype(np.uint8).tobytes()
        return Collar(value, float(cells.mean()), shape, packed, spread=_RINGING)
    return None


def _collar_cells(
    distance: NDArray[np.uint8], block: float, *, is_lossy: bool
) -> NDArray[np.bool_] | None:
    """Cells of a collar by `(bands, rows, columns)` distances from black or white, or None."""
    near = np.asarray((distance <= NOISE).all(axis=0))
    labels, _ = label_pieces(near, corners=True)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    cells = np.isin(labels, edge[edge > 0])
    cells |= eroded(dilated(cells))
    if not _LEAST_SHARE <= cells.mean() <= MOST_SHARE:
        return None
    if not distance[:, cells & near].any():  # one value throughout, which is told as that
        return None
    picture = ~cells
    if (near & picture).sum() > _MOST_WITHIN * picture.sum() or not holds_together(picture):
        return None
    # JPEG frays an edge by a block. Away from it, what was one value still is.
    away = round(block) + 1
    core = eroded(cells, away, square=True, outside=True)
    is_frayed = is_lossy or (core.any() and np.mean(distance[:, core] == 0) >= _ONE_VALUE)
    if not _is_convex(picture, _STRAIGHT_CELLS + block / 2 * is_frayed):
        return None
    rim = dilated(cells, 2, square=True) & picture
    return cells if stands_out(distance, 0, rim, picture) else None


def _is_convex(picture: NDArray[np.bool_], reach: float) -> bool:
    """Whether a picture is a convex shape with few sides, which are straight within a reach."""
    labels, _ = label_pieces(dilated(eroded(picture)))
    if not labels.any():
        return False
    largest = fill_holes(labels == np.bincount(labels[labels > 0]).argmax())
    outline = np.argwhere(largest & ~eroded(largest)).astype(np.float64)
    hull = shapely.MultiPoint(outline).convex_hull
    sides = hull.simplify(reach)
    if not isinstance(sides, shapely.Polygon) or len(sides.exterior.coords) - 1 > _MOST_CORNERS:
        return False
    dents = shapely.distance(shapely.points(outline), hull.boundary)
    return bool(np.mean(dents <= reach) >= _LEAST_STRAIGHT)


def _shows_ground(
    cells: NDArray[np.bool_],
    dataset: DatasetReader,
    other: DatasetReader,
    bands: Sequence[int],
    value: float,
) -> bool:
    """Whether the other date shows ground in a collar's place, as it does beside it."""
    core = eroded(cells, 2, outside=True)
    inner_patches = _patches(core, dataset, other, bands)
    outer_patches = _patches(~dilated(cells, 2), dataset, other, bands)
    if min(len(inner_patches), len(outer_patches)) < _LEAST_SAMPLES:
        return False
    far = np.abs(inner_patches.astype(np.float64).mean(axis=2) - value).max(axis=1) > 2 * NOISE
    detail, usual = (
        np.median(patches.std(axis=2).max(axis=1)) for patches in (inner_patches, outer_patches)
    )
    return bool(far.mean() >= 0.9 and detail >= max(1.0, _LEAST_DETAIL * usual))


def _patches(
    cells: NDArray[np.bool_], dataset: DatasetReader, other: DatasetReader, bands: Sequence[int]
) -> NDArray[Any]:
    """Small patches of the other date from all over some cells, `(patches, bands, pixels)`."""
    places = np.argwhere(cells)
    places = places[:: max(1, len(places) // _SAMPLES)]
    scale = np.array(dataset.shape) / cells.shape
    rows, cols = ((places + 0.5) * scale).T
    xs, ys = dataset.transform * (cols, rows)
    if dataset.crs != other.crs:
        xs, ys = (
            np.array(axis) for axis in rasterio.warp.transform(dataset.crs, other.crs, xs, ys)
        )
    other_cols, other_rows = ~other.transform * (xs, ys)
    samples = [
        patch
        for row, col in zip(other_rows, other_cols, strict=True)
        if np.isfinite(row + col)
        and (patch := _patch(other, bands, int(row), int(col))) is not None
    ]
    return np.array(samples) if samples else np.zeros((0, len(bands), 1))


def _patch(dataset: DatasetReader, bands: Sequence[int], row: int, col: int) -> NDArray[Any] | None:
    """A patch around a pixel, `(bands, pixels)`; None where not all of it is valid."""
    half = _PATCH_PX // 2
    if not (half <= row < dataset.height - half and half <= col < dataset.width - half):
        return None
    window = Window(col - half, row - half, _PATCH_PX, _PATCH_PX)
    values = dataset.read(list(bands), window=window, masked=True)
    return None if np.ma.is_masked(values) else values.data.reshape(len(bands), -1)


def lossy_codec(dataset: DatasetReader) -> str:
    """The codec, as GDAL calls it, of a raster whose values are only near those put into it.

    Empty where values are kept exactly.
    """
    tags = dataset.tags(ns="IMAGE_STRUCTURE")
    codec = tags.get("COMPRESSION", "").upper() or dataset.driver.upper()
    is_lossy = tags.get("COMPRESSION_REVERSIBILITY", "").upper().startswith("LOSSY")
    return codec if is_lossy or codec in _ALWAYS_LOSSY else ""
