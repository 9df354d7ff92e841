"""Folders of labelled pairs."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_pair(
    folder: Path,
    name: str,
    before: np.ndarray,
    after: np.ndarray,
    mask: np.ndarray | None = None,
    suffix: str = ".png",
) -> None:
    """Adds a pair; pictures are `(height, width, 3)` uint8, the mask `(height, width)`."""
    if mask is None:
        mask = np.zeros(before.shape[:2], np.uint8)
    for part, pixels in (("A", before), ("B", after), ("label", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / part / f"{name}{suffix}")


def blocks(seed: int, size_px: int = 64, count: int = 4) -> np.ndarray:
    """A picture of large coloured blocks, `(size, size, 3)` uint8."""
    small = np.random.default_rng(seed).integers(0, 256, (count, count, 3)).astype(np.uint8)
    side = size_px // count
    return small.repeat(side, axis=0).repeat(side, axis=1)


def some_pairs(folder: Path, count: int = 12, size_px: int = 64) -> Path:
    """Pairs of which every other has changed: to another picture, else by a little light."""
    for number in range(count):
        before = blocks(number, size_px)
        changed = number % 2 == 1
        after = blocks(1000 + number, size_px) if changed else np.clip(before, 0, 250) + 5
        mask = np.full((size_px, size_px), 255 * changed, np.uint8)
        write_pair(folder, f"p{number:02d}", before, after.astype(np.uint8), mask)
    return folder
