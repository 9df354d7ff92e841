"""Augmentation of one date of a pair: season, light, sensor, haze, noise, compression.

Differences that a change detector must not report; each date of a pair gets its own.

Neither kornia (0.9.0) nor albumentations (2.0.8) is used: `benchmarks/augmentation_libraries.py`.
They have blur, noise, JPEG, gamma and gains, which are a line each here, but no season that turns
what is green and no smooth map of colours. Their changes of colour, haze (albumentations) and JPEG
(kornia) refuse a near infrared. A date of 256 px takes 27 ms here (37 with the near infrared), what
comes nearest 34 (kornia) and 36 ms.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from geochg.datasets.ground.labelled import stretched_bands

Image = NDArray[np.float32]
"""`(height, width, 3 or 4)` 0-1: red, green, blue, and the near infrared where there is one."""


def varied_date(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """One date as another season and sensor would show it, stretched to 0-1.

    Args:
        image: The date.
        rng: Generator of the augmentation.
        strength: 1 for a single date that is shown twice, less for dates that differ by themselves.
    """
    color = _season(image[..., :3], rng, strength)
    color = _light(color, rng, strength)
    color = _sensor(color, rng)
    if image.shape[-1] == 3:
        return stretched_bands(color, step=7)
    infrared = _light(np.repeat(image[..., 3:], 3, axis=2), rng, 0.6 * strength)[..., :1]
    return stretched_bands(np.concatenate((color, infrared), axis=2), step=7)


def waves(rng: np.random.Generator, knots: int, side_px: int) -> NDArray[np.float32]:
    """A smooth random surface, `(side_px, side_px)` of about unit variance."""
    coarse = rng.normal(0, 1, (knots, knots)).astype(np.float32)
    fine = cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)


def _season(color: Image, rng: np.random.Generator, strength: float) -> Image:
    """What is green turns otherwise, and colours move smoothly."""
    if rng.random() < 0.6 * strength:
        green = color[..., 1] * 2 - color[..., 0] - color[..., 2]
        middle = np.quantile(green[::4, ::4], rng.uniform(0.3, 0.8))
        share = 1 / (1 + np.exp(-(green - middle) / max(float(green.std()) * 0.5, 0.01)))
        share = share[..., None] * rng.uniform(0, 0.9)
        tint = np.array([rng.uniform(0.8, 1.6), rng.uniform(0.75, 1.25), rng.uniform(0.5, 1.3)])
        other = color.mean(axis=-1, keepdims=True) * tint * rng.uniform(0.6, 1.5)
        color = color * (1 - share) + other * share
    if rng.random() < 0.6:
        color = _random_color_map(color, rng, rng.uniform(0.02, 0.10) * strength)
    return color.astype(np.float32)


def _random_color_map(color: Image, rng: np.random.Generator, amount: float) -> Image:
    """A random smooth map of colours: alike stays alike, different may move apart."""
    axis = np.linspace(0, 1, 3)
    table = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    table = table + rng.normal(0, amount, table.shape) + rng.normal(0, amount, 3)
    moved_map = functional.grid_sample(
        torch.from_numpy(table.transpose(3, 0, 1, 2)[None].astype(np.float32)),
        torch.from_numpy(np.clip(color, 0, 1)[..., ::-1].astype(np.float32))[None, None] * 2 - 1,
        align_corners=True,
        padding_mode="border",
    )
    return np.ascontiguousarray(moved_map[0, :, 0].permute(1, 2, 0).numpy())


def _light(color: Image, rng: np.random.Generator, strength: float) -> Image:
    """Gamma, gains, offsets, contrast, saturation, uneven light and haze."""
    side_px = color.shape[0]
    lit_color: NDArray[Any] = color
    if rng.random() < 0.8:
        lit_color = np.clip(lit_color, 1e-3, 1) ** np.exp(rng.normal(0, 0.3 * strength))
    gains = np.exp(rng.normal(0, 0.12 * strength, 3))
    lit_color = lit_color * gains + rng.normal(0, 0.05 * strength, 3)
    mean = lit_color.mean((0, 1))
    lit_color = (lit_color - mean) * np.exp(rng.normal(0, 0.25 * strength)) + mean
    if rng.random() < 0.5:
        grey = rng.uniform(-0.3, 0.8) * strength
        lit_color = lit_color * (1 - grey) + lit_color.mean(axis=-1, keepdims=True) * grey
    if rng.random() < 0.3:
        lit_color = lit_color * (1 + 0.12 * waves(rng, int(rng.integers(2, 5)), side_px)[..., None])
    if rng.random() < 0.2:
        lit_color = lit_color + 0.08 * waves(rng, int(rng.integers(2, 6)), side_px)[..., None]
    return lit_color.astype(np.float32)


def _sensor(color: Image, rng: np.random.Generator) -> Image:
    """Sharpness, noise and compression."""
    if rng.random() < 0.45:
        color = np.asarray(cv2.GaussianBlur(color, (0, 0), rng.uniform(0.4, 1.5)), np.float32)
    elif rng.random() < 0.3:
        color = color + rng.uniform(0.3, 1) * (color - cv2.GaussianBlur(color, (0, 0), 1.2))
    if rng.random() < 0.5:
        color = color + rng.standard_normal(color.shape, np.float32) * rng.uniform(0.005, 0.035)
    color = np.clip(color, 0, 1).astype(np.float32)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 92))]
        _, packed = cv2.imencode(".jpg", (color * 255).astype(np.uint8), quality)
        picture = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert picture is not None
        color = np.asarray(picture.astype(np.float32) / 255, np.float32)
    return color
