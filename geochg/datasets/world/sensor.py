"""What air, optics, geometry, electronics and compression make of a picture."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from geochg.datasets.world.kinds import ByteArray, FloatArray
from geochg.datasets.world.noise import CLOUD, fractal
from geochg.datasets.world.plan import MARGIN_PX


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """The nuisances of one date; zero or one is always "none".

    Attributes:
        shift_px: Column and row by which the picture is displaced.
        turn: Rotation in radians.
        scale: Magnification.
        coarser: How many times coarser than asked the sensor is.
        blur_px: Deviation of the point spread.
        matrix: `(3, 3)` colour mixing.
        gain: `(3,)` white balance times exposure.
        offset: `(3,)` path light, 0-1.
        gamma: Exponent of the tone curve.
        contrast: Factor round the middle tone.
        haze: Share of haze, 0-1.
        cloud: Share of thin cloud at its thickest, 0-1.
        cloud_shadow: Darkening by clouds, 0-1.
        vignette: Darkening of the corners, 0-1.
        seam: Brightness step across a mosaic seam; 0 for none.
        noise: Deviation of the noise, 0-1.
        sharpen: Strength of over-sharpening.
        stretch: Percentage cut off at both ends of the levels of each band; 0 for no stretch.
        quality: JPEG quality; 0 for no compression.
    """

    shift_px: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    scale: float = 1.0
    coarser: float = 1.0
    blur_px: float = 0.45
    matrix: FloatArray | None = None
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gamma: float = 1.0
    contrast: float = 1.0
    haze: float = 0.0
    cloud: float = 0.0
    cloud_shadow: float = 0.0
    vignette: float = 0.0
    seam: float = 0.0
    noise: float = 0.0
    sharpen: float = 0.0
    stretch: float = 0.0
    quality: int = 0


def sensor(rng: np.random.Generator, strength: float, coarse: bool) -> Sensor:
    """Draws the nuisances of one date.

    Args:
        rng: Draws them.
        strength: 0 for hardly any, 1 for strong ones.
        coarse: Whether it is the 10 m family: stretched bands, little misregistration.
    """
    far = (1.3 if coarse else 2.1) * strength
    turn = float(rng.uniform(0, 2 * np.pi))
    away = far * float(np.sqrt(rng.random())) if rng.random() < 0.75 else 0.0
    tone = _tones(rng, strength, coarse)
    return Sensor(
        shift_px=(away * float(np.cos(turn)), away * float(np.sin(turn))),
        turn=float(rng.normal(0, 0.004)) * strength if rng.random() < 0.3 else 0.0,
        scale=1 + float(rng.normal(0, 0.002)) * strength,
        coarser=float(rng.uniform(1.2, 2.6)) if rng.random() < 0.35 * strength else 1.0,
        blur_px=_blur_px(rng, coarse),
        matrix=_matrix(rng, strength),
        gain=tone[0],
        offset=tone[1],
        gamma=tone[2],
        contrast=tone[3],
        haze=float(rng.beta(1, 4)) * 0.6 * strength if rng.random() < 0.4 else 0.0,
        cloud=float(rng.uniform(0.1, 0.6)) * strength if rng.random() < 0.06 else 0.0,
        cloud_shadow=float(rng.uniform(0.15, 0.5)) if rng.random() < 0.06 * strength else 0.0,
        vignette=float(rng.uniform(0, 0.25)) * strength if rng.random() < 0.25 else 0.0,
        seam=float(rng.normal(0, 0.12)) if rng.random() < 0.12 * strength else 0.0,
        noise=float(rng.gamma(1.2, 0.009)) * (0.4 + strength),
        sharpen=float(rng.uniform(0.3, 1.6)) if rng.random() < 0.3 else 0.0,
        stretch=float(rng.uniform(0.4, 3)) if coarse and rng.random() < 0.55 else 0.0,
        quality=int(rng.integers(35, 96)) if rng.random() < 0.7 else 0,
    )


def _blur_px(rng: np.random.Generator, coarse: bool) -> float:
    """Edges of 10 m pictures are one to two pixels wide."""
    blur = float(rng.gamma(2.0, 0.22)) + 0.25
    return min(0.45 + 0.6 * blur, 1.2) if coarse else blur


Triple = tuple[float, float, float]


def _tones(
    rng: np.random.Generator, strength: float, coarse: bool
) -> tuple[Triple, Triple, float, float]:
    exposure = float(np.exp(rng.normal(0, 0.14 * strength)))
    balance = np.exp(rng.normal(0, 0.035 * strength, 3)) * exposure
    path = np.abs(rng.normal(0, 0.03 * strength)) * np.array((0.85, 0.97, 1.18))
    path -= float(rng.uniform(0, 0.06)) * strength
    gamma = float(np.exp(rng.normal(0, 0.17 * strength)))
    contrast = float(np.exp(rng.normal(0.05, 0.17 * strength)))
    if coarse:
        contrast *= float(rng.uniform(0.9, 1.5))
        gamma *= float(rng.uniform(0.85, 1.2))
    gain = (float(balance[0]), float(balance[1]), float(balance[2]))
    return gain, (float(path[0]), float(path[1]), float(path[2])), gamma, contrast


def _matrix(rng: np.random.Generator, strength: float) -> FloatArray:
    """Mixes the colours: saturation, and a little of each band in the others."""
    saturation = min(float(np.exp(rng.normal(-0.05, 0.25 * strength))), 1.4)
    if rng.random() < 0.015 * strength:
        saturation = 0.0
    grey = np.full((3, 3), 1 / 3)
    mixing = grey + saturation * (np.eye(3) - grey)
    mixing = mixing @ (np.eye(3) + rng.normal(0, 0.02 * strength, (3, 3)))
    normed: FloatArray = (mixing / mixing.sum(1, keepdims=True)).astype(np.float32)
    return normed


def shoot(rng: np.random.Generator, rgb: FloatArray, one: Sensor) -> ByteArray:
    """The picture a sensor takes.

    Args:
        rng: Draws noise and clouds.
        rgb: `(size, size, bands)` float32 canvas, about 0-1; the first three bands are red, green
            and blue, and a fourth is treated as the red one.
        one: The nuisances.

    Returns:
        `(bands, picture, picture)` uint8.
    """
    size = rgb.shape[0] - 2 * MARGIN_PX
    bands = _framed(rgb[..., :3], size, one)
    if rgb.shape[2] > 3:
        bands = np.concatenate((bands, _framed(rgb[..., 3:], size, one)), -1)
    bands = _toned(_aired(rng, bands, one), one)
    if one.noise:
        noise = rng.standard_normal(bands.shape, np.float32) * np.float32(one.noise)
        bands += noise * (np.float32(0.4) + bands)
    quantised: ByteArray = (np.clip(bands, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(_compressed(quantised, one.quality), -1, 0))


DARKEST, BRIGHTEST = 0.2, 0.72
"""Bounds of the mean of a picture: no sensor is sold that shows nothing."""

HEADROOM = 160.0
"""Grey level of 1.0 while pictures are moved about in 8 bits."""


def _framed(bands: FloatArray, size: int, one: Sensor) -> FloatArray:
    """One or three bands blurred, displaced, resampled and cut to the picture, 0-1."""
    soft = _blurred(bands, one.blur_px * one.coarser**0.7)
    levels = np.clip(soft * np.float32(HEADROOM) + np.float32(0.5), 0, 255).astype(np.uint8)
    picture = Image.fromarray(levels if levels.shape[2] > 1 else levels[..., 0])
    if one.turn:
        picture = picture.transform(
            picture.size,
            Image.Transform.AFFINE,
            _turn(one.turn, picture.size[0]),
            Image.Resampling.BILINEAR,
        )
    small = max(round(size / one.coarser), 8)
    picture = picture.resize((small, small), Image.Resampling.BICUBIC, _window(one, size))
    if small != size:
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float32).reshape(size, size, -1) / np.float32(HEADROOM)


def _blurred(bands: FloatArray, sigma: float) -> FloatArray:
    blurred: FloatArray = ndimage.gaussian_filter(
        bands, (sigma, sigma, 0), truncate=2.5, mode="nearest"
    )
    return blurred


def _turn(angle: float, side: int) -> tuple[float, ...]:
    cosine, sine, middle = float(np.cos(angle)), float(np.sin(angle)), side / 2
    return (
        cosine,
        -sine,
        middle - cosine * middle + sine * middle,
        sine,
        cosine,
        middle - sine * middle - cosine * middle,
    )


def _window(one: Sensor, size: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what the sensor sees of the canvas."""
    half = size / 2 / one.scale
    x, y = (MARGIN_PX + size / 2 + shift for shift in one.shift_px)
    return x - half, y - half, x + half, y + half


def _aired(rng: np.random.Generator, bands: FloatArray, one: Sensor) -> FloatArray:
    """Haze, clouds, their shadows, vignetting and seams."""
    size = bands.shape[0]
    if one.seam:
        edge = fractal(rng, size, CLOUD) * 6
        line = np.arange(size, dtype=np.float32)
        across = line[None] if rng.random() < 0.5 else line[:, None]
        side = (across + edge > rng.uniform(0.15, 0.85) * size)[..., None]
        uneven: FloatArray = rng.normal(1, 0.3, (bands.shape[2],)).astype(np.float32)
        step = np.float32(one.seam) * uneven
        bands = bands * (1 + side * step)
    if one.vignette:
        line = np.linspace(-1, 1, size, dtype=np.float32) + np.float32(rng.normal(0, 0.4))
        bands = (
            bands
            * (1 - np.float32(one.vignette / 2) * (line[None] ** 2 + line[:, None] ** 2))[..., None]
        )
    if one.cloud_shadow:
        dark = np.clip(fractal(rng, size, CLOUD) * 2, 0, 1) * np.float32(one.cloud_shadow)
        bands = bands * (1 - dark[..., None])
    if one.haze or one.cloud:
        thick = np.full((size, size), np.float32(one.haze))
        if one.cloud:
            thick = thick + np.clip(fractal(rng, size, CLOUD) * 0.6 + 0.2, 0, 1) * one.cloud
        white = np.float32(rng.uniform(0.65, 0.95))
        bands = bands + np.minimum(thick, 0.9)[..., None].astype(np.float32) * (white - bands)
    return bands


def _toned(bands: FloatArray, one: Sensor) -> FloatArray:
    """Colour mixing, white balance, path light, tone curve, contrast, sharpening."""
    gain, offset = np.array(one.gain, np.float32), np.array(one.offset, np.float32)
    mixing = np.eye(3, dtype=np.float32) if one.matrix is None else one.matrix
    # Not `@`: its threads would fight with the other processes over the cores.
    mixed = np.einsum("rck,mk->rcm", bands[..., :3], mixing * gain[:, None]) + offset
    if bands.shape[2] > 3:
        mixed = np.concatenate((mixed, bands[..., 3:] * gain[:1] + offset[:1]), -1)
    mixed = np.clip(mixed, 0.002, 1.2)
    if one.gamma != 1:
        mixed = mixed ** np.float32(one.gamma)
    if one.contrast != 1:
        middle = mixed.mean((0, 1), dtype=np.float32)
        mixed = (mixed - middle) * np.float32(one.contrast) + middle
    level = float(mixed.mean())
    mixed = mixed * np.float32(min(max(level, DARKEST), BRIGHTEST) / max(level, 1e-3))
    if one.stretch:
        cut = (one.stretch, 100 - one.stretch)
        low, high = np.percentile(mixed[::4, ::4], cut, axis=(0, 1)).astype(np.float32)
        mixed = (mixed - low) / np.maximum(high - low, np.float32(0.1))
    if one.sharpen:
        soft = ndimage.uniform_filter(mixed, (3, 3, 0))
        mixed = mixed + np.float32(one.sharpen) * (mixed - soft)
    toned_bands: FloatArray = np.asarray(mixed, np.float32)
    return toned_bands


def _compressed(bands: ByteArray, quality: int) -> ByteArray:
    if not quality:
        return bands
    parts = [_jpeg(bands[..., :3], quality)]
    if bands.shape[2] > 3:
        parts.append(_jpeg(bands[..., 3], quality)[..., None])
    return np.concatenate(parts, -1)


def _jpeg(picture: ByteArray, quality: int) -> ByteArray:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))
