"""Pixels that stand for the whole pair: windows to measure the shift on, values for statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from geochg.records import PixelWindow
from geochg.tiling.layout import Layout, evenly
from geochg.tiling.read import PairReader, ReadPlan
from geochg.tiling.shift import Patch

_PATCH_PX = 512
_QUICK_PATCH_PX = 256
_SMALLEST_PATCH_PX = 64
_PATCHES_A_SIDE = 5
_FIELD_PATCH_PX = 128
_FIELD_PATCHES_A_SIDE = 16
_OVERVIEW_PX = 1024
_READABLE_WHOLE_PX = 4096 * 4096
_CHIP_PX = 128
_CHIPS = 64


def shift_patches(reader: PairReader, windows: Iterable[PixelWindow]) -> Iterator[Patch]:
    """The windows read, each date as the mean of its bands.

    Windows that cannot be read are left out: the run will meet and name their tiles.
    """
    for window in windows:
        if (part := _Reading(reader).window(window)) is not None:
            before, after, valid = part
            yield Patch(before.mean(axis=0), after.mean(axis=0), valid, _center(window))


def _center(window: PixelWindow) -> tuple[float, float]:
    return (window.col_start + window.col_stop) / 2, (window.row_start + window.row_stop) / 2


def sample_values(
    plan: ReadPlan, *, as_stored: bool = False
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Values of both dates at the same valid places, spread over the whole grid.

    Read from overviews where both rasters have them or the grid is small, else from chips of full
    resolution on a lattice, which costs less than decimating a large raster without overviews.

    Args:
        plan: How the pair is read.
        as_stored: Whether to give values as the files have them, not centred, as float64.

    Returns:
        Before and after, each `(bands, n)` float32 in source units; n is at most about a million
        and 0 when nothing valid can be read.
    """
    with PairReader(plan) as reader:
        read = _Reading(reader, as_stored)
        parts = _overview(read, plan) or _chips(read, plan.grid)
    dtype = np.float64 if as_stored else np.float32
    no_values = np.empty((plan.before.band_count, 0), dtype=dtype)
    return (
        np.concatenate([no_values, *(before[:, valid] for before, _, valid in parts)], axis=1),
        np.concatenate([no_values, *(after[:, valid] for _, after, valid in parts)], axis=1),
    )


_Part = tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]], NDArray[np.bool_]]


@dataclass(frozen=True)
class _Reading:
    """A reader, and whether it gives values as the files have them."""

    reader: PairReader
    stored: bool = False

    def window(self, window: PixelWindow, shape_px: tuple[int, int] | None = None) -> _Part | None:
        """A window of both dates; None where it cannot be read."""
        try:
            return self.reader.read_values(window, shape_px, as_stored=self.stored)
        except RasterioError:
            return None


def _overview(reading: _Reading, plan: ReadPlan) -> list[_Part]:
    height_px, width_px = plan.grid.shape
    has_overviews = plan.before.source.overviews and plan.after.source.overviews
    if not has_overviews and height_px * width_px > _READABLE_WHOLE_PX:
        return []
    factor = max(1.0, max(height_px, width_px) / _OVERVIEW_PX)
    shape = (math.ceil(height_px / factor), math.ceil(width_px / factor))
    part = reading.window(PixelWindow.whole((height_px, width_px)), shape)
    return [part] if part is not None else []


def _chips(reading: _Reading, grid: GeoBox) -> list[_Part]:
    height_px, width_px = grid.shape
    layout = Layout(height_px, width_px, _CHIP_PX, 0)
    chips = layout.spread_tiles(_CHIPS)
    parts = [part for chip in chips if (part := reading.window(chip.core)) is not None]
    if not any(valid.any() for _, _, valid in parts):
        # The data lie between the chips; a few that have some will do.
        others = (part for chip in layout if (part := reading.window(chip.core)) is not None)
        parts = list(islice((part for part in others if part[2].any()), _CHIPS // 4))
    return parts


def patch_windows(grid: GeoBox) -> Iterator[PixelWindow]:
    """At most 25 separate squares, spread over the grid, to measure a shift on.

    The first `FIRST_WINDOWS` are spread over all of it, too, as those may be enough: the crossings
    of the first, middle and last rows and columns of windows come before the others.
    """
    return _spread_squares(grid, _patch_side(grid, _PATCH_PX, 3))


def quick_patch_windows(grid: GeoBox) -> list[PixelWindow]:
    """Smaller squares for a first look, as spread; none where the usual ones are as small."""
    if _patch_side(grid, _PATCH_PX, 3) <= _QUICK_PATCH_PX:
        return []
    return list(_spread_squares(grid, _QUICK_PATCH_PX))


def field_windows(grid: GeoBox) -> tuple[list[PixelWindow], tuple[int, int]]:
    """At most 256 separate small squares, row by row, to measure a field of shifts on.

    Returns:
        The squares, and how many rows and columns of them there are.
    """
    side = _patch_side(grid, _FIELD_PATCH_PX, 8)
    rows, cols = (_starts(length_px, side, _FIELD_PATCHES_A_SIDE) for length_px in grid.shape)
    squares = [_square(grid, top, left, side) for top, left in product(rows, cols)]
    return squares, (len(rows), len(cols))


def _patch_side(grid: GeoBox, most_px: int, count: int) -> int:
    """Side of squares of which so many lie across the grid, if they do not become too small.

    Multiples of 16, of which Fourier transforms are fast.
    """
    wanted_px = min(grid.shape) // count // 16 * 16
    return min(most_px, max(_SMALLEST_PATCH_PX, wanted_px))


def _spread_squares(grid: GeoBox, side: int) -> Iterator[PixelWindow]:
    rows, cols = (_starts(length_px, side, _PATCHES_A_SIDE) for length_px in grid.shape)
    first_places = set(product(_ends_and_middle(rows), _ends_and_middle(cols)))
    for top, left in sorted(product(rows, cols), key=lambda place: place not in first_places):
        yield _square(grid, top, left, side)


def _square(grid: GeoBox, top: int, left: int, side: int) -> PixelWindow:
    height_px, width_px = grid.shape
    return PixelWindow(top, min(top + side, height_px), left, min(left + side, width_px))


def _ends_and_middle(starts: Sequence[int]) -> list[int]:
    """The first, a middle and the last of some starts; all of them where they are at most three."""
    return [starts[round(index * (len(starts) - 1) / 2)] for index in range(3)]


def _starts(length_px: int, side_px: int, limit: int) -> list[int]:
    count = max(1, length_px // side_px)
    margin = max(0, length_px - count * side_px) // 2
    return [margin + index * side_px for index in evenly(count, limit)]
