"""Random fields with a spectrum, cut out of tiles that repeat, so that they cost a copy at most."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from geochg.datasets.world.kinds import FloatArray

PERIOD_PX = 512
VARIANTS = 3

GRAIN, ROUGH, LANDSCAPE, CLOUD = 0.6, 1.4, 2.2, 3.2
"""Exponents of the power spectrum, from fine to smooth."""


def fractal(rng: np.random.Generator, size_px: int, exponent: float) -> FloatArray:
    """A field of zero mean and unit deviation whose power falls with frequency.

    Args:
        rng: Draws which part of which tile.
        size_px: Side of the square.
        exponent: One of `GRAIN`, `ROUGH`, `LANDSCAPE`, `CLOUD`.

    Returns:
        `(size_px, size_px)` float32, read-only.
    """
    return _cut(rng, size_px, _fractal_tile(exponent, int(rng.integers(VARIANTS))))


def blobs(rng: np.random.Generator, size_px: int, scale_px: float) -> FloatArray:
    """A smooth field of zero mean and unit deviation with one scale, such as region outlines need.

    Args:
        rng: Draws which part of which tile.
        size_px: Side of the square.
        scale_px: Rough width of its hills; kept between 2 and 128.

    Returns:
        `(size_px, size_px)` float32, read-only.
    """
    step = round(2 * np.log2(min(max(scale_px, 2.0), 128.0)))
    return _cut(rng, size_px, _blob_tile(step, int(rng.integers(VARIANTS))))


def streaks(rng: np.random.Generator, size_px: int) -> FloatArray:
    """A field of about zero mean and unit deviation, drawn out along rows or columns.

    Args:
        rng: Draws it.
        size_px: Side of the square.

    Returns:
        `(size_px, size_px)` float32.
    """
    times = float(rng.choice((1.5, 3, 6)))
    field = fractal(rng, size_px, ROUGH)
    short = Image.fromarray(np.ascontiguousarray(field[:, : int(size_px / times) + 1]))
    drawn = np.asarray(short.resize((size_px, size_px), Image.Resampling.BILINEAR))
    return drawn.T if rng.random() < 0.5 else drawn


def _cut(rng: np.random.Generator, size_px: int, tile: FloatArray) -> FloatArray:
    row, col, turn = (int(value) for value in rng.integers(0, (PERIOD_PX, PERIOD_PX, 8)))
    piece = tile[row : row + size_px, col : col + size_px]
    piece = piece.T if turn & 1 else piece
    return piece[:: -1 if turn & 2 else 1, :: -1 if turn & 4 else 1]


@cache
def _fractal_tile(exponent: float, variant: int) -> FloatArray:
    frequency = _frequencies()
    amplitude = np.where(frequency > 0, np.maximum(frequency, 1) ** (-exponent / 2), 0)
    return _tile(amplitude, (7, round(10 * exponent), variant))


@cache
def _blob_tile(step: int, variant: int) -> FloatArray:
    scale_px = 2 ** (step / 2)
    frequency = _frequencies()
    smooth = np.exp(-((frequency * scale_px / PERIOD_PX) ** 2) * 2)
    return _tile(np.where(frequency > 0, smooth, 0), (8, step, variant))


def _frequencies() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    rows = np.fft.fftfreq(PERIOD_PX) * PERIOD_PX
    cols = np.fft.rfftfreq(PERIOD_PX) * PERIOD_PX
    radius: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.hypot(rows[:, None], cols)
    return radius


def _tile(
    amplitude: np.ndarray[tuple[int, ...], np.dtype[np.float64]], seed: tuple[int, ...]
) -> FloatArray:
    white = np.random.default_rng(seed).standard_normal((PERIOD_PX, PERIOD_PX))
    field = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=(PERIOD_PX, PERIOD_PX))
    field = ((field - field.mean()) / field.std()).astype(np.float32)
    tiled = np.tile(field, (2, 2))
    tiled.flags.writeable = False
    return tiled
