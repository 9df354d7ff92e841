"""What stands where at the two dates: the ground truth that pictures and masks are drawn from.

Coordinates are pixels of the canvas, which is the picture with `MARGIN_PX` more on every side; x
runs along columns and y along rows. Angles are in radians, heights in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.world.climate import Climate
from geochg.datasets.world.kinds import ByteArray, FloatArray, Mark

MARGIN_PX = 16
"""How far the canvas reaches past the picture, so that shifts and turns show no edge."""

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """The canvas: its side in pixels, the ground size of a pixel, and the picture's side."""

    size_px: int
    gsd_m: float

    @property
    def picture_px(self) -> int:
        """Side of the picture."""
        return self.size_px - 2 * MARGIN_PX

    def px(self, metres: float) -> float:
        """A length on the ground in pixels."""
        return metres / self.gsd_m


class Roof(StrEnum):
    """Shape of a roof."""

    FLAT = "flat"
    GABLE = "gable"
    HIP = "hip"
    SHED = "shed"
    ROUND = "round"


@dataclass(frozen=True, slots=True)
class Part:
    """One roof over a rectangle (or a circle of diameter `length`).

    Attributes:
        x: Centre column.
        y: Centre row.
        length: Along the ridge.
        width: Across the ridge.
        angle: Of the ridge from the x axis.
        height: Of the eaves above ground.
        rise: Of the ridge above the eaves.
        roof: Shape.
        rgb: Albedo of the roof.
        ribs: Distance of sheet or tile rows across the slope; 0 for none.
    """

    x: float
    y: float
    length: float
    width: float
    angle: float
    height: float
    rise: float
    roof: Roof
    rgb: Rgb
    ribs: float

    def corners(self) -> NDArray[np.float64]:
        """`(4, 2)` corners of the footprint; its bounding polygon for circles: `(16, 2)`."""
        if self.roof is Roof.ROUND:
            turn = np.linspace(0, 2 * np.pi, 17)[:-1]
            return np.array((self.x, self.y)) + self.length / 2 * np.stack(
                (np.cos(turn), np.sin(turn)), -1
            )
        ax, ay = math.cos(self.angle) * self.length / 2, math.sin(self.angle) * self.length / 2
        bx, by = -math.sin(self.angle) * self.width / 2, math.cos(self.angle) * self.width / 2
        return np.array(
            (
                (self.x + ax + bx, self.y + ay + by),
                (self.x + ax - bx, self.y + ay - by),
                (self.x - ax - bx, self.y - ay - by),
                (self.x - ax + bx, self.y - ay + by),
            )
        )


@dataclass(frozen=True, slots=True)
class Building:
    """Roofs that belong together, and when they stand.

    Attributes:
        parts: The roofs; lower ones first.
        noun: What it is called in captions.
        before: Whether it stands at the first date.
        after: Whether it stands at the second date.
        altered: Whether its coming or going is half of a replacement.
        seed: Fixes its details, which stay the same at both dates.
    """

    parts: tuple[Part, ...]
    noun: str
    seed: int
    before: bool = True
    after: bool = True
    altered: bool = False

    @property
    def centre(self) -> tuple[float, float]:
        """Column and row of the first part's centre."""
        return self.parts[0].x, self.parts[0].y

    @property
    def radius(self) -> float:
        """Distance from the centre that covers the first part."""
        return float(np.hypot(self.parts[0].length, self.parts[0].width)) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Road:
    """A road along a line.

    Attributes:
        points: `(n, 2)` float64 x and y.
        width: In pixels.
        surface: `asphalt`, `concrete`, `gravel` or `track`.
        rgb: Albedo.
        lined: Whether lane markings are painted.
        before: Whether it is there at the first date.
        after: Whether it is there at the second date.
        old_width: Its width at the first date where it was widened; else None.
        line: Number of the road it is part of; parts meet and count as one.
    """

    points: NDArray[np.float64]
    width: float
    surface: str
    rgb: Rgb
    lined: bool = False
    before: bool = True
    after: bool = True
    old_width: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Parcels:
    """The ground cut into pieces, each of one kind at each date.

    Attributes:
        labels: `(size, size)` uint8 number of the piece.
        before: Kind of each piece at the first date.
        after: Kind of each piece at the second date.
        angles: `(n,)` direction of plant rows.
        border: Strength of the line between pieces, 0-1.
        looks: For each date the piece whose look each piece shares, so that ground that is one
            piece at one date can be several at the other; None where each has its own.
    """

    labels: ByteArray
    before: tuple[str, ...]
    after: tuple[str, ...]
    angles: NDArray[np.float64]
    border: float
    looks: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def seen(self, after: bool) -> tuple[ByteArray, tuple[str, ...]]:
        """The pieces that can be told apart at a date, and the kinds of all."""
        kinds = self.after if after else self.before
        if self.looks is None:
            return self.labels, kinds
        return np.array(self.looks[int(after)], np.uint8)[self.labels], kinds

    def changed(self, number: int, before: str | None, after: str | None) -> Parcels:
        """The same with one piece of another kind at one date or both."""
        old, new = list(self.before), list(self.after)
        old[number] = before or old[number]
        new[number] = after or new[number]
        return replace(self, before=tuple(old), after=tuple(new))


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A piece of ground laid over the parcels.

    Attributes:
        cover: `(size, size)` float32 share of the pixel that it covers, 0-1.
        before: Kind at the first date; None where the ground below shows.
        after: Kind at the second date.
        mark: The change it is; None to leave it to what lies below and above.
    """

    cover: FloatArray
    before: str | None
    after: str | None
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Single trees, one row a tree.

    Attributes:
        x: `(n,)` column.
        y: `(n,)` row.
        radius: `(n,)` of the crown, in pixels.
        tint: `(n, 3)` factor on the climate's crown colour.
        evergreen: `(n,)` bool.
        before: `(n,)` bool whether it stands at the first date.
        after: `(n,)` bool whether it stands at the second date.
        marked: `(n,)` bool whether its coming or going counts as change.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius: NDArray[np.float64]
    tint: NDArray[np.float32]
    evergreen: NDArray[np.bool_]
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    marked: NDArray[np.bool_]

    def joined(self, other: Trees) -> Trees:
        """These and the others."""
        return Trees(
            *(
                np.concatenate((getattr(self, name), getattr(other, name)))
                for name in self.__slots__
            )
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, for captions.

    Attributes:
        name: Name of the event in `events.EVENTS`.
        noun: What it is about, in the singular.
        before: What was there, in words; empty where it is not told.
        setting: `road`, `field`, `wood`, `water`, `open`, `town`: what it lies next to.
    """

    name: str
    noun: str
    before: str = ""
    setting: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything on the canvas.

    Attributes:
        frame: The canvas.
        climate: Palette.
        setting: Name of the layout it came from.
        angle: Main direction of roads and buildings.
        soil: Albedo of bare ground here.
        parcels: The ground.
        areas: What lies over it, bottom first.
        roads: Bottom first.
        buildings: Bottom first.
        trees: Single trees.
        events: What happened between the dates.
    """

    frame: Frame
    climate: Climate
    setting: str
    angle: float
    soil: Rgb
    parcels: Parcels
    areas: tuple[Area, ...] = ()
    roads: tuple[Road, ...] = ()
    buildings: tuple[Building, ...] = ()
    trees: Trees = field(default_factory=lambda: no_trees())
    events: tuple[Event, ...] = ()


def no_trees() -> Trees:
    """Trees without a tree."""
    return planted(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3)), np.zeros(0, bool))


def planted(
    places: NDArray[np.float64],
    radius: NDArray[np.float64],
    tint: NDArray[np.float64],
    evergreen: NDArray[np.bool_],
) -> Trees:
    """Trees that stand at both dates; `places` is `(n, 2)` x and y."""
    always = np.ones(len(places), bool)
    return Trees(
        x=places[:, 0],
        y=places[:, 1],
        radius=radius,
        tint=tint.astype(np.float32),
        evergreen=evergreen,
        before=always,
        after=always.copy(),
        marked=~always,
    )


def backwards(plan: Plan) -> Plan:
    """The plan with its dates exchanged; marks of areas turn round as well."""
    old = plan.parcels
    looks = None if old.looks is None else (old.looks[1], old.looks[0])
    parcels = replace(old, before=old.after, after=old.before, looks=looks)
    return replace(
        plan,
        parcels=parcels,
        areas=tuple(
            replace(a, before=a.after, after=a.before, mark=_turned(a.mark)) for a in plan.areas
        ),
        roads=tuple(
            replace(r, before=r.after, after=r.before) for r in plan.roads if r.old_width is None
        ),
        buildings=tuple(replace(b, before=b.after, after=b.before) for b in plan.buildings),
        trees=replace(plan.trees, before=plan.trees.after, after=plan.trees.before),
        events=tuple(replace(event, name=f"undo_{event.name}") for event in plan.events),
    )


def _turned(mark: Mark | None) -> Mark | None:
    return mark if mark is None else Mark(mark.class_index, (0, 2, 1, 3)[mark.direction_index])
