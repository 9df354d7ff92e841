"""Roofs, walls and what stands on roofs, drawn as polygons on a sheet of twice the resolution."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.light import Sun
from geochg.datasets.world.plan import Building, Part, Rgb, Roof
from geochg.datasets.world.shapes import flat

SCALE = 2

Points = NDArray[np.float64]


class Sheet:
    """Colour, coverage and height of the things that stand on the ground.

    Attributes:
        size_px: Side of the canvas.
        light: The sun.
    """

    def __init__(self, size_px: int, light: Sun) -> None:
        self.size_px, self.light = size_px, light
        side = (size_px * SCALE, size_px * SCALE)
        self._rgb, self._cover = Image.new("RGB", side), Image.new("L", side)
        self._height = Image.new("F", (size_px, size_px))
        self._draw = ImageDraw.Draw(self._rgb)
        self._draw_cover = ImageDraw.Draw(self._cover)
        self._draw_height = ImageDraw.Draw(self._height)

    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Colour times coverage `(size, size, 3)`, coverage and height `(size, size)` float32."""
        rgb = np.asarray(self._rgb.reduce(SCALE), np.float32) / np.float32(255)
        cover = np.asarray(self._cover.reduce(SCALE), np.float32) / np.float32(255)
        return rgb, cover, np.array(self._height, np.float32)

    def face(self, points: Points, rgb: Rgb, bright: float, height: float | None = None) -> None:
        """A polygon of one colour; it takes up height when one is given."""
        dots = flat(points, SCALE)
        self._draw.polygon(dots, fill=_ink(rgb, bright))
        self._draw_cover.polygon(dots, fill=255)
        if height is not None:
            self._draw_height.polygon(flat(points, 1), fill=height)

    def line(self, points: Points, rgb: Rgb, bright: float, width_px: float = 0.5) -> None:
        """A line on what is drawn already."""
        self._draw.line(
            flat(points, SCALE), fill=_ink(rgb, bright), width=max(round(width_px * SCALE), 1)
        )

    def building(self, one: Building) -> None:
        """All roofs of a building and its walls, where it can be seen."""
        main = one.parts[0]
        reach = main.length + main.width + main.height
        low, high = -reach, self.size_px + reach
        if not (low < main.x < high and low < main.y < high):
            return
        rng = np.random.default_rng(one.seed)
        for part in one.parts:
            self._walls(part)
        for part in one.parts:
            self._roof(part, rng)

    def _lift(self, points: Points, height: float) -> Points:
        return points + np.array((self.light.lean_x, self.light.lean_y)) * height

    def _walls(self, part: Part) -> None:
        if max(abs(self.light.lean_x), abs(self.light.lean_y)) * part.height < 0.5:
            return
        base = part.corners()
        top = self._lift(base, part.height)
        for start in range(len(base)):
            stop = (start + 1) % len(base)
            out = (base[start] + base[stop]) / 2 - np.array((part.x, part.y))
            out /= max(float(np.hypot(*out)), 1e-6)
            facing = out[0] * self.light.x + out[1] * self.light.y
            quad = np.stack((base[start], base[stop], top[stop], top[start]))
            wall = (0.6, 0.58, 0.55) if part.rgb[0] > 0.4 else (0.45, 0.44, 0.43)
            self.face(quad, wall, 0.75 + 0.35 * max(float(facing), -0.6))

    def _roof(self, part: Part, rng: np.random.Generator) -> None:
        corners = self._lift(part.corners(), part.height)
        flat_roof = part.roof in (Roof.FLAT, Roof.ROUND)
        self.face(corners, part.rgb, 1.0, part.height + 0.4 * part.rise)
        if flat_roof:
            self._flat_details(part, corners, rng)
            return
        for points, out, steep in self._faces(part, corners):
            bright = self.light.on_slope(float(out[0]), float(out[1]), steep)
            bright *= float(rng.normal(1, 0.02))
            self.face(points, part.rgb, bright)
            self._ribs(part, points, bright)
        self._chimney(part, rng)

    def _faces(self, part: Part, corners: Points) -> Iterable[tuple[Points, Points, float]]:
        """Outline, direction of fall and steepness of each face of a pitched roof."""
        along = np.array((np.cos(part.angle), np.sin(part.angle)))
        across = np.array((-along[1], along[0]))
        middle = self._lift(np.array((part.x, part.y)), part.height + part.rise)
        half, deep = part.length / 2, part.width / 2
        steep = part.rise / max(min(half, deep), 0.5)
        if part.roof is Roof.SHED:
            yield corners, across, steep * 0.5
            return
        inset = min(deep, half * 0.95) if part.roof is Roof.HIP else 0.0
        ridge = np.stack((middle + along * (half - inset), middle - along * (half - inset)))
        yield np.stack((corners[0], corners[3], ridge[1], ridge[0])), across, steep
        yield np.stack((corners[1], corners[2], ridge[1], ridge[0])), -across, steep
        if inset:
            yield np.stack((corners[0], corners[1], ridge[0])), along, steep
            yield np.stack((corners[2], corners[3], ridge[1])), -along, steep

    def _ribs(self, part: Part, face: Points, bright: float) -> None:
        """Seams of sheets from the eaves to the ridge, or courses of tiles."""
        if not part.ribs:
            return
        step = part.ribs * (1 if part.ribs * SCALE >= 3 else 3)
        if step * SCALE < 3 or len(face) != 4:
            return
        count = int(min(np.hypot(*(face[1] - face[0])) / step, 50))
        for share in (np.arange(1, count) / max(count, 1)).tolist():
            ends = np.stack(
                (face[0] + share * (face[1] - face[0]), face[3] + share * (face[2] - face[3]))
            )
            self.line(ends, part.rgb, bright * 0.92)

    def _chimney(self, part: Part, rng: np.random.Generator) -> None:
        size = part.width * 0.06
        if size * SCALE < 1.2 or rng.random() < 0.4:
            return
        at = np.array((part.x, part.y)) + part.length * rng.uniform(-0.3, 0.3) * np.array(
            (np.cos(part.angle), np.sin(part.angle))
        )
        self.face(self._box(part, at, size, size, part.height + part.rise), (0.55, 0.5, 0.47), 0.9)

    def _box(self, part: Part, at: Points, length: float, width: float, height: float) -> Points:
        along = np.array((np.cos(part.angle), np.sin(part.angle))) * length
        across = np.array((-np.sin(part.angle), np.cos(part.angle))) * width
        box = np.stack(
            (at + along + across, at + along - across, at - along - across, at - along + across)
        )
        return self._lift(box, height)

    def _flat_details(self, part: Part, corners: Points, rng: np.random.Generator) -> None:
        """Parapet, panels, machines and roof lights."""
        edge = float(rng.uniform(0.8, 1.2))
        if part.roof is not Roof.ROUND:
            self._ribs(part, corners[[0, 3, 2, 1]], 1.0)
        self.line(np.concatenate((corners, corners[:1])), part.rgb, edge, 0.7)
        count = int(rng.integers(0, 7)) if min(part.length, part.width) > 9 else 0
        along = np.array((np.cos(part.angle), np.sin(part.angle)))
        across = np.array((-along[1], along[0]))
        for _ in range(count):
            u, v = rng.uniform(-0.36, 0.36, 2)
            at = np.array((part.x, part.y)) + u * part.length * along + v * part.width * across
            length, width = rng.uniform(0.02, 0.08, 2) * min(part.length, part.width * 2)
            tone = float(rng.choice((0.45, 0.75, 0.9)))
            lifted = part.height * 1.1 if part.roof is Roof.FLAT else part.height
            shade = self._box(part, at, length, width, part.height)
            cast = np.array((-self.light.x, -self.light.y)) * max(length, width) * 0.5
            self.face(shade + cast, part.rgb, 0.6)
            self.face(self._box(part, at, length, width, lifted), (tone, tone, tone), 1.0)


def _ink(rgb: Rgb, bright: float) -> tuple[int, int, int]:
    red, green, blue = (min(max(round(255 * value * bright), 0), 255) for value in rgb)
    return red, green, blue


def outline(one: Building, light: Sun) -> list[Points]:
    """Polygons of a building's roofs as they appear under a date's lean."""
    lean = np.array((light.lean_x, light.lean_y))
    return [part.corners() + lean * part.height for part in one.parts]
