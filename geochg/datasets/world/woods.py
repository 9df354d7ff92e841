"""Trees: single ones, hedges, orchards, and the crowns of woods as height fields."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.noise import PERIOD_PX
from geochg.datasets.world.plan import Building, Frame, Road, Trees, no_trees, planted
from geochg.datasets.world.shapes import curve

CROWN_RADII_PX = (1.5, 2.2, 3.2, 4.6, 6.5, 9.5, 14.0, 20.0, 30.0)
SPRITE_RADII_PX = tuple(float(r) for r in np.geomspace(0.8, 60, 32))
SPRITE_VARIANTS = 6


def stand(
    rng: np.random.Generator,
    places: NDArray[np.float64],
    radius: NDArray[np.float64],
    evergreen: float,
) -> Trees:
    """Trees at `(n, 2)` places with crowns of `(n,)` radius, a share of them evergreen."""
    count = len(places)
    tint = rng.normal(1, 0.1, (count, 1)) * rng.normal(1, 0.05, (count, 3))
    return planted(places, radius, np.clip(tint, 0.5, 1.6), rng.random(count) < evergreen)


def loose(
    rng: np.random.Generator,
    frame: Frame,
    per_hectare: float,
    radius_m: tuple[float, float],
    evergreen: float,
    most: int = 260,
) -> Trees:
    """Trees strewn evenly, with some in clumps."""
    hectares = (frame.size_px * frame.gsd_m / 100) ** 2
    count = int(min(rng.poisson(per_hectare * hectares), most))
    places = rng.uniform(0, frame.size_px, (count, 2))
    clumped = rng.random(count) < 0.4
    if count:
        hosts = places[rng.integers(0, count, count)]
        spread = frame.px(radius_m[1]) * 2.5
        places[clumped] = (hosts + rng.normal(0, spread, (count, 2)))[clumped]
    radius = frame.px(1) * rng.uniform(*radius_m, count)
    keep = radius > 0.5
    return stand(rng, places[keep], radius[keep], evergreen)


def orchard(
    rng: np.random.Generator,
    frame: Frame,
    within: FloatArray,
    spacing_m: float,
    radius_m: float,
) -> Trees:
    """Trees in rows over a covered area; the rows' direction is drawn."""
    angle, step = float(rng.uniform(0, np.pi)), max(frame.px(spacing_m), 2.2)
    reach = np.arange(-frame.size_px * 0.72, frame.size_px * 0.72, step)
    u, v = (grid.ravel() for grid in np.meshgrid(reach, reach * float(rng.uniform(1, 1.5))))
    u, v = (axis + rng.normal(0, step * 0.06, axis.shape) for axis in (u, v))
    middle = frame.size_px / 2
    places = np.stack(
        (
            middle + u * np.cos(angle) - v * np.sin(angle),
            middle + u * np.sin(angle) + v * np.cos(angle),
        ),
        -1,
    )
    places = places[covered(within, places)][:700]
    radius = max(frame.px(radius_m), 0.8) * rng.uniform(0.75, 1.2, len(places))
    return stand(rng, places, radius, 0.5)


def hedge(rng: np.random.Generator, frame: Frame, angle: float) -> Trees:
    """A line of trees or bushes across the canvas, with gaps."""
    through = tuple(float(value) for value in rng.uniform(0, frame.size_px, 2))
    line = curve(rng, frame, (through[0], through[1]), angle, frame.px(3))
    radius_m = float(rng.uniform(1, 4))
    step = max(frame.px(radius_m) * float(rng.uniform(1.2, 3.5)), 1.5)
    wanted = np.arange(0, len(line) - 1, step / np.hypot(*(line[1] - line[0])))[:220]
    places = np.stack([np.interp(wanted, np.arange(len(line)), line[:, k]) for k in (0, 1)], -1)
    places += rng.normal(0, frame.px(0.5), places.shape)
    places = places[rng.random(len(places)) < rng.uniform(0.5, 1)]
    return stand(rng, places, frame.px(radius_m) * rng.uniform(0.7, 1.2, len(places)), 0.3)


def garden(
    rng: np.random.Generator,
    frame: Frame,
    houses: Sequence[Building],
    each: float,
    evergreen: float,
) -> Trees:
    """Trees and bushes about houses."""
    if not houses:
        return no_trees()
    count = min(int(rng.poisson(each * len(houses))), 260)
    hosts = np.array([h.centre for h in houses])[rng.integers(0, len(houses), count)]
    turn = rng.uniform(0, 2 * np.pi, count)
    away = frame.px(1) * rng.uniform(8, 20, count)
    places = hosts + np.stack((np.cos(turn), np.sin(turn)), -1) * away[:, None]
    return stand(rng, places, frame.px(1) * rng.uniform(0.8, 4.0, count), evergreen)


def avenue(rng: np.random.Generator, frame: Frame, road: Road) -> Trees:
    """Trees along both sides of a road."""
    steps = np.hypot(*np.diff(road.points, axis=0).T)
    place = np.concatenate(([0.0], np.cumsum(steps)))
    wanted = np.arange(0, place[-1], max(frame.px(float(rng.uniform(6, 14))), 2))
    x, y = (np.interp(wanted, place, road.points[:, k]) for k in (0, 1))
    dx, dy = (np.interp(wanted, place[1:], np.diff(road.points[:, k])) for k in (0, 1))
    out = (road.width / 2 + frame.px(3)) / np.maximum(np.hypot(dx, dy), 1e-6)
    sides = [np.stack((x - s * out * dy, y + s * out * dx), -1) for s in (-1, 1)]
    places = np.concatenate(sides)
    places = places[((places > 0) & (places < frame.size_px)).all(1)]
    return stand(rng, places, frame.px(1) * rng.uniform(1.5, 3.5, len(places)), 0.2)


def covered(cover: FloatArray, places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of `(n, 2)` places lie on covered pixels."""
    col, row = (np.floor(places[:, axis]).astype(int) for axis in (0, 1))
    inside = (col >= 0) & (col < cover.shape[1]) & (row >= 0) & (row < cover.shape[0])
    found: NDArray[np.bool_] = inside & (
        cover[np.where(inside, row, 0), np.where(inside, col, 0)] > 0.5
    )
    return found


# --- crowns as heights ---------------------------------------------------------------------------


@cache
def sprite(step: int, variant: int) -> FloatArray:
    """Height of one lumpy crown over its square, in crown radii: 0 outside, about 1 on top."""
    radius = SPRITE_RADII_PX[step]
    rng = np.random.default_rng((5, step, variant))
    half = int(np.ceil(radius * 1.15)) + 1
    line = np.arange(-half, half + 1, dtype=np.float32)
    x, y = np.meshgrid(line, line)
    height = np.zeros_like(x)
    for _ in range(1 if radius < 1.6 else int(rng.integers(6, 12))):
        turn, away = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.0, 0.55)
        lobe = radius * (1.05 if radius < 1.6 else rng.uniform(0.35, 0.62))
        away = 0.0 if radius < 1.6 else away
        square = (x - away * np.cos(turn)) ** 2 + (y - away * np.sin(turn)) ** 2
        dome = np.sqrt(np.maximum(lobe**2 - square, 0)) + 0.25 * radius * (square < lobe**2)
        np.maximum(height, dome + (1 - away / radius) * 0.3 * dome, out=height)
    if radius > 4:
        height += (height > 0) * rng.normal(0, 0.05 * radius, height.shape)
    crown: FloatArray = np.maximum(height / radius, 0).astype(np.float32)
    return crown


def sprite_of(radius_px: float, variant: int) -> FloatArray:
    """The sprite whose radius comes nearest."""
    logs = np.log(max(radius_px, SPRITE_RADII_PX[0]) / SPRITE_RADII_PX[0])
    step = round(float(logs / np.log(SPRITE_RADII_PX[1] / SPRITE_RADII_PX[0])))
    return sprite(min(step, len(SPRITE_RADII_PX) - 1), variant % SPRITE_VARIANTS)


@cache
def canopy_tile(step: int) -> tuple[FloatArray, FloatArray]:
    """A closed canopy that repeats, for crowns of `CROWN_RADII_PX[step]`.

    Returns:
        Heights in pixels and a number 0-1 for each tree's colour, both `(2 * PERIOD_PX,) * 2`.
    """
    radius, rng = CROWN_RADII_PX[step], np.random.default_rng((6, step))
    period = PERIOD_PX // 2 if radius < 4 else PERIOD_PX
    height = np.zeros((period, period), np.float32)
    tint = np.full(height.shape, 0.5, np.float32)
    count = int(period / (radius * 1.45))
    centres = (
        (
            np.stack(np.meshgrid(np.arange(count), np.arange(count)), -1).reshape(-1, 2)
            + rng.uniform(-0.45, 0.45, (count * count, 2))
        )
        * PERIOD_PX
        / count
    )
    for x, y in centres:
        _raise(height, tint, x, y, radius * float(rng.uniform(0.6, 1.3)), rng)
    repeats = (2 * PERIOD_PX // period,) * 2
    tiled = np.tile(height, repeats), np.tile(tint, repeats)
    for tile in tiled:
        tile.flags.writeable = False
    return tiled


def _raise(
    height: FloatArray,
    tint: FloatArray,
    x: float,
    y: float,
    radius: float,
    rng: np.random.Generator,
) -> None:
    crown = sprite_of(radius, int(rng.integers(SPRITE_VARIANTS))) * np.float32(radius)
    half, size = crown.shape[0] // 2, height.shape[0]
    rows = (np.arange(-half, half + 1) + round(y)) % size
    cols = (np.arange(-half, half + 1) + round(x)) % size
    at = np.ix_(rows, cols)
    crown = crown + (crown > 0) * np.float32(radius * rng.uniform(0, 0.5))
    higher = crown > height[at]
    height[at] = np.where(higher, crown, height[at])
    tint[at] = np.where(higher, np.float32(rng.random()), tint[at])
