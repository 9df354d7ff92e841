"""Trees and woods at one date: heights, colours, coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geochg.datasets.world.climate import Season, colour
from geochg.datasets.world.ground import mixed
from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.light import Sun
from geochg.datasets.world.noise import PERIOD_PX, ROUGH, blobs, fractal
from geochg.datasets.world.plan import Plan, Rgb, Trees
from geochg.datasets.world.woods import CROWN_RADII_PX, canopy_tile, sprite_of

AUTUMN: Rgb = (0.6, 0.44, 0.2)
BRANCHES: Rgb = (0.43, 0.38, 0.33)


@dataclass(frozen=True, slots=True, eq=False)
class Canopy:
    """Crowns seen from above.

    Attributes:
        height: `(size, size)` float32 above ground, in pixels; 0 where there is no crown.
        rgb: `(size, size, 3)` float32 albedo before light.
        cover: `(size, size)` float32 share covered, 0-1.
        plants: `(size, size)` float32 share of green leaves.
    """

    height: FloatArray
    rgb: FloatArray
    cover: FloatArray
    plants: FloatArray

    def lit(self, light: Sun) -> FloatArray:
        """`(size, size)` brightness of the crowns under the sun."""
        fall_y, fall_x = np.gradient(self.height)
        tilt = -(fall_x * np.float32(light.x) + fall_y * np.float32(light.y))
        shading = np.float32(0.95) + np.float32(0.3 * (0.4 + light.shade)) * tilt
        bright: FloatArray = np.minimum(np.maximum(shading, np.float32(0.4)), np.float32(1.55))
        return bright


class Grower:
    """Draws crowns into one canopy."""

    def __init__(self, plan: Plan, season: Season) -> None:
        size = plan.frame.size_px
        self._plan, self._season = plan, season
        self._height = np.zeros((size, size), np.float32)
        self._owner = np.zeros((size, size), np.int16)
        self._colours: list[Rgb] = [(0.0, 0.0, 0.0)]
        self._leaves: list[float] = [0.0]

    def wood(self, cover: FloatArray, conifer: bool, rng: np.random.Generator) -> None:
        """A closed wood over a covered area."""
        size = self._height.shape[0]
        radius = self._plan.frame.px(
            float(rng.uniform(1.6, 2.6) if conifer else rng.uniform(2.2, 4.5))
        )
        ragged = cover + np.float32(0.25) * blobs(rng, size, max(radius * 2, 2))
        inside = (ragged > 0.5) & (cover > 0.04)
        first = len(self._colours)
        crown = colour(rng, self._plan.climate.crowns)
        if conifer:
            crown = mixed(crown, (0.13, 0.2, 0.15), 0.55)
        for tone in np.linspace(0.72, 1.25, 9):
            self._add(crown, np.full(3, tone) * rng.normal(1, 0.05, 3), conifer)
        row, col = (int(value) for value in rng.integers(0, PERIOD_PX, 2))
        at = (slice(row, row + size), slice(col, col + size))
        if radius < 1.2:
            height = np.float32(radius) * (1 + np.float32(0.5) * fractal(rng, size, ROUGH))
            tint = np.clip(fractal(rng, size, ROUGH) * np.float32(0.2) + np.float32(0.5), 0, 1)
        else:
            step = int(np.argmin(np.abs(np.log(np.array(CROWN_RADII_PX) / radius))))
            height, tint = (tile[at] for tile in canopy_tile(step))
        inside &= height > 0
        trunk = np.float32(radius * (1.2 if conifer else 0.8))
        self._height[inside] = (np.maximum(height, 0.1) + trunk)[inside]
        self._owner[inside] = (first + np.minimum(tint * 9, 8).astype(np.int16))[inside]

    def trees(
        self, trees: Trees, which: np.ndarray, growth: float, rng: np.random.Generator
    ) -> None:
        """The single trees that stand."""
        crown = colour(rng, self._plan.climate.crowns)
        size = self._height.shape[0]
        for index in np.flatnonzero(which).tolist():
            radius = float(trees.radius[index]) * growth
            sprite = sprite_of(radius, index)
            half = sprite.shape[0] // 2
            row, col = round(float(trees.y[index])) - half, round(float(trees.x[index])) - half
            rows = slice(max(row, 0), min(row + sprite.shape[0], size))
            cols = slice(max(col, 0), min(col + sprite.shape[0], size))
            if rows.stop <= rows.start or cols.stop <= cols.start:
                continue
            part = sprite[rows.start - row : rows.stop - row, cols.start - col : cols.stop - col]
            crest = part * np.float32(radius) + (part > 0) * np.float32(0.5 * radius)
            higher = crest > self._height[rows, cols]
            owner = self._add(crown, trees.tint[index], bool(trees.evergreen[index]))
            np.copyto(self._height[rows, cols], crest, where=higher)
            np.copyto(self._owner[rows, cols], np.int16(owner), where=higher)

    def _add(self, crown: Rgb, tint: np.ndarray, evergreen: bool) -> int:
        season = self._season
        red, green, blue = (min(c * float(t), 1.0) for c, t in zip(crown, tint, strict=True))
        rgb = (red, green, blue)
        leaf = 1.0 if evergreen else season.leaf
        if not evergreen:
            turned = min(season.autumn * (0.6 + 0.8 * (len(self._colours) % 5) / 4), 1.0)
            rgb = mixed(BRANCHES, mixed(rgb, AUTUMN, turned * 0.7), leaf)
        self._colours.append(rgb)
        self._leaves.append(leaf)
        return len(self._colours) - 1

    def grown(self) -> Canopy:
        """The canopy of all that was drawn."""
        owned = self._owner > 0
        leaf = np.array(self._leaves, np.float32)[self._owner]
        cover = owned * (np.float32(0.3) + np.float32(0.7) * leaf)
        rgb = np.array(self._colours, np.float32)[self._owner]
        return Canopy(self._height, rgb, cover, cover * leaf * np.float32(0.9))
