"""Pairs of real imagery in which parts of another place are put."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio

EXAMPLES = Path(__file__).parents[2] / "examples"
SIDE_PX = 256


class PastedPair(NamedTuple):
    """Two dates of a place.

    Attributes:
        before: `(3, SIDE_PX, SIDE_PX)` uint8.
        after: As `before`; a little darker.
        changed: `(SIDE_PX, SIDE_PX)` bool.
    """

    before: np.ndarray
    after: np.ndarray
    changed: np.ndarray


def pasted_pairs(count: int) -> list[PastedPair]:
    """Crops of the ponds, with squares of Dubai put into the later date of two in three."""
    ponds, dubai = picture("ponds_2012"), picture("dubai_2015")
    return [pasted(ponds, dubai, number) for number in range(count)]


def pasted(place: np.ndarray, other: np.ndarray, number: int) -> PastedPair:
    rng = np.random.default_rng(number)
    before = crop(place, rng)
    after, lender = 0.93 * before, crop(other, rng)
    changed = np.zeros((SIDE_PX, SIDE_PX), bool)
    for _ in range(0 if number % 3 == 2 else 3):
        size = int(rng.integers(40, 90))
        row, col = rng.integers(0, SIDE_PX - size, 2)
        changed[row : row + size, col : col + size] = True
    after[:, changed] = lender[:, changed]
    return PastedPair(before, after.astype(np.uint8), changed)


def picture(name: str) -> np.ndarray:
    """Red, green and blue of an example, stretched to uint8: `(3, height, width)`."""
    with rasterio.open(EXAMPLES / f"{name}.tif") as source:
        bands = source.read((1, 2, 3)).astype(np.float32)
    low, high = np.percentile(bands, (1, 99), axis=(1, 2))[..., None, None]
    return np.clip(255 * (bands - low) / (high - low), 0, 255).astype(np.uint8)


def crop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    row, col = (int(rng.integers(side - SIDE_PX + 1)) for side in image.shape[1:])
    return image[:, row : row + SIDE_PX, col : col + SIDE_PX].copy()
