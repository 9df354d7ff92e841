"""A pair of pictures with what is true of it; `scene` makes one from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from geochg.datasets.world import city, events, layouts, scales
from geochg.datasets.world.kinds import CLASS_NAMES, DIRECTIONS, ByteArray, FloatArray
from geochg.datasets.world.land import land
from geochg.datasets.world.marks import Masks, count, masks
from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.plan import Event, Plan, backwards
from geochg.datasets.world.render import Moment, Painter, Picture, calm, moment
from geochg.datasets.world.sensor import Sensor, sensor, shoot
from geochg.datasets.world.told import tidied
from geochg.records import Change


@dataclass(frozen=True, slots=True, eq=False)
class WorldPair:
    """Two pictures of one place and what changed between them.

    Attributes:
        seed: What it was made from.
        before: `(3, size, size)` uint8 red, green, blue.
        after: As `before`.
        nir_before: `(size, size)` uint8 near infrared; None where it was not drawn.
        nir_after: As `nir_before`.
        classes: `(size, size)` uint8 index into `CLASS_NAMES`; 0 where nothing changed.
        directions: `(size, size)` uint8 index into `DIRECTIONS`; 0 where nothing changed.
        land_before: `(size, size)` uint8 index into `LAND`: what covers the ground, or `UNKNOWN`.
        land_after: As `land_before`.
        counts: Number of external contours by class and direction; only those above zero.
        events: What happened, for captions.
        gsd_m: Ground size of a pixel.
        family: `fine`, `coarse`, or one of those that `real` makes.
        setting: Name of the layout.
    """

    seed: int
    before: ByteArray
    after: ByteArray
    nir_before: ByteArray | None
    nir_after: ByteArray | None
    classes: ByteArray
    directions: ByteArray
    land_before: ByteArray
    land_after: ByteArray
    counts: Mapping[tuple[str, Change | None], int]
    events: tuple[Event, ...]
    gsd_m: float
    family: str
    setting: str

    @property
    def known(self) -> tuple[str, ...]:
        """The classes whose changes are drawn."""
        return CLASS_NAMES[1:]

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.classes.any())


def scene(seed: int, options: WorldOptions) -> WorldPair:
    """The pair of a seed; the same for the same seed and options, whatever else was made.

    Rounding of the platform's mathematics and JPEG libraries apart, it is the same everywhere.
    """
    rng = np.random.default_rng((seed, 20260101))
    if options.real_dir is not None and rng.random() < options.real_share:
        # It builds on this module, and is needed only where there is real imagery.
        from geochg.datasets.world.real import real_scene

        found = real_scene(seed, rng, options)
        if found is not None:
            return found
    coarse = bool(rng.random() < options.coarse_share)
    plan = planned(rng, coarse, options)
    moments = moments_of(rng, plan, options)
    pictures = [
        Painter(plan, after, when, seed).picture()
        for after, when in zip((False, True), moments, strict=True)
    ]
    family = "coarse" if coarse else "fine"
    return taken(seed, rng, options, plan, moments, pictures, family)


def planned(rng: np.random.Generator, coarse: bool, options: WorldOptions) -> Plan:
    """A place of one of the procedural families, with or without change."""
    changed = rng.random() >= options.unchanged_share
    turned = rng.random() < options.reversed_share
    if coarse:
        draft, plan = city.place(rng, options.size_px, scales.coarse_gsd_m(rng))
        plan = city.happen(draft, plan, options.event_weights) if changed else plan
    else:
        gsd_m = scales.fine_gsd_m(rng, options.gsd_min_m, options.gsd_max_m)
        draft, plan = layouts.place(rng, options.size_px, gsd_m)
        plan = events.happen(draft, plan, options.event_weights) if changed else plan
    plan = tidied(plan)
    return backwards(plan) if turned and changed else plan


def moments_of(
    rng: np.random.Generator, plan: Plan, options: WorldOptions
) -> tuple[Moment, Moment]:
    """The two dates: independent of each other, but for calm pairs, which share the season."""
    if not options.nuisances:
        return calm(plan.frame.size_px), calm(plan.frame.size_px)
    first, second = (moment(rng, plan.climate) for _ in range(2))
    if rng.random() < options.calm_share:
        second = replace(second, season=first.season)
    return first, second


def taken(
    seed: int,
    rng: np.random.Generator,
    options: WorldOptions,
    plan: Plan,
    moments: tuple[Moment, Moment],
    pictures: list[Picture],
    family: str,
) -> WorldPair:
    """The pair that two sensors take of a plan's pictures."""
    changed = masks(plan, (moments[0].light, moments[1].light))
    shots = shots_of(rng, options, plan.frame.gsd_m > scales.COARSEST_FINE_M, pictures)
    return pair_of(seed, shots, changed, lands(plan, moments), plan, family)


def lands(
    plan: Plan, moments: tuple[Moment, Moment], drawn_ground: bool = True
) -> tuple[ByteArray, ByteArray]:
    """What covers the ground at both dates; see `land`."""
    first, second = (
        land(plan, after, when.light, drawn_ground)
        for after, when in zip((False, True), moments, strict=True)
    )
    return first, second


def shots_of(
    rng: np.random.Generator, options: WorldOptions, coarse: bool, pictures: list[Picture]
) -> list[ByteArray]:
    """What the sensors of the two dates make of pictures: `(3 or 4, size, size)` uint8 each."""
    sensors = _sensors(rng, options, coarse)
    return [
        shoot(rng, _bands(picture, options.nir), one)
        for picture, one in zip(pictures, sensors, strict=True)
    ]


def pair_of(
    seed: int,
    shots: list[ByteArray],
    changed: Masks,
    covers: tuple[ByteArray, ByteArray],
    plan: Plan,
    family: str,
) -> WorldPair:
    """Puts a pair together from `(3 or 4, size, size)` shots, masks and covers."""
    nir = [shot[3] if len(shot) > 3 else None for shot in shots]
    return WorldPair(
        seed=seed,
        before=shots[0][:3],
        after=shots[1][:3],
        nir_before=nir[0],
        nir_after=nir[1],
        classes=changed.classes,
        directions=changed.directions,
        land_before=covers[0],
        land_after=covers[1],
        counts=counts_of(changed),
        events=plan.events if changed.classes.any() else (),
        gsd_m=plan.frame.gsd_m,
        family=family,
        setting=plan.setting,
    )


def counts_of(changed: Masks) -> dict[tuple[str, Change | None], int]:
    """Number of external contours for each class and direction that the masks hold."""
    counts: dict[tuple[str, Change | None], int] = {}
    codes = np.unique(changed.classes.astype(np.int64) * 4 + changed.directions)
    for code in codes[codes > 0].tolist():
        within = (changed.classes == code // 4) & (changed.directions == code % 4)
        direction = DIRECTIONS[code % 4]
        found = count(within)
        if found and direction is not None:
            counts[CLASS_NAMES[code // 4], direction] = found
    return counts


def _sensors(
    rng: np.random.Generator, options: WorldOptions, coarse: bool
) -> tuple[Sensor, Sensor]:
    if not options.nuisances:
        return Sensor(), Sensor()
    strength = 0.35 if rng.random() < options.calm_share else float(rng.uniform(0.6, 1.2))
    return sensor(rng, strength, coarse), sensor(rng, strength, coarse)


def _bands(picture: Picture, nir: bool) -> FloatArray:
    if not nir:
        return picture.rgb
    bright = picture.rgb.mean(2)
    infrared = bright * (1 + picture.plants * 1.6) + 0.12 * picture.plants
    return np.concatenate((picture.rgb, infrared[..., None]), -1)
