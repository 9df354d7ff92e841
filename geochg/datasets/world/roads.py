"""Networks of roads."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from geochg.datasets.world.climate import SURFACES, Climate, colour
from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.plan import Building, Frame, Plan, Rgb, Road
from geochg.datasets.world.shapes import curve, stroke

DRIVE = 1000
"""Line number of drives, which tells them from streets; they start within their house."""


def surface(rng: np.random.Generator, climate: Climate, soil: Rgb, paved: float) -> tuple[str, Rgb]:
    """A road's surface and its albedo.

    Args:
        rng: Draws them.
        climate: Palette.
        soil: Albedo of bare ground, which tracks have.
        paved: Chance of a paved road.
    """
    if rng.random() >= paved:
        red, green, blue = (min(value * float(rng.uniform(1.0, 1.2)), 1.0) for value in soil)
        return "track", (red, green, blue)
    name = str(rng.choice(list(SURFACES), p=(0.72, 0.2, 0.08)))
    return name, colour(rng, SURFACES[name])


def road(
    rng: np.random.Generator,
    frame: Frame,
    climate: Climate,
    soil: Rgb,
    points: NDArray[np.float64],
    width_m: tuple[float, float],
    paved: float = 0.85,
    line: int = 0,
) -> Road:
    """A road along points, as wide as drawn from a range in metres."""
    name, rgb = surface(rng, climate, soil, paved)
    width = max(frame.px(float(rng.uniform(*width_m))), 0.8)
    lined = name == "asphalt" and width * frame.gsd_m > 6 and rng.random() < 0.6
    return Road(points, width, name, rgb, bool(lined), line=line)


def winding(
    rng: np.random.Generator,
    frame: Frame,
    climate: Climate,
    soil: Rgb,
    spacing_m: float,
    bend: float,
    paved: float,
    angle: float | None = None,
) -> list[Road]:
    """Curved roads side by side with some that cross them.

    Args:
        rng: Draws them.
        frame: The canvas.
        climate: Palette.
        soil: Albedo of bare ground.
        spacing_m: Distance of neighbouring roads.
        bend: Deviation of the bends, as a share of the spacing.
        paved: Chance of a paved network.
        angle: Direction of the roads side by side; drawn if it is not given.
    """
    angle = float(rng.uniform(0, np.pi)) if angle is None else angle
    spacing = max(frame.px(spacing_m), 6)
    first = float(rng.uniform(0, spacing))
    offsets = np.arange(first - frame.size_px * 0.75, frame.size_px * 0.75, spacing)
    middle = frame.size_px / 2
    base = curve(rng, frame, (middle, middle), angle, bend * spacing)
    name, rgb = surface(rng, climate, soil, paved)
    width = max(frame.px(float(rng.uniform(4.5, 9))), 0.8)
    side = np.array((-np.sin(angle), np.cos(angle)))
    roads = [
        Road(base + side * offset, width, name, rgb, line=number)
        for number, offset in enumerate(offsets)
    ]
    crossing = spacing * float(rng.uniform(1.5, 4))
    for offset in np.arange(float(rng.uniform(-crossing, 0)) - middle, middle, crossing):
        through = (middle + offset * np.cos(angle), middle + offset * np.sin(angle))
        line = curve(rng, frame, through, angle + np.pi / 2, bend * spacing * 0.4)
        roads.append(Road(line, width * 1.15, name, rgb, line=len(roads)))
    return [replace(r, lined=name == "asphalt" and bool(rng.random() < 0.3)) for r in roads]


def cover(roads: tuple[Road, ...] | list[Road], size_px: int, grow_px: float = 0.0) -> FloatArray:
    """Coverage 0-1 of roads, each widened by `grow_px` on both sides."""
    sheet = Image.new("L", (size_px * 2, size_px * 2))
    draw = ImageDraw.Draw(sheet)
    for one in roads:
        stroke(draw, one.points, one.width + 2 * grow_px, 255)
    return np.asarray(sheet.reduce(2), np.float32) / np.float32(255)


def trimmed(one: Road, start: float, stop: float) -> Road:
    """The part of a road between two shares of its length."""
    steps = np.hypot(*np.diff(one.points, axis=0).T)
    place = np.concatenate(([0.0], np.cumsum(steps)))
    wanted = np.linspace(start, stop, 40) * place[-1]
    points = np.stack([np.interp(wanted, place, one.points[:, axis]) for axis in (0, 1)], -1)
    return replace(one, points=points)


def split(one: Road, zone: FloatArray) -> list[Road]:
    """A road cut where it enters or leaves the zone; its pieces within are new."""
    top = zone.shape[0] - 1
    index = np.clip(np.round(one.points), 0, top).astype(int)
    inside = zone[index[:, 1], index[:, 0]] > 0.5
    cuts = np.flatnonzero(np.diff(inside.astype(np.int8))) + 1
    pieces = []
    for start, stop in zip((0, *cuts), (*cuts, len(inside)), strict=True):
        points = one.points[max(start - 1, 0) : stop]
        if len(points) > 1:
            pieces.append(replace(one, points=points, before=not inside[start]))
    return sorted(pieces, key=lambda piece: piece.before)


def drives(plan: Plan) -> tuple[Road, ...]:
    """The roads of a plan, with drives that are there when their houses are, or else left out."""
    if not any(one.line == DRIVE for one in plan.roads):
        return plan.roads
    found = [_of_house(one, plan.buildings) if one.line == DRIVE else one for one in plan.roads]
    return tuple(one for one in found if one is not None)


def _of_house(drive: Road, buildings: tuple[Building, ...]) -> Road | None:
    """A drive at the dates of the house that it starts in; None where there is none."""
    x, y = drive.points[0].tolist()
    for house in buildings:
        main = house.parts[0]
        if math.hypot(x - main.x, y - main.y) < main.length * 0.4:
            return replace(
                drive,
                before=drive.before and house.before,
                after=drive.after and (house.after or house.altered),
            )
    return None
