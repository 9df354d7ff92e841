"""Buildings of all sorts, and where they find room."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.world.climate import ROOFS, Climate, colour
from geochg.datasets.world.plan import Building, Frame, Part, Rgb, Road, Roof

Indices = NDArray[np.int64]

LONG_ROOFS = {
    "metal": 3.0,
    "white": 2.5,
    "gravel": 3.0,
    "blue": 1.2,
    "green": 0.5,
    "beige": 0.8,
    "dark": 0.8,
    "rust": 0.6,
    "red": 0.4,
}
"""Roof materials of halls and stores, by weight."""

SHINGLES = {"shingle": 6.0, "brown": 3.0, "dark": 2.0, "gravel": 1.0, "tile": 0.8, "beige": 0.5}
"""Roof materials of detached houses in suburbs, by weight."""

STORE_ROOFS = {"white": 5.0, "gravel": 3.0, "metal": 2.0, "beige": 1.0, "dark": 0.5}
"""Roof materials of large stores, by weight."""


class Style:
    """What the buildings of one neighbourhood share: material, height, shape, size.

    Attributes:
        frame: The canvas.
        climate: Palette.
    """

    def __init__(
        self, rng: np.random.Generator, frame: Frame, climate: Climate, suburban: bool = False
    ) -> None:
        self.frame, self.climate = frame, climate
        choices = SHINGLES if suburban and rng.random() < 0.7 else climate.roofs
        weights = np.array(list(choices.values()))
        names = list(choices)
        self._materials = [
            names[int(i)]
            for i in rng.choice(len(names), int(rng.integers(1, 4)), p=weights / weights.sum())
        ]
        self._size_m = float(np.exp(rng.normal(np.log(11), 0.25)))
        self._flat = float(rng.choice((0.05, 0.2, 0.9), p=(0.5, 0.3, 0.2)))
        self._flat = 0.02 if suburban else self._flat
        self._storeys = float(rng.choice((1, 1.4, 2.2)))

    def house(
        self,
        rng: np.random.Generator,
        x: float,
        y: float,
        angle: float,
        size_px: tuple[float, float] | None = None,
    ) -> Building:
        """A dwelling of one to three roofs with its ridge along a direction.

        Its main roof is `size_px` long and wide, or as the style has it.
        """
        material = self._materials[int(rng.integers(len(self._materials)))]
        rgb = colour(rng, ROOFS[material])
        length = self.frame.px(self._size_m * float(rng.uniform(0.9, 1.5)))
        width = self.frame.px(self._size_m * float(rng.uniform(0.65, 1.0)))
        length, width = size_px or (length, width)
        low = self.frame.px(2.7 * max(1.0, self._storeys * float(rng.uniform(0.7, 1.2))))
        roof = (
            Roof.FLAT
            if rng.random() < self._flat
            else (Roof.HIP if rng.random() < 0.5 else Roof.GABLE)
        )
        if material in ("metal", "rust") and rng.random() < 0.3:
            roof = Roof.SHED
        parts = [self._part(x, y, length, width, angle, low, roof, rgb, material)]
        parts += self._wings(rng, parts[0], material)
        noun = "house" if rng.random() < 0.7 else "building"
        return Building(tuple(parts), noun, int(rng.integers(2**31)))

    def _wings(self, rng: np.random.Generator, main: Part, material: str) -> list[Part]:
        """Up to two smaller roofs at right angles, for L, T and cross shapes."""
        wings = []
        for _ in range(int(np.searchsorted((0.45, 0.85), rng.random()))):
            slide = float(rng.uniform(-0.32, 0.32)) * main.length
            out = (1.0 if rng.random() < 0.5 else -1.0) * main.width * float(rng.uniform(0.25, 0.6))
            cosine, sine = np.cos(main.angle), np.sin(main.angle)
            wings.append(
                self._part(
                    main.x + slide * cosine - out * sine,
                    main.y + slide * sine + out * cosine,
                    main.width * float(rng.uniform(0.7, 1.1)),
                    main.length * float(rng.uniform(0.3, 0.5)),
                    main.angle + np.pi / 2,
                    main.height * float(rng.uniform(0.75, 1.0)),
                    main.roof,
                    main.rgb,
                    material,
                )
            )
        return wings

    def _part(
        self,
        x: float,
        y: float,
        length: float,
        width: float,
        angle: float,
        height: float,
        roof: Roof,
        rgb: Rgb,
        material: str,
    ) -> Part:
        rise = 0.0 if roof is Roof.FLAT else 0.28 * min(length, width)
        ribs = self.frame.px(
            {"tile": 0.35, "metal": 0.9, "rust": 0.8, "blue": 0.9}.get(material, 0.0)
        )
        return Part(x, y, length, width, angle, height, rise, roof, rgb, ribs)


def hall(
    rng: np.random.Generator,
    frame: Frame,
    x: float,
    y: float,
    angle: float,
    length_m: float,
    width_m: float,
    noun: str = "building",
    roofs: Mapping[str, float] = LONG_ROOFS,
) -> Building:
    """A large building: a store, a factory, a barn."""
    names, weights = list(roofs), np.array(list(roofs.values()))
    material = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    rgb = colour(rng, ROOFS[material])
    roof = Roof.FLAT if rng.random() < 0.65 else Roof.GABLE
    height = frame.px(float(rng.uniform(5, 12)))
    length, width = frame.px(length_m), frame.px(width_m)
    rise = 0.0 if roof is Roof.FLAT else min(length, width) * 0.08
    ribs = frame.px(float(rng.uniform(1, 6))) if rng.random() < 0.6 else 0.0
    parts = [Part(x, y, length, width, angle, height, rise, roof, rgb, ribs)]
    if rng.random() < 0.45:
        out, slide = (width * 0.5, length * float(rng.uniform(-0.3, 0.3)))
        cosine, sine = np.cos(angle), np.sin(angle)
        rgb2 = rgb if rng.random() < 0.6 else colour(rng, ROOFS["gravel"])
        parts.insert(
            0,
            Part(
                x + slide * cosine - out * sine,
                y + slide * sine + out * cosine,
                length * float(rng.uniform(0.25, 0.5)),
                width * float(rng.uniform(0.3, 0.9)),
                angle,
                height * 0.7,
                rise * 0.5,
                roof,
                rgb2,
                ribs,
            ),
        )
    return Building(tuple(parts), noun, int(rng.integers(2**31)))


def block(
    rng: np.random.Generator,
    frame: Frame,
    x: float,
    y: float,
    angle: float,
    length_m: float,
    storeys: float,
) -> Building:
    """A block of flats: a slab, an L or a U with flat or hipped roofs."""
    rgb = colour(rng, ROOFS[str(rng.choice(("gravel", "beige", "white", "tile", "dark")))])
    depth = frame.px(float(rng.uniform(11, 16)))
    length, height = frame.px(length_m), frame.px(3.0 * storeys)
    roof = Roof.FLAT if rng.random() < 0.75 else Roof.HIP
    rise = 0.0 if roof is Roof.FLAT else 0.2 * depth
    parts = [Part(x, y, length, depth, angle, height, rise, roof, rgb, 0.0)]
    cosine, sine = np.cos(angle), np.sin(angle)
    for end in (-1, 1)[: int(rng.choice((0, 1, 2), p=(0.6, 0.25, 0.15)))]:
        along, out = end * (length - depth) / 2, length * 0.25
        parts.append(
            Part(
                x + along * cosine - out * sine,
                y + along * sine + out * cosine,
                length * 0.5 + depth,
                depth,
                angle + np.pi / 2,
                height,
                rise,
                roof,
                rgb,
                0.0,
            )
        )
    return Building(tuple(parts), "building", int(rng.integers(2**31)))


def tank(rng: np.random.Generator, frame: Frame, x: float, y: float) -> Building:
    """A round tank."""
    rgb = colour(rng, ROOFS[str(rng.choice(("white", "metal", "gravel")))])
    across = frame.px(float(rng.uniform(8, 40)))
    part = Part(x, y, across, across, 0.0, frame.px(8), 0.0, Roof.ROUND, rgb, 0.0)
    return Building((part,), "tank", int(rng.integers(2**31)))


class Room:
    """Which ground is taken, so that buildings stand neither on roads nor in one another."""

    def __init__(self, size_px: int, taken: NDArray[np.float32] | None = None) -> None:
        self.size_px = size_px
        self._taken = np.zeros((size_px, size_px), bool) if taken is None else taken > 0.3

    def place(self, building: Building, gap_px: float = 1.0) -> bool:
        """Takes the ground of a building if it is free, and says whether it was."""
        for part in building.parts:
            rows, cols = self._pixels(part, gap_px, 6)
            if not len(rows) or self._taken[rows, cols].any():
                return False
        for part in building.parts:
            self._taken[self._pixels(part, 0.0, max(part.length, part.width) * 1.4)] = True
        return True

    def _pixels(self, part: Part, grow_px: float, steps: float) -> tuple[Indices, Indices]:
        """Rows and columns of a lattice over a part, as far as they lie on the canvas."""
        share = _lattice(int(min(max(steps, 4), 60)))
        u = share[:, 0] * (part.length + 2 * grow_px)
        v = share[:, 1] * (part.width + 2 * grow_px)
        cosine, sine = math.cos(part.angle), math.sin(part.angle)
        cols = (part.x + u * cosine - v * sine).astype(np.int64)
        rows = (part.y + u * sine + v * cosine).astype(np.int64)
        inside = (cols >= 0) & (cols < self.size_px) & (rows >= 0) & (rows < self.size_px)
        return rows[inside], cols[inside]


@cache
def _lattice(steps: int) -> NDArray[np.float64]:
    """`(steps ** 2, 2)` places over the unit square round the origin."""
    line = np.linspace(-0.5, 0.5, steps)
    return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)


def stands_on(cover: NDArray[np.float32], one: Building) -> bool:
    """Whether the nearest pixel to a building's centre is covered."""
    return covers(cover, *one.centre)


def covers(cover: NDArray[np.float32], x: float, y: float) -> bool:
    """Whether the nearest pixel to a place is covered."""
    row, col = (int(min(max(v, 0), cover.shape[0] - 1)) for v in (y, x))
    return bool(cover[row, col] > 0.5)


def along_roads(
    rng: np.random.Generator,
    style: Style,
    roads: Iterable[Road],
    room: Room,
    lot_m: float,
    filled: float,
) -> list[Building]:
    """Houses on both sides of roads, at the distance of a lot, facing the road."""
    frame, houses = style.frame, list[Building]()
    setback = frame.px(float(rng.uniform(9, 16)))
    turned = np.pi / 2 if rng.random() < 0.35 else 0.0
    stray = float(rng.choice((0.03, 0.1, 0.4)))
    for one in roads:
        for (x, y), angle in stations(one, frame.px(lot_m), frame.size_px):
            for side in (-1, 1):
                if rng.random() > filled:
                    continue
                out = side * (one.width / 2 + setback * float(rng.uniform(0.85, 1.25)))
                turn = angle + turned + float(rng.normal(0, stray))
                house = style.house(rng, x - out * np.sin(angle), y + out * np.cos(angle), turn)
                if room.place(house, frame.px(1.2)):
                    houses.append(house)
    return houses


def stations(
    one: Road, step_px: float, size_px: int
) -> Iterable[tuple[tuple[float, float], float]]:
    """Places on the canvas along a road, a step apart, with its direction there."""
    steps = np.hypot(*np.diff(one.points, axis=0).T)
    place = np.concatenate(([0.0], np.cumsum(steps)))
    wanted = np.arange(step_px / 2, place[-1], max(step_px, 2.0))
    x, y = (np.interp(wanted, place, one.points[:, axis]) for axis in (0, 1))
    ways = np.diff(one.points, axis=0)[np.searchsorted(place, wanted, "right") - 1]
    near = (abs(x - size_px / 2) < size_px * 0.6) & (abs(y - size_px / 2) < size_px * 0.6)
    angles = np.arctan2(ways[:, 1], ways[:, 0])
    for px, py, angle in zip(x[near], y[near], angles[near], strict=True):
        yield (float(px), float(py)), float(angle)


def scattered(
    rng: np.random.Generator,
    style: Style,
    room: Room,
    count: int,
    angle: float,
    jitter: float,
    within: NDArray[np.float32] | None = None,
) -> list[Building]:
    """Houses strewn about where there is room, and where `within` is covered if it is given."""
    houses = list[Building]()
    for x, y in rng.uniform(0, style.frame.size_px, (count * 2, 2)):
        if len(houses) == count:
            break
        if within is not None and within[int(y), int(x)] < 0.5:
            continue
        turn = angle + float(rng.normal(0, jitter)) + (np.pi / 2) * int(rng.integers(2))
        house = style.house(rng, float(x), float(y), turn)
        if room.place(house, style.frame.px(0.6)):
            houses.append(house)
    return houses


def grid(
    rng: np.random.Generator,
    frame: Frame,
    room: Room,
    angle: float,
    step_m: tuple[float, float],
    make: Sequence[str],
    filled: float,
    within: NDArray[np.float32] | None = None,
    storeys: float | None = None,
) -> list[Building]:
    """Large buildings on a regular grid: estates of blocks, of halls, of tanks.

    They stand where `within` is covered if it is given; `storeys` are drawn if they are not.
    """
    step = (max(frame.px(step_m[0]), 4), max(frame.px(step_m[1]), 4))
    reach = frame.size_px * 0.72
    built = list[Building]()
    kind = str(rng.choice(make))
    length_m = step_m[0] * float(rng.uniform(0.55, 0.8))
    storeys = storeys or float(rng.choice((3, 5, 8, 16), p=(0.4, 0.3, 0.2, 0.1)))
    for u in np.arange(-reach + float(rng.uniform(0, step[0])), reach, step[0]):
        for v in np.arange(-reach + float(rng.uniform(0, step[1])), reach, step[1]):
            x = frame.size_px / 2 + u * np.cos(angle) - v * np.sin(angle)
            y = frame.size_px / 2 + u * np.sin(angle) + v * np.cos(angle)
            outside = not (-20 < x < frame.size_px + 20 and -20 < y < frame.size_px + 20)
            if outside or rng.random() > filled:
                continue
            if within is not None and not covers(within, float(x), float(y)):
                continue
            if kind == "block":
                one = block(
                    rng,
                    frame,
                    x,
                    y,
                    angle,
                    length_m * float(rng.uniform(0.8, 1.1)),
                    storeys * float(rng.uniform(0.9, 1.1)),
                )
            elif kind == "tank":
                one = tank(rng, frame, x, y)
            else:
                one = hall(
                    rng,
                    frame,
                    x,
                    y,
                    angle,
                    length_m * float(rng.uniform(0.6, 1.1)),
                    step_m[1] * float(rng.uniform(0.4, 0.75)),
                )
            if room.place(one, frame.px(2)):
                built.append(one)
    return built
