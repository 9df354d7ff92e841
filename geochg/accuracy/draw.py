"""A stratified random sample of pixels: how large each stratum is, and which pixels are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geochg.accuracy.strata import Strata
from geochg.events import Listener, Progress
from geochg.records import PixelWindow
from geochg.tiling.grid import crop, pixel_area_m2
from geochg.tiling.layout import Layout

BLOCK_PX = 1024
"""Side of the windows that the ground is gone through in."""

ReadValid = Callable[[PixelWindow], NDArray[np.bool_]]
"""Which pixels of a window were analysed and seen; `(height, width)` bool."""


@dataclass(frozen=True)
class Frame:
    """The ground that a sample is drawn of.

    Attributes:
        grid: The grid of the run.
        strata: The strata of its ground.
        windows: Windows that cover the grid.
        pixels: `(windows, strata)` int: seen pixels of each stratum in each window.
        pixel_m2: `(windows,)`: geodesic area of a pixel in each window.
        unseen_m2: Ground of the grid that is not in the frame: nodata, cloud, beyond the area of
            interest.
    """

    grid: GeoBox
    strata: Strata
    windows: tuple[PixelWindow, ...]
    pixels: NDArray[np.int64]
    pixel_m2: NDArray[np.float64]
    unseen_m2: float

    def areas_m2(self) -> dict[str, float]:
        """The area of each stratum that has any ground, in m²."""
        areas = self.pixel_m2 @ self.pixels
        names = self.strata.names
        return {name: float(area) for name, area in zip(names, areas, strict=True) if area}


def survey_frame(grid: GeoBox, strata: Strata, read_valid: ReadValid, listener: Listener) -> Frame:
    """Measures the strata of a grid, window by window; memory does not grow with the grid.

    Args:
        grid: The grid of the run.
        strata: The strata of its ground.
        read_valid: Reads what was seen.
        listener: Hears of the progress.
    """
    height_px, width_px = grid.shape
    windows = tuple(tile.core for tile in Layout(height_px, width_px, BLOCK_PX, 0))
    pixels = np.zeros((len(windows), len(strata.names)), np.int64)
    pixel_m2 = np.array([pixel_area_m2(crop(grid, window)) for window in windows])
    unseen_m2 = 0.0
    for index, window in enumerate(windows):
        valid = read_valid(window)
        labels = strata.of_window(window)[valid]
        pixels[index] = np.bincount(labels, minlength=len(strata.names))
        unseen_m2 += float(np.count_nonzero(~valid) * pixel_m2[index])
        listener(Progress("sample", index + 1, len(windows)))
    return Frame(grid, strata, windows, pixels, pixel_m2, unseen_m2)


def draw_units(
    frame: Frame, units: Mapping[str, int], read_valid: ReadValid, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
    """Draws pixels of each stratum at random, each with the same chance by its area.

    Args:
        frame: The ground.
        units: How many are wanted of each stratum; all of its pixels where it has fewer.
        read_valid: Reads what was seen, as for `survey_frame`.
        seed: The same seed draws the same units.

    Returns:
        Centres of the pixels, `(units, 2)` column and row, and the stratum of each, `(units,)`, in
        an order that tells nothing of the strata.
    """
    rng = np.random.default_rng(seed)
    counts = np.zeros(frame.pixels.shape, np.int64)
    for index, name in enumerate(frame.strata.names):
        if units.get(name):
            column = frame.pixels[:, index]
            counts[:, index] = _units_by_window(column, frame.pixel_m2, units[name], rng)
    points, strata = [np.empty((0, 2))], [np.empty(0, np.int16)]
    for number in np.flatnonzero(counts.sum(axis=1)):
        window = frame.windows[number]
        labels = np.where(read_valid(window), frame.strata.of_window(window), -1)
        for stratum in np.flatnonzero(counts[number]):
            rows, cols = np.nonzero(labels == stratum)
            picks = rng.choice(len(rows), counts[number, stratum], replace=False)
            corner = (window.col_start + 0.5, window.row_start + 0.5)
            points.append(np.column_stack([cols[picks], rows[picks]]) + corner)
            strata.append(np.full(len(picks), stratum, np.int16))
    order = rng.permutation(sum(map(len, strata)))
    return np.concatenate(points)[order], np.concatenate(strata)[order]


def _units_by_window(
    pixels: NDArray[np.int64],
    pixel_m2: NDArray[np.float64],
    units: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """How many units of a stratum fall into each window, by its area there."""
    if pixels.sum() <= units:
        return pixels
    counts = np.zeros(len(pixels), np.int64)
    # No window gives more units than it has pixels; those beyond fall into others.
    while missing := units - int(counts.sum()):
        areas = (pixels - counts) * pixel_m2
        counts += rng.multinomial(missing, areas / areas.sum())
        counts = np.minimum(counts, pixels)
    return counts
