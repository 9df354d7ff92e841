"""Patches of real Sentinel-2 ground, told apart into town and open land by texture and plants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from geochg.datasets.world.kinds import ByteArray, FloatArray
from geochg.datasets.world.textures import bands

GSD_M = 10.0
"""Ground size of a pixel of the files."""

TOWN, OPEN = 0, 1
"""Kinds of patches, which are also layers of `covers`."""

TRIES = 6
"""Places looked at for each patch; the one with most of what is wanted is taken."""

PART = (0.12, 0.4)
"""Side of a piece of open land, as a share of what it is to fill with its mirror images."""

_TOWN_TEXTURE, _OPEN_TEXTURE = 0.2, 0.12
"""Least and most deviation of the logarithm of red within a few pixels."""

_MOST_PLANTS, _LEAST_INFRARED = 0.33, 900.0
"""Bound of the vegetation index of towns, and of the infrared of land against water."""


class Patch(NamedTuple):
    """Real ground at one date.

    Attributes:
        picture: `(size, size, 3)` float32, 0-1.
        cover: `(size, size)` float32 share 0-1 that is of the kind wanted.
        gsd_m: Ground size of a pixel.
    """

    picture: FloatArray
    cover: FloatArray
    gsd_m: float


def patch(
    rng: np.random.Generator, dates: Sequence[Path], size_px: int, gsd_m: float, kind: int
) -> Patch:
    """A square of one of the dates that shows much of a kind, turned and mirrored at random.

    Args:
        rng: Draws it.
        dates: Folders of single-band files.
        size_px: Side of the patch.
        gsd_m: Ground size of its pixels, as far as the files are large enough.
        kind: `TOWN` or `OPEN`.
    """
    best, part = (-1.0, "", 0, 0, 1), float(rng.uniform(*PART)) if kind == OPEN else 1.0
    whole = round(size_px * gsd_m / GSD_M)
    for _ in range(TRIES):
        date = str(dates[int(rng.integers(len(dates)))])
        there = covers(date)[..., kind]
        side = min(max(round(whole * part), 16), *there.shape)
        row, col = (int(rng.integers(most - side + 1)) for most in there.shape)
        share = float(there[row : row + side : 4, col : col + side : 4].mean())
        best = max(best, (share, date, row, col, side))
    _, date, row, col, side = best
    box = slice(row, row + side), slice(col, col + side)
    turn, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    layers = (bands(date, ("B04", "B03", "B02"))[box], covers(date)[..., kind][box])
    more = max(whole - side, 0) if kind == OPEN else 0
    picture, cover = (
        np.rot90(_scaled(one[:, ::-1] if mirrored else one, size_px, more), turn) for one in layers
    )
    gsd_m = GSD_M * (side + more) / size_px
    return Patch(np.ascontiguousarray(picture), np.ascontiguousarray(cover), gsd_m)


def _scaled(layer: ByteArray, size_px: int, more_px: int) -> FloatArray:
    """A layer with its mirror images added at two sides, as many pixels wide, on a canvas."""
    added = ((0, more_px), (0, more_px), (0, 0))[: layer.ndim]
    layer = np.pad(layer, added, "symmetric") if more_px else layer
    image = Image.fromarray(np.ascontiguousarray(layer))
    scaled = image.resize((size_px, size_px), Image.Resampling.BICUBIC)
    return np.asarray(scaled, np.float32) / np.float32(255)


@lru_cache(maxsize=24)
def covers(date: str) -> ByteArray:
    """`(rows, cols, 2)` uint8: 255 where a date shows town, and where it shows open land.

    Towns are rough within a few pixels and have few plants; open land is smooth and no water.
    """
    red, infrared = (_values(date, name) for name in ("B04", "B08"))
    level = np.log(np.maximum(red, 50))
    mean = ndimage.gaussian_filter(level, 1.6)
    spread = ndimage.gaussian_filter(level * level, 1.6) - mean * mean
    rough = ndimage.gaussian_filter(np.sqrt(np.maximum(spread, 0)), 4)
    plants = (infrared - red) / np.maximum(infrared + red, 1)
    plants = ndimage.gaussian_filter(plants, 4)
    land = ndimage.gaussian_filter(infrared, 3) > _LEAST_INFRARED
    town = (rough > min(_TOWN_TEXTURE, float(np.median(rough)))) & (plants < _MOST_PLANTS) & land
    smooth = (rough < _OPEN_TEXTURE) & land
    return (np.stack((town, smooth), -1) * 255).astype(np.uint8)


def _values(date: str, name: str) -> FloatArray:
    import rasterio

    path = next(iter(sorted(Path(date).glob(f"*_{name}.tif"))))
    with rasterio.open(path) as opened:
        values: FloatArray = opened.read(1).astype(np.float32)
        return values


def reseasoned(rng: np.random.Generator, picture: FloatArray) -> FloatArray:
    """A picture with its green plants drier or fresher than they were, as shares 0-1."""
    red, green, blue = (picture[..., k] for k in range(3))
    plants = np.clip((2 * green - red - blue) * np.float32(4), 0, 1)[..., None]
    amount = np.float32(abs(rng.normal(0, 0.4)))
    toward = (1.25, 1.08, 0.75) if rng.random() < 0.7 else (0.75, 1.05, 0.75)
    tint = np.array(toward, np.float32) * rng.normal(1, 0.08, 3).astype(np.float32)
    grey = picture.mean(2, keepdims=True) * tint
    result: FloatArray = picture + plants * min(amount, np.float32(0.9)) * (grey - picture)
    return result
