"""Images whose content lies off differently from place to place."""

from pathlib import Path

import numpy as np
import rasterio
from scipy import ndimage

EXAMPLES = Path(__file__).parents[2] / "examples"

DISPLACEMENTS = {
    "seam": lambda x, y: np.where(x < 0.5, 3.0, -2.0),
    "ramp": lambda x, y: 6 * x,
    "hill": lambda x, y: 5 * np.exp(-12 * ((x - 0.45) ** 2 + (y - 0.5) ** 2)),
}
"""Pixels by which content lies to the right, at places 0-1 across and 0-1 down."""


def displaced(values: np.ndarray, displacement) -> np.ndarray:
    """`(bands, height, width)` values with their content displaced, by cubic splines."""
    rows, cols = np.indices(values.shape[1:], float)
    # What comes to lie at a pixel lay as far to the left as it is displaced from there.
    origin = cols
    for _ in range(4):
        origin = cols - displacement(origin / values.shape[2], rows / values.shape[1])
    bands = values.astype(float)
    moved = [ndimage.map_coordinates(band, [rows, origin], mode="nearest") for band in bands]
    limits = np.iinfo(values.dtype)
    return np.stack(moved).round().clip(limits.min, limits.max).astype(values.dtype)


def example(name: str, bands: int = 3) -> tuple[np.ndarray, dict]:
    """Values of an example image, and what else `make_raster` needs to write it."""
    with rasterio.open(EXAMPLES / f"{name}.tif") as dataset:
        placing = {"crs": dataset.crs, "transform": dataset.transform}
        return dataset.read(list(range(1, bands + 1))), placing
