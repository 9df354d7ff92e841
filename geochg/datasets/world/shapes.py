"""Masks and lines: regions with ragged edges, curves, and polygons drawn as coverage."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.noise import blobs
from geochg.datasets.world.plan import Frame


def coordinates(size_px: int, angle: float) -> tuple[FloatArray, FloatArray]:
    """Coordinates along and across a direction, in pixels from the canvas centre.

    Returns:
        Two `(size_px, size_px)` float32 arrays.
    """
    line = np.arange(size_px, dtype=np.float32) - np.float32((size_px - 1) / 2)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = line[None] * cosine + line[:, None] * sine
    across = line[:, None] * cosine - line[None] * sine
    return along, across


def soft(field: FloatArray, edge_px: float = 1.0) -> FloatArray:
    """Coverage 0-1 from a signed distance in pixels, positive inside."""
    covered: FloatArray = np.clip(field / np.float32(edge_px) + np.float32(0.5), 0, 1)
    return covered


def region(
    rng: np.random.Generator,
    frame: Frame,
    centre: tuple[float, float],
    radius_px: float,
    ragged: float = 0.35,
    boxy: float = 0.0,
) -> FloatArray:
    """A region round a centre as coverage 0-1.

    Args:
        rng: Draws its outline.
        frame: The canvas.
        centre: Column and row.
        radius_px: Rough radius.
        ragged: How far the outline strays, as a share of the radius.
        boxy: 0 for a round region, 1 for a rectangle in a direction of its own.
    """
    angle = float(rng.uniform(0, np.pi))
    along, across = coordinates(frame.size_px, angle)
    middle = (frame.size_px - 1) / 2
    dx, dy = centre[0] - middle, centre[1] - middle
    along = along - np.float32(dx * np.cos(angle) + dy * np.sin(angle))
    across = across - np.float32(dy * np.cos(angle) - dx * np.sin(angle))
    across = across * np.float32(rng.uniform(0.8, 2.0))
    distance = np.hypot(along, across)
    if boxy:
        distance += np.float32(boxy) * (np.maximum(abs(along), abs(across)) - distance)
    stray = blobs(rng, frame.size_px, radius_px * 0.6) + 0.4 * blobs(
        rng, frame.size_px, radius_px * 0.15
    )
    depth = (radius_px - distance + 0.5 * ragged * radius_px * stray).astype(np.float32)
    return soft(depth)


def curve(
    rng: np.random.Generator, frame: Frame, through: tuple[float, float], angle: float, bend: float
) -> NDArray[np.float64]:
    """A line across the whole canvas through a point, `(n, 2)` x and y.

    Args:
        rng: Draws its bends.
        frame: The canvas.
        through: Column and row.
        angle: Main direction.
        bend: Deviation of the bends in pixels.
    """
    reach = frame.size_px * 0.95
    along = np.linspace(-reach, reach, 64)
    waves = rng.uniform(0.5, 2.0, 3) * np.pi / reach
    phases = rng.uniform(0, 2 * np.pi, 3)
    shape = sum(np.sin(along * wave + phase) for wave, phase in zip(waves, phases, strict=True))
    here = sum(np.sin(phases))
    across = bend * (np.asarray(shape) - here) / 1.5
    return np.stack(
        (
            through[0] + along * np.cos(angle) - across * np.sin(angle),
            through[1] + along * np.sin(angle) + across * np.cos(angle),
        ),
        -1,
    )


def filled(polygons: Sequence[NDArray[np.float64]], size_px: int, scale: int = 2) -> FloatArray:
    """Coverage 0-1 of polygons, each `(n, 2)` x and y in pixels of the canvas."""
    sheet = Image.new("L", (size_px * scale, size_px * scale))
    draw = ImageDraw.Draw(sheet)
    for polygon in polygons:
        draw.polygon(flat(polygon, scale), fill=255)
    return np.asarray(sheet.reduce(scale), np.float32) / np.float32(255)


def stroke(
    draw: ImageDraw.ImageDraw,
    points: NDArray[np.float64],
    width: float,
    fill: int | tuple[int, ...],
    scale: int = 2,
) -> None:
    """Draws a line of a width in canvas pixels on a scaled sheet, as one ribbon."""
    if width * scale < 2.5:
        draw.line(flat(points, scale), fill=fill, width=max(round(width * scale), 1))
        return
    if len(points) == 2:
        draw.polygon(_bar(points, width, scale), fill=fill)
        return
    way = np.gradient(points, axis=0)
    length = np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)
    out = np.stack((-way[:, 1], way[:, 0]), -1) / length[:, None] * (width / 2)
    draw.polygon(flat(np.concatenate((points + out, (points - out)[::-1])), scale), fill=fill)


def _bar(points: NDArray[np.float64], width: float, scale: int) -> list[float]:
    """The rectangle about a straight line; there are many short ones."""
    (x0, y0), (x1, y1) = ((points + 0.5) * scale - 0.5).tolist()
    long = max(math.hypot(x1 - x0, y1 - y0), 1e-9)
    dx, dy = -(y1 - y0) / long * width * scale / 2, (x1 - x0) / long * width * scale / 2
    return [x0 + dx, y0 + dy, x1 + dx, y1 + dy, x1 - dx, y1 - dy, x0 - dx, y0 - dy]


def flat(points: NDArray[np.float64], scale: int) -> list[float]:
    """Points as the flat list that Pillow draws, on a sheet of `scale` dots a pixel."""
    listed: list[float] = ((points + 0.5) * scale - 0.5).ravel().tolist()
    return listed
