"""Labelled ground in memory, of which pairs are made."""

import numpy as np

from geochg.datasets.ground.covers import ANY, Cover
from geochg.datasets.ground.labelled import LabelledGround


def built_ground(seed: int, side_px: int = 80) -> LabelledGround:
    """A dark place with a few bright buildings on it."""
    rng = np.random.default_rng(seed)
    image = rng.integers(40, 90, (side_px, side_px, 3)).astype(np.uint8)
    cover = np.full((side_px, side_px), int(ANY - Cover.BUILDING), np.uint8)
    for row, col in rng.integers(0, side_px - 20, (5, 2)):
        image[row : row + 16, col : col + 16] = 230
        cover[row : row + 16, col : col + 16] = Cover.BUILDING
    return LabelledGround("built", [image], [cover], 0.5, (0.5, 0.6), 1.0)


def covered_ground(seed: int, cover: int, level: int, side_px: int = 80) -> LabelledGround:
    """A place of one set of covers and about one brightness."""
    rng = np.random.default_rng(seed)
    image = rng.integers(level - 15, level + 15, (side_px, side_px, 3)).astype(np.uint8)
    return LabelledGround(
        "plain", [image], [np.full((side_px, side_px), cover, np.uint8)], 0.5, (0.5, 0.6), 1.0
    )
