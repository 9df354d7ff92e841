"""Pairs with real textures: drawn things on real ground, real buildings erased, real seasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.world import building, city, cutouts, parcels, settings, works
from geochg.datasets.world.kinds import APPEARED, BUILDING, DISAPPEARED, FloatArray
from geochg.datasets.world.land import BUILT, UNKNOWN
from geochg.datasets.world.marks import Masks, masks
from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import WorldPair, lands, moments_of, pair_of, shots_of
from geochg.datasets.world.pastes import Source, pasted
from geochg.datasets.world.patches import OPEN, Patch, patch, reseasoned
from geochg.datasets.world.plan import MARGIN_PX, Event, Frame, Plan, backwards
from geochg.datasets.world.render import Painter, Picture
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.shapes import filled
from geochg.datasets.world.textures import Backdrop, Library, library

SEASONS_SHARE, ERASED_SHARE = 0.3, 0.3
PASTED_OF_COARSE = 0.8
"""Share of pasted towns, for each unit of the share of the coarse family."""

COARSEST_FINE_M = 4.5

_ON_FINE = {
    building.large: 3.0,
    building.site: 2.0,
    works.new_road: 1.2,
    works.parking: 0.8,
    works.quarry: 0.8,
    works.planting: 1.0,
    works.flooding: 0.6,
    works.glasshouses: 0.4,
    building.infill: 3.0,
    works.burning: 0.3,
    building.expansion: 3.0,
}
_ON_COARSE = {
    city.district: 4.0,
    city.halls: 3.0,
    city.motorway: 1.0,
    city.digging: 2.0,
    city.tide: 0.5,
}


def real_scene(seed: int, rng: np.random.Generator, options: WorldOptions) -> WorldPair | None:
    """A pair on real ground; None where the folder has none of a kind."""
    assert options.real_dir is not None
    source = library(options.real_dir, options.validation)
    size, draw = options.size_px + 2 * MARGIN_PX, rng.random()
    changed = bool(rng.random() >= options.unchanged_share)
    if source.city_dates and rng.random() < PASTED_OF_COARSE * options.coarse_share:
        return pasted(seed, rng, options, _patches(source), changed)
    if draw < ERASED_SHARE:
        backdrop = source.mosaic(rng, size)
        if backdrop is not None and backdrop.outlines:
            swap = _erased if rng.random() < 0.6 else _inserted
            return swap(seed, rng, options, backdrop, source, changed)
    seasons = draw >= 1 - SEASONS_SHARE
    backdrop = source.seasons(rng, size) if seasons else source.single(rng, size)
    if backdrop is None:
        return None
    return _painted(seed, rng, options, backdrop, changed and not (seasons and rng.random() < 0.5))


def _patches(source: Library) -> Source:
    """What `pastes` asks for real ground; open land is that of cities or of the fields."""

    def found(rng: np.random.Generator, size_px: int, gsd_m: float, kind: int) -> Patch:
        fields = source.fields(rng, size_px) if kind == OPEN and rng.random() < 0.4 else None
        if fields is not None:
            return Patch(fields.before, np.ones((size_px, size_px), np.float32), fields.gsd_m)
        return patch(rng, source.city_dates, size_px, gsd_m, kind)

    return found


def _painted(
    seed: int, rng: np.random.Generator, options: WorldOptions, backdrop: Backdrop, changed: bool
) -> WorldPair:
    """Drawn things on real ground."""
    plan = _plan(rng, options, backdrop, changed)
    moments = moments_of(rng, plan, options)
    grounds = _grounds(rng, options, backdrop)
    pictures = [
        Painter(plan, after, when, seed, ground).picture()
        for after, when, ground in zip((False, True), moments, grounds, strict=True)
    ]
    found = masks(plan, (moments[0].light, moments[1].light))
    shots = shots_of(rng, options, plan.frame.gsd_m > COARSEST_FINE_M, pictures)
    covers = lands(plan, moments, drawn_ground=False)
    return pair_of(seed, shots, found, covers, plan, f"real_{backdrop.source}")


def _plan(
    rng: np.random.Generator, options: WorldOptions, backdrop: Backdrop, changed: bool
) -> Plan:
    """Nothing but what changes: the rest is in the backdrop."""
    draft = Draft(rng, Frame(backdrop.before.shape[0], backdrop.gsd_m))
    coarse = backdrop.gsd_m > COARSEST_FINE_M
    plan = draft.plan("coarse" if coarse else "field", parcels.whole(draft.frame, "grass"))
    if not changed:
        return plan
    choices = _ON_COARSE if coarse else _ON_FINE
    share = np.array(
        [weight * options.event_weights.get(one.__name__, 1.0) for one, weight in choices.items()]
    )
    for _ in range(6):
        one = list(choices)[int(rng.choice(len(share), p=share / share.sum()))]
        ready = _with_houses(draft, plan) if one in (building.infill, building.expansion) else plan
        plan = one(draft, ready) or plan
        if plan.events and rng.random() < 0.7:
            break
    plan = _only_changes(plan)
    return backwards(plan) if rng.random() < options.reversed_share else plan


def _with_houses(draft: Draft, plan: Plan) -> Plan:
    """The plan with a suburb, of which the new part will be kept."""
    drawn = (settings.suburb, settings.village)[int(draft.rng.integers(2))](draft)
    return replace(plan, buildings=drawn.buildings, roads=drawn.roads, trees=drawn.trees)


def _only_changes(plan: Plan) -> Plan:
    """The plan without what stands at both dates; that would be new to the backdrop."""
    trees = plan.trees
    kept = trees.before != trees.after
    kept &= ~trees.before
    slim = type(trees)(*(getattr(trees, name)[kept] for name in trees.__slots__))
    return replace(
        plan,
        trees=replace(slim, marked=slim.marked | True),
        roads=tuple(one for one in plan.roads if not one.before),
        buildings=tuple(one for one in plan.buildings if not one.before),
        areas=tuple(area for area in plan.areas if area.before is None and area.after),
    )


def _erased(
    seed: int,
    rng: np.random.Generator,
    options: WorldOptions,
    backdrop: Backdrop,
    source: Library,
    changed: bool,
) -> WorldPair:
    """Real buildings that stand at one of the dates only; the others stay."""
    count = len(backdrop.outlines)
    picks = rng.choice(count, min(count, 1 + int(rng.integers(8))), replace=False).tolist()
    gone = [backdrop.outlines[k] for k in picks] if changed else []
    without, gone = cutouts.erased(
        rng, backdrop.before, gone, backdrop.outlines, max(1.5 / backdrop.gsd_m, 1.0)
    )
    return _swapped(seed, rng, options, backdrop, (without, backdrop.before), gone, "real_erased")


def _inserted(
    seed: int,
    rng: np.random.Generator,
    options: WorldOptions,
    backdrop: Backdrop,
    source: Library,
    changed: bool,
) -> WorldPair:
    """Real buildings of the same place or of another one, on ground where there was none."""
    donor = source.mosaic(rng, backdrop.before.shape[0]) if rng.random() < 0.6 else backdrop
    if donor is None or not donor.outlines or not 0.5 < donor.gsd_m / backdrop.gsd_m < 2:
        donor = backdrop
    count = min(len(donor.outlines), 1 + int(rng.integers(10))) if changed else 0
    picks = rng.choice(len(donor.outlines), count, replace=False).tolist()
    scale = donor.gsd_m / backdrop.gsd_m
    height = float(rng.uniform(2.5, 8)) / backdrop.gsd_m
    chosen = [donor.outlines[k] for k in picks]
    full, fresh = cutouts.inserted(
        rng, backdrop.before, backdrop.outlines, donor.before, chosen, scale, height
    )
    return _swapped(seed, rng, options, backdrop, (backdrop.before, full), fresh, "real_inserted")


def _swapped(
    seed: int,
    rng: np.random.Generator,
    options: WorldOptions,
    backdrop: Backdrop,
    states: tuple[FloatArray, FloatArray],
    rings: Sequence[NDArray[np.float64]],
    family: str,
) -> WorldPair:
    """The pair of a place without buildings and with them, or the other way round."""
    size = backdrop.before.shape[0]
    draft = Draft(rng, Frame(size, backdrop.gsd_m))
    plan = draft.plan("village", parcels.whole(draft.frame, "grass"))
    going = bool(rng.random() < options.reversed_share)
    first, second = states[::-1] if going else states
    grounds = _grounds(rng, options, backdrop._replace(before=first, after=second))
    pictures = [Picture(ground, np.full(ground.shape[:2], 0.3, np.float32)) for ground in grounds]
    shots = shots_of(rng, options, False, pictures)
    inside = _inside(rings, size)
    found = Masks(
        (inside * BUILDING).astype(np.uint8),
        (inside * (DISAPPEARED if going else APPEARED)).astype(np.uint8),
    )
    plan = replace(plan, events=(Event("infill", "house", "", "village"),))
    full = np.where(_inside((*backdrop.outlines, *rings), size), BUILT, UNKNOWN).astype(np.uint8)
    bare = np.where(inside, UNKNOWN, full).astype(np.uint8)
    covers = (full, bare) if going else (bare, full)
    return pair_of(seed, shots, found, covers, plan, family)


def _inside(outlines: Sequence[NDArray[np.float64]], size_px: int) -> NDArray[np.bool_]:
    """`(picture, picture)` bool: what lies within outlines on a canvas."""
    return filled(outlines, size_px, 1)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] > 0.5


def _grounds(
    rng: np.random.Generator, options: WorldOptions, backdrop: Backdrop
) -> tuple[FloatArray, FloatArray]:
    """The ground at both dates, with seasons of their own."""
    if not options.nuisances:
        return backdrop.before, backdrop.after
    first = reseasoned(rng, backdrop.before)
    return first, reseasoned(rng, backdrop.after)
