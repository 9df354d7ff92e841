"""Towns at 10 m a pixel, where roofs and streets are texture."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from geochg.datasets.world.kinds import ByteArray, FloatArray
from geochg.datasets.world.noise import GRAIN, LANDSCAPE, PERIOD_PX, ROUGH, fractal

TILES = 10
_SCALE = 4
_FULL = ((0, 255), (1, 128), (2, 255))


def turned_town(
    rng: np.random.Generator, size_px: int, angle: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A piece of town with its streets in a direction.

    Returns:
        Share covered by roofs, brightness of all of it about 1, and share under trees, each
        `(size_px, size_px)` float32.
    """
    row, col = (int(value) for value in rng.integers(0, PERIOD_PX, 2))
    wide = int(size_px * 1.42) + 4
    tile = _tile(int(rng.integers(TILES)))
    rows, cols = ((np.arange(wide) + start) % len(tile) for start in (row, col))
    piece = Image.fromarray(tile[np.ix_(rows, cols)])
    turned = piece.rotate(float(np.degrees(-angle)), Image.Resampling.BILINEAR)
    edge = (wide - size_px) // 2
    layers = np.asarray(turned, np.float32)[edge : edge + size_px, edge : edge + size_px]
    broad: FloatArray = 1 + np.float32(0.1) * fractal(rng, size_px, LANDSCAPE)
    cover, tone, trees = (layers[..., k] * np.float32(1 / most) for k, most in _FULL)
    return cover, tone * broad, trees


@cache
def _tile(variant: int) -> ByteArray:
    """Roofs, brightness (128 is 1) and trees of a town that repeats: `(period, period, 3)`."""
    rng, period = np.random.default_rng((9, variant)), PERIOD_PX // 2
    side = period * _SCALE
    roofs, tones = Image.new("L", (side, side)), Image.new("L", (side, side), 120)
    _rows_of_houses(rng, ImageDraw.Draw(roofs), ImageDraw.Draw(tones), side)
    trees = np.clip(fractal(rng, period, ROUGH) * rng.uniform(15, 60) + rng.uniform(0, 50), 0, 220)
    layers = [_mottled(rng, np.asarray(sheet.reduce(_SCALE))) for sheet in (roofs, tones)]
    return np.stack([*layers, trees.astype(np.uint8)], -1)


def _mottled(rng: np.random.Generator, layer: ByteArray) -> ByteArray:
    """A layer as 10 m pixels show it: no roof is crisp, and no row of them even."""
    soft = ndimage.gaussian_filter(layer.astype(np.float32), float(rng.uniform(0.4, 0.9)))
    size = layer.shape[0]
    uneven = 13 * fractal(rng, size, GRAIN) + 11 * fractal(rng, size, ROUGH)
    mean = np.float32(soft.mean())
    mottled = mean + np.float32(rng.uniform(0.55, 1.05)) * (soft - mean) + uneven
    return np.clip(mottled, 0, 255).astype(np.uint8)


def _rows_of_houses(
    rng: np.random.Generator,
    roofs: ImageDraw.ImageDraw,
    tones: ImageDraw.ImageDraw,
    side: int,
) -> None:
    """Rows of roofs between streets, in blocks of their own size and brightness."""
    lot, deep = float(rng.uniform(4, 9)), float(rng.uniform(9, 15))
    long, spread = float(rng.uniform(40, 120)), float(rng.uniform(15, 45))
    row, number = 0.0, 0
    while row < side:
        col, number = float(rng.uniform(-long, 0)), number + 1
        while col < side:
            stop = col + long * float(rng.uniform(0.6, 1.4))
            mean = float(rng.normal(122, 16))
            for x in np.arange(col, stop - lot, lot).tolist():
                if rng.random() < 0.93:
                    _house(rng, roofs, tones, x, row, lot, deep, mean + spread * rng.normal())
            col = stop + 4
        if number % 2 == 0:
            tones.rectangle((0, row + deep * 0.85, side, row + deep * 0.85 + 3), fill=95)
        row += deep * (1.0 if number % 2 else 1.3)


def _house(
    rng: np.random.Generator,
    roofs: ImageDraw.ImageDraw,
    tones: ImageDraw.ImageDraw,
    x: float,
    y: float,
    lot: float,
    deep: float,
    tone: float,
) -> None:
    wide, tall = lot * float(rng.uniform(0.5, 0.95)), deep * float(rng.uniform(0.35, 0.65))
    box = (x, y, x + wide, y + tall)
    roofs.rectangle(box, fill=255)
    tones.rectangle((x, y + tall, x + wide, y + tall * 1.3), fill=60)
    tones.rectangle(box, fill=int(np.clip(tone, 30, 250)))
