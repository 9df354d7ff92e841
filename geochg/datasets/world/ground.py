"""The colours of the ground at one date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.world.climate import SURFACES, Season, colour
from geochg.datasets.world.kinds import ByteArray, FloatArray
from geochg.datasets.world.noise import GRAIN, LANDSCAPE, ROUGH, blobs, fractal
from geochg.datasets.world.parcels import edges
from geochg.datasets.world.plan import Area, Frame, Parcels, Plan, Rgb
from geochg.datasets.world.shapes import coordinates

PLANTS = {
    "crop": 1.0,
    "paddy": 0.8,
    "grass": 0.8,
    "lawn": 1.0,
    "scrub": 0.6,
    "forest": 0.5,
    "conifer": 0.5,
    "orchard": 0.6,
}
"""How far plants cover each kind of ground, for the near infrared; others have none."""

_FINE = {
    "crop": 0.035,
    "lawn": 0.05,
    "grass": 0.06,
    "scrub": 0.13,
    "soil": 0.06,
    "desert": 0.05,
    "rock": 0.12,
    "groundwork": 0.08,
    "quarry": 0.12,
    "rubble": 0.16,
    "clearing": 0.12,
    "burnt": 0.12,
    "paved": 0.05,
    "concrete": 0.05,
    "water": 0.008,
    "town": 0.1,
    "dense": 0.12,
    "sparse": 0.1,
    "tarmac": 0.06,
    "slab": 0.03,
    "paddy": 0.03,
    "forest": 0.1,
    "conifer": 0.1,
    "orchard": 0.07,
}
_PATCHY = {
    "grass": 0.7,
    "scrub": 1.0,
    "soil": 0.6,
    "crop": 0.45,
    "desert": 0.5,
    "rock": 0.8,
    "groundwork": 0.9,
    "quarry": 0.9,
    "clearing": 0.9,
    "burnt": 0.9,
    "lawn": 0.55,
    "paved": 0.5,
    "concrete": 0.5,
    "tarmac": 0.4,
    "rubble": 0.7,
    "water": 0.3,
}


@dataclass(frozen=True, slots=True)
class Swatch:
    """How one kind of ground looks: two colours mixed in patches, grain, plant rows.

    Attributes:
        base: Main colour.
        other: Colour of the patches.
        fine: Deviation of the grain.
        rows: Strength of plant rows, 0-1.
        row_px: Their distance in pixels.
        plants: Share covered by green plants, for the near infrared.
    """

    base: Rgb
    other: Rgb
    fine: float
    rows: float = 0.0
    row_px: float = 10.0
    plants: float = 0.0


class Paints:
    """Swatches for all kinds of ground at one date.

    The stable part of a colour is drawn by `lasting`, which both dates seed alike; what the season
    and the farmer do by `passing`, which each date seeds for itself.
    """

    def __init__(self, plan: Plan, season: Season) -> None:
        self.frame, self.climate, self.season = plan.frame, plan.climate, season
        self.soil = plan.soil

    def swatch(
        self, kind: str, lasting: np.random.Generator, passing: np.random.Generator
    ) -> Swatch:
        """The look of one piece of ground."""
        if kind in ("crop", "paddy"):
            return self._crop(kind, passing)
        base, other = self._colours(kind, lasting, passing)
        plants = PLANTS.get(kind, 0.0) * self.season.green
        fine = _FINE[kind] * float(lasting.uniform(0.6, 1.4))
        worked = kind == "clearing" and lasting.random() < 0.4
        return Swatch(base, other, fine, 0.5 if worked else 0.0, self.frame.px(4), plants)

    def _colours(
        self, kind: str, lasting: np.random.Generator, passing: np.random.Generator
    ) -> tuple[Rgb, Rgb]:
        climate, soil = self.climate, _scaled(self.soil, 1 - 0.3 * self.season.wet)
        jitter = float(lasting.normal(1, 0.06))
        if kind in ("grass", "lawn", "scrub", "clearing", "orchard"):
            return self._low(kind, lasting, passing)
        if kind in ("forest", "conifer"):
            floor = mixed(colour(lasting, climate.crowns), soil, 0.25)
            return _scaled(floor, 0.75), _scaled(floor, 0.6)
        if kind == "water":
            water = colour(lasting, climate.waters)
            return mixed(water, colour(passing, climate.waters), 0.5), _scaled(water, 0.9)
        if kind in ("paved", "concrete", "slab"):
            name = "asphalt" if kind == "paved" and lasting.random() < 0.7 else "concrete"
            base = colour(lasting, SURFACES[name])
            return base, mixed(_scaled(base, 0.85), soil, 0.2)
        if kind == "burnt":
            char = float(lasting.uniform(0.1, 0.24))
            return (char * 1.1, char, char * 0.95), mixed((char, char, char), soil, 0.35)
        if kind in ("groundwork", "quarry", "rubble"):
            fresh = _scaled(mixed(soil, (0.8, 0.74, 0.66), float(lasting.uniform(0, 0.7))), 1.08)
            return _scaled(fresh, jitter), _scaled(mixed(fresh, soil, 0.6), 0.82)
        if kind == "rock":
            grey = float(lasting.uniform(0.4, 0.65))
            return (grey, grey * 0.97, grey * 0.92), soil
        if kind in ("town", "dense"):
            return mixed(soil, colour(lasting, SURFACES["asphalt"]), 0.6), soil
        if kind == "sparse" and climate.tree_cover > 0.5:
            base, other = self._low("grass", lasting, passing)
            return mixed(base, soil, float(lasting.uniform(0.1, 0.6))), other
        if kind == "tarmac":
            base = _scaled(colour(lasting, SURFACES["asphalt"]), float(lasting.uniform(0.35, 0.8)))
            return base, mixed(base, soil, 0.15)
        return _scaled(soil, jitter), _scaled(mixed(soil, self._green(passing), 0.25), 0.85)

    def _low(
        self, kind: str, lasting: np.random.Generator, passing: np.random.Generator
    ) -> tuple[Rgb, Rgb]:
        lush, dry = colour(lasting, self.climate.lush), colour(lasting, self.climate.dry)
        # Lawns and golf courses are watered or left to dry, whatever the season.
        green = self.season.green + float(passing.normal(0, 0.25 if kind == "lawn" else 0.08))
        green += 0.3 if kind == "lawn" else 0.0
        share = min(max(green, 0.0), 1.0)
        soil = self.soil
        base = mixed(dry, lush, share)
        if kind == "clearing":
            return mixed(base, soil, 0.6), _scaled(mixed(base, soil, 0.3), 0.75)
        return base, mixed(mixed(dry, lush, share * 0.5), soil, 0.5 if kind == "scrub" else 0.25)

    def _green(self, passing: np.random.Generator) -> Rgb:
        lush, dry = colour(passing, self.climate.lush), colour(passing, self.climate.dry)
        return mixed(dry, lush, self.season.green)

    def _crop(self, kind: str, passing: np.random.Generator) -> Swatch:
        """A field at a stage of its own: ploughed, sown, green, ripe, stubble, flooded."""
        stage = float(passing.beta(0.9, 0.9))
        growing = passing.random() < 0.3 + 0.5 * self.season.green
        soil = _scaled(self.soil, (1 - 0.3 * self.season.wet) * float(passing.uniform(0.7, 1.08)))
        lush = colour(passing, self.climate.lush)
        if growing:
            deep = _scaled(lush, float(passing.uniform(0.62, 1.12)))
            base, plants = mixed(soil, deep, 0.3 + 0.7 * stage), 0.3 + 0.7 * stage
        else:
            ripe = _scaled(colour(passing, self.climate.dry), float(passing.uniform(0.85, 1.25)))
            base, plants = mixed(soil, ripe, stage), 0.1
        if kind == "paddy" and passing.random() < 0.4:
            base, plants = mixed(base, colour(passing, self.climate.waters), 0.75), 0.05
        rows = float(passing.random() ** 2) * 0.5
        row_px = self.frame.px(float(passing.choice((0.8, 1.5, 3, 10, 18))))
        other = _scaled(mixed(base, soil, 0.35), float(passing.uniform(0.85, 1.12)))
        return Swatch(base, other, _FINE["crop"], rows, row_px, plants)


def mixed(first: Rgb, second: Rgb, share: float) -> Rgb:
    """The first colour with a share of the second."""
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
        first[2] + (second[2] - first[2]) * share,
    )


def _scaled(rgb: Rgb, factor: float) -> Rgb:
    return (min(rgb[0] * factor, 1.0), min(rgb[1] * factor, 1.0), min(rgb[2] * factor, 1.0))


class Texture:
    """The lasting unevenness of the ground, with some that comes and goes.

    Attributes:
        grain: `(size, size)` fine unevenness.
        patches: `(size, size)` share 0-1 of the second colour.
        tone: `(size, size)` brightness about 1 of what is paved.
    """

    def __init__(
        self, frame: Frame, lasting: np.random.Generator, passing: np.random.Generator
    ) -> None:
        size = frame.size_px
        keep = np.float32(passing.uniform(0.5, 1.0))
        away = np.float32(np.sqrt(1 - keep**2))
        fine = GRAIN if frame.gsd_m > 0.3 else ROUGH
        self.grain: FloatArray = keep * (
            0.6 * fractal(lasting, size, fine) + 0.7 * fractal(lasting, size, ROUGH)
        ) + away * fractal(passing, size, ROUGH)
        broad = keep * fractal(lasting, size, LANDSCAPE) + away * blobs(passing, size, 40)
        self.patches: FloatArray = np.clip(broad * np.float32(0.35) + np.float32(0.4), 0, 1)
        self.tone: FloatArray = (
            1 + np.float32(0.045) * self.grain + np.float32(0.16) * (self.patches - np.float32(0.4))
        )

    def worn(self, share: FloatArray) -> FloatArray:
        """A coverage 0-1 with edges that grass and dirt have worked on."""
        edge = np.float32(1.6) * share * (1 - share)
        ragged: FloatArray = np.clip(share + edge * np.float32(0.8) * self.grain, 0, 1)
        return ragged


def parcel_colours(
    parcels: Parcels,
    labels: ByteArray,
    kinds: tuple[str, ...],
    swatches: list[Swatch],
    texture: Texture,
) -> tuple[FloatArray, FloatArray]:
    """The ground as `(size, size, 3)` albedo 0-1, and `(size, size)` share of green plants.

    Args:
        parcels: For borders and rows.
        labels: The pieces to be told apart at this date, as `Parcels.seen` gives them.
        kinds: Kind of each piece.
        swatches: Look of each piece.
        texture: Unevenness.
    """
    base, other = _table([s.base for s in swatches]), _table([s.other for s in swatches])
    patchy = np.array([_PATCHY.get(kind, 0.5) for kind in kinds], np.float32)[labels]
    share = (texture.patches * patchy)[..., None]
    picture = np.take(base, labels, axis=0)
    picture += share * np.take(other - base, labels, axis=0)
    fine = np.array([s.fine for s in swatches], np.float32)[labels]
    bright = 1 + fine * texture.grain
    if any(s.rows for s in swatches):
        bright += _rows(parcels, labels, swatches)
    if parcels.border > 0.3:
        bright *= 1 - np.float32(0.25 * parcels.border) * edges(labels)
    picture *= bright[..., None]
    return picture, np.array([s.plants for s in swatches], np.float32)[labels]


def _rows(parcels: Parcels, labels: ByteArray, swatches: list[Swatch]) -> FloatArray:
    """The brightness of plant rows; rows too close for the pixels fade."""
    size = labels.shape[0]
    strength = np.array([0.16 * s.rows * min(max(s.row_px / 2.2 - 0.8, 0), 1) for s in swatches])
    wave = 2 * np.pi / np.array([max(s.row_px, 2.0) for s in swatches])
    x, y = coordinates(size, 0.0)
    kx = (np.cos(parcels.angles) * wave).astype(np.float32)[labels]
    ky = (np.sin(parcels.angles) * wave).astype(np.float32)[labels]
    return strength.astype(np.float32)[labels] * np.sin(kx * x + ky * y)


def lay(
    picture: FloatArray,
    plants: FloatArray,
    area: Area,
    kind: str,
    swatch: Swatch,
    texture: Texture,
) -> None:
    """Paints an area over the ground, in place, within its bounding box."""
    box = bounds(area.cover)
    if box is None:
        return
    cover = area.cover[box][..., None]
    share = (texture.patches[box] * np.float32(_PATCHY.get(kind, 0.5)))[..., None]
    base, other = np.array(swatch.base, np.float32), np.array(swatch.other, np.float32)
    fine = (1 + np.float32(swatch.fine) * texture.grain[box])[..., None]
    paint = (base + share * (other - base)) * fine
    picture[box] += cover * (paint - picture[box])
    plants[box] += area.cover[box] * (np.float32(swatch.plants) - plants[box])


def bounds(cover: FloatArray) -> tuple[slice, slice] | None:
    """The rows and columns that a cover touches; None where it touches none."""
    rows = np.flatnonzero(cover.any(1))
    cols = np.flatnonzero(cover.any(0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def _table(colours: list[Rgb]) -> NDArray[np.float32]:
    return np.array(colours, np.float32)
