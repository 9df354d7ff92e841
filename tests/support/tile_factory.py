"""Tiles, answers and results made by hand, for the tests of cells, features and writers."""

from collections.abc import Iterator

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geochg.features.cells import CellSettings, tile_result
from geochg.features.tile_results import TileResult
from geochg.records import Answer, Change, Channel, Outlines, PixelWindow, Tile, TileWindow

APPEARED, DISAPPEARED, ALTERED = Change.APPEARED, Change.DISAPPEARED, Change.ALTERED
BUILDING, ROAD = Channel("building", APPEARED), Channel("road", ALTERED)


def layout(rows: int, cols: int, core_px: int, margin_px: int = 0) -> Iterator[TileWindow]:
    """Tiles in raster order; their read windows reach `margin_px` past the cores."""
    for index in range(rows * cols):
        row, col = divmod(index, cols)
        core = PixelWindow(row * core_px, (row + 1) * core_px, col * core_px, (col + 1) * core_px)
        read = PixelWindow(
            core.row_start - margin_px,
            core.row_stop + margin_px,
            core.col_start - margin_px,
            core.col_stop + margin_px,
        )
        yield TileWindow(index, row, col, read, core)


def one_window(size_px: int = 256, margin_px: int = 16) -> TileWindow:
    """A tile whose read window starts at the grid's corner."""
    whole = PixelWindow(0, size_px, 0, size_px)
    core = PixelWindow(margin_px, size_px - margin_px, margin_px, size_px - margin_px)
    return TileWindow(0, 0, 0, whole, core)


def make_tile(window: TileWindow, valid: NDArray[np.bool_] | None = None) -> Tile:
    shape = (window.read.height_px, window.read.width_px)
    pixels = np.zeros((3, *shape), np.uint8)
    return Tile(window, (pixels, pixels), np.ones(shape, bool) if valid is None else valid)


def noise(count: int, seed: int = 0) -> list[Tile]:
    """Tiles of 64 px of nothing but noise."""
    random = np.random.default_rng(seed)

    def date():
        return random.integers(0, 256, (3, 64, 64), dtype=np.uint8)

    valid = np.ones((64, 64), bool)
    return [Tile(window, (date(), date()), valid) for window in layout(1, count, 64)]


def outlines(*layers: tuple[Channel, NDArray[np.floating]], threshold: float = 0.5) -> Outlines:
    return Outlines(
        tuple(channel for channel, _ in layers),
        np.stack([layer for _, layer in layers]).astype(np.float32),
        threshold,
    )


def results_of(
    classes: NDArray[np.integer],
    core_px: int,
    *said: Answer,
    channels: tuple[Channel, ...] = (BUILDING, ROAD),
    settings: CellSettings | None = None,
) -> list[TileResult]:
    """Cuts an image of channel numbers (0 for none) into tiles and keeps what is outlined."""
    rows, cols = (size // core_px for size in classes.shape)
    results = []
    for window in layout(rows, cols, core_px):
        part = classes[
            window.core.row_start : window.core.row_stop,
            window.core.col_start : window.core.col_stop,
        ]
        layers = [(c, (part == i) * 0.75) for i, c in enumerate(channels, start=1)]
        answers = [outlines(*layers), *said]
        results.append(tile_result(make_tile(window), answers, settings or CellSettings()))
    return results


def make_grid(
    shape: tuple[int, int],
    crs: str = "EPSG:32633",
    affine: Affine | None = None,
) -> GeoBox:
    return GeoBox(shape, affine or Affine(10, 0, 500_000, 0, -10, 5_000_000), crs)
