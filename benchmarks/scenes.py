"""Large pairs to measure on: smooth ground with noise, and squares that changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window
from scipy import ndimage

BLOCK_PX = 1024


def write_pair(
    folder: Path, side_px: int, bands: int = 4, *, everywhere: bool = False
) -> tuple[Path, Path]:
    """Two tiled, deflated GeoTIFFs of `side_px` squared, uint8.

    One block in four has a change; `everywhere`, all blocks have one on each 64 px.
    """
    paths = (folder / f"before_{side_px}.tif", folder / f"after_{side_px}.tif")
    profile = {
        "driver": "GTiff", "height": side_px, "width": side_px, "count": bands, "dtype": "uint8",
        "crs": "EPSG:32633", "transform": Affine(1, 0, 500_000, 0, -1, 5_000_000),
        "tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "zlevel": 1,
        "BIGTIFF": "IF_SAFER", "photometric": "MINISBLACK", "alpha": "NO",
    }  # fmt: skip
    rng = np.random.default_rng(0)
    ground = ndimage.gaussian_filter(rng.normal(size=(bands, BLOCK_PX, BLOCK_PX)), (0, 8, 8))
    ground = 110 + 400 * ground
    with (
        rasterio.open(paths[0], "w", **profile) as before,
        rasterio.open(paths[1], "w", **profile) as after,
    ):
        for number, (row, col) in enumerate(_blocks(side_px)):
            height, width = min(BLOCK_PX, side_px - row), min(BLOCK_PX, side_px - col)
            window = Window(col, row, width, height)
            image = np.roll(ground, number * 37, axis=2)[:, :height, :width]
            before.write(_noisy(image, rng), window=window)
            changed = image.copy()
            if everywhere:
                marked = np.arange(BLOCK_PX) % 64 < 24
                changed[:, np.outer(marked[:height], marked[:width])] += 60
            elif number % 4 == 0:
                changed[:, 300:420, 300:460] += 60
            after.write(_noisy(changed, rng), window=window)
    return paths


def _blocks(side_px: int) -> list[tuple[int, int]]:
    return [(r, c) for r in range(0, side_px, BLOCK_PX) for c in range(0, side_px, BLOCK_PX)]


def _noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.integers(-3, 4, image.shape, dtype=np.int8)
    return (image + noise).clip(0, 255).astype(np.uint8)
