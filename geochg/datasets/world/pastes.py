"""Pairs in which real town is what changes: pasted onto open land, or open land onto town."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy import ndimage

from geochg.datasets.world import city, grids, parcels, roads, scales
from geochg.datasets.world.kinds import (
    ALTERED,
    APPEARED,
    BARE,
    BUILDING,
    DISAPPEARED,
    GROUPS,
    FloatArray,
    Mark,
)
from geochg.datasets.world.land import UNKNOWN
from geochg.datasets.world.marks import masks
from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import WorldPair, lands, moments_of, pair_of, shots_of
from geochg.datasets.world.patches import OPEN, TOWN, Patch, reseasoned
from geochg.datasets.world.plan import MARGIN_PX, Area, Event, Frame, Plan, backwards
from geochg.datasets.world.render import Painter, Picture
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.shapes import filled

Source = Callable[[np.random.Generator, int, float, int], Patch | None]
"""Gives a patch for a size in pixels, a pixel size in metres and a kind."""

LEAST_PX = 40
"""Zones are larger than this, in pixels."""

WORTH = 0.6
"""Least share of a piece of a zone that is of the kind it is to be."""

VACANT = ("soil", "desert", "groundwork", "grass", "crop")
"""Drawn ground that real town is taken back to."""


def pasted(
    seed: int, rng: np.random.Generator, options: WorldOptions, source: Source, changed: bool
) -> WorldPair | None:
    """A pair with real town at one date only; None where the source has none.

    Pairs without change have their patch at both dates, so that its edge alone says nothing.
    """
    size, gsd_m = options.size_px + 2 * MARGIN_PX, scales.coarse_gsd_m(rng)
    town = source(rng, size, gsd_m, TOWN)
    if town is None:
        return None
    if rng.random() < 0.55:
        return _in_town(seed, rng, options, source, town, changed)
    return _on_open(seed, rng, options, source, town, changed)


def _in_town(
    seed: int,
    rng: np.random.Generator,
    options: WorldOptions,
    source: Source,
    town: Patch,
    changed: bool,
) -> WorldPair:
    """Real town, of which a part was bare before, or stood otherwise."""
    draft = _draft(rng, town)
    zone = zones(draft, town.cover)
    plan = draft.plan("coarse", parcels.whole(draft.frame, "grass"))
    old = town.picture
    turned = rng.random() < options.reversed_share * 2
    draw = rng.random()
    if draw < 0.5:
        kind = str(rng.choice(VACANT))
        levelled = kind == "groundwork" and turned
        mark = Mark(BARE, DISAPPEARED) if levelled else Mark(BUILDING, APPEARED)
        vacant = Area(zone, kind, None, mark) if changed else Area(zone, kind, kind)
        plan = replace(plan, areas=(vacant,))
    else:
        wanted = OPEN if draw < 0.82 else TOWN
        other = source(rng, draft.frame.size_px, town.gsd_m, wanted)
        assert other is not None
        zone = zone * (other.cover > 0.5) if wanted == OPEN else zone
        direction = APPEARED if wanted == OPEN else ALTERED
        areas = (Area(zone, None, None, Mark(BUILDING, direction)),) if changed else ()
        plan = replace(plan, areas=areas)
        old = _over(rng, town.picture, other.picture, zone)
    plan = _told(plan, "filled")
    grounds = (old, town.picture) if changed else (old, old)
    if turned:
        plan, grounds = backwards(plan), grounds[::-1]
    return _taken(seed, rng, options, plan, grounds, None)


def _on_open(
    seed: int,
    rng: np.random.Generator,
    options: WorldOptions,
    source: Source,
    town: Patch,
    changed: bool,
) -> WorldPair:
    """Open land, real or drawn, on which real town comes."""
    if rng.random() < 0.45:
        land = source(rng, town.picture.shape[0], town.gsd_m, OPEN)
        assert land is not None
        draft = _draft(rng, town)
        zone = zones(draft, np.minimum(town.cover, land.cover))
        plan = draft.plan("coarse", parcels.whole(draft.frame, "grass"))
        new = _over(rng, land.picture, town.picture, zone)
        grounds, paste = (land.picture if changed else new, new), None
    else:
        draft, plan = city.place(rng, options.size_px, max(town.gsd_m, scales.COARSE_M[0]))
        zone = zones(draft, town.cover * _free(plan)) * (1 - _standing(plan))
        grounds, paste = None, (town.picture, zone)
    if changed:
        district = Area(zone, None, None, Mark(BUILDING, APPEARED))
        plan = replace(plan, areas=(*plan.areas, district))
    plan = _told(plan, "district")
    turned = bool(rng.random() < options.reversed_share)
    if turned:
        plan = backwards(plan)
        grounds = None if grounds is None else grounds[::-1]
    if paste is None:
        return _taken(seed, rng, options, plan, grounds, None)
    dates = (turned, not turned) if changed else (True, True)
    return _taken(seed, rng, options, plan, None, (*paste, dates))


def _draft(rng: np.random.Generator, patch: Patch) -> Draft:
    return Draft(rng, Frame(patch.picture.shape[0], patch.gsd_m))


def _free(plan: Plan) -> FloatArray:
    """Drawn ground with nothing on it that is not open land."""
    clear = np.array([GROUPS[kind] in ("low", "dry") for kind in plan.parcels.before])
    free = clear[plan.parcels.labels].astype(np.float32)
    for area in plan.areas:
        free = free * (1 - area.cover)
    return free


def _standing(plan: Plan) -> FloatArray:
    """Where roads and halls of drawn ground stay, with a pixel about them."""
    size = plan.frame.size_px
    grown = (
        replace(part, length=part.length + 2, width=part.width + 2)
        for one in plan.buildings
        for part in one.parts
    )
    built = filled([part.corners() for part in grown], size)
    return np.maximum(built, roads.cover(plan.roads, size, 1.0))


def zones(draft: Draft, worth: FloatArray) -> FloatArray:
    """Where something is pasted, `(size, size)` 0-1 with soft edges.

    Lots of a street grid, blocks or ragged regions, from few pixels to half of the picture, as far
    as they lie where it is worth it.
    """
    rng, size = draft.rng, draft.frame.size_px
    found = np.zeros((size, size), np.float32)
    if rng.random() < 0.65:
        block_px = float(rng.choice((24, 48, 80, 120)))
        labels = grids.lots(rng, draft.frame, draft.angle, block_px, float(rng.uniform(8, 24)))
        sizes = np.bincount(labels.ravel())
        fit = np.flatnonzero((grids.means(labels, worth) > WORTH) & (sizes >= LEAST_PX))
        if len(fit):
            count = min(round(float(np.exp(rng.uniform(0, np.log(16))))), len(fit))
            found = np.isin(labels, rng.choice(fit, count, replace=False)).astype(np.float32)
    else:
        for _ in range(int(rng.integers(1, 4))):
            found = np.maximum(found, draft.spot((90, 900), 0.5, float(rng.choice((0, 1)))))
    found = found * (ndimage.uniform_filter(worth, 7) > 0.5)
    return ndimage.gaussian_filter(found, float(rng.uniform(0.3, 1.1)))


def _over(
    rng: np.random.Generator, under: FloatArray, top: FloatArray, zone: FloatArray
) -> FloatArray:
    """A picture with another in a zone, whose colours come part of the way to its own."""
    toward = np.float32(rng.uniform(0, 0.6))
    level = under.mean((0, 1)) / np.maximum(top.mean((0, 1)), np.float32(0.02))
    gain = np.clip(level, 0.5, 2.0) ** toward * np.float32(np.exp(rng.normal(0, 0.1)))
    joined: FloatArray = under + zone[..., None] * (np.minimum(top * gain, 1.2) - under)
    return joined


def _told(plan: Plan, name: str) -> Plan:
    return replace(plan, events=(Event(name, "block", "", "coarse"),))


def _taken(
    seed: int,
    rng: np.random.Generator,
    options: WorldOptions,
    plan: Plan,
    grounds: tuple[FloatArray, FloatArray] | None,
    paste: tuple[FloatArray, FloatArray, tuple[bool, bool]] | None,
) -> WorldPair:
    """The pair of a plan on real grounds, or on drawn ones with a picture pasted at some dates."""
    moments = moments_of(rng, plan, options)
    backdrops = (None, None) if grounds is None else tuple(_seasoned(rng, options, grounds))
    pictures = [
        Painter(plan, after, when, seed, ground).picture()
        for after, when, ground in zip((False, True), moments, backdrops, strict=True)
    ]
    covers = list(lands(plan, moments, drawn_ground=grounds is None))
    if paste is not None:
        top, zone, dates = paste
        inner = zone[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] > 0.03
        for date in (k for k in range(2) if dates[k]):
            there = next(_seasoned(rng, options, (top,)))
            pictures[date] = Picture(
                _over(np.random.default_rng(seed), pictures[date].rgb, there, zone),
                pictures[date].plants * (1 - zone),
            )
            covers[date] = np.where(inner, UNKNOWN, covers[date]).astype(np.uint8)
    found = masks(plan, (moments[0].light, moments[1].light))
    shots = shots_of(rng, options, True, pictures)
    return pair_of(seed, shots, found, (covers[0], covers[1]), plan, "real_pasted")


def _seasoned(
    rng: np.random.Generator, options: WorldOptions, pictures: tuple[FloatArray, ...]
) -> Iterator[FloatArray]:
    for one in pictures:
        yield reseasoned(rng, one) if options.nuisances else one
