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
from geochg.datasets.world.plan import MARGIN_PX, Event, Frame, Plan, backwards
from geochg.datasets.world.render import Painter, Picture
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.shapes import filled
from geochg.datasets.world.textures import Backdrop, library

SEASONS_SHARE, ERASED_SHARE = 0.3, 0.3
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
    if draw < ERASED_SHARE:
        backdrop = source.mosaic(rng, size)
        if backdrop is not None and backdrop.outlines:
            return _erased(seed, rng, options, backdrop, changed)
    seasons = draw >= 1 - SEASONS_SHARE
    backdrop = source.seasons(rng, size) if seasons else source.single(rng, size)
    if backdrop is None:
        return None
    return _painted(seed, rng, options, backdrop, changed and not (seasons and rng.random() < 0.5))


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
    seed: int, rng: np.random.Generator, options: WorldOptions, backdrop: Backdrop, changed: bool
) -> WorldPair:
    """Real buildings that stand at one of the dates only; the others stay."""
    size, count = backdrop.before.shape[0], len(backdrop.outlines)
    draft = Draft(rng, Frame(size, backdrop.gsd_m))
    plan = draft.plan("village", parcels.whole(draft.frame, "grass"))
    picks = rng.choice(count, min(count, 1 + int(rng.integers(8))), replace=False).tolist()
    gone = [backdrop.outlines[k] for k in picks] if changed else []
    without, gone = cutouts.erased(
        rng, backdrop.before, gone, backdrop.outlines, max(1.5 / backdrop.gsd_m, 1.0)
    )
    going = bool(rng.random() < options.reversed_share)
    grounds = _grounds(
        rng,
        options,
        backdrop._replace(
            before=backdrop.before if going else without,
            after=without if going else backdrop.before,
        ),
    )
    pictures = [Picture(ground, np.full(ground.shape[:2], 0.3, np.float32)) for ground in grounds]
    shots = shots_of(rng, options, False, pictures)
    inside = _inside(gone, size)
    found = Masks(
        (inside * BUILDING).astype(np.uint8),
        (inside * (DISAPPEARED if going else APPEARED)).astype(np.uint8),
    )
    plan = replace(plan, events=(Event("infill", "house", "", "village"),))
    full = np.where(_inside(backdrop.outlines, size), BUILT, UNKNOWN).astype(np.uint8)
    bare = np.where(inside, UNKNOWN, full).astype(np.uint8)
    covers = (full, bare) if going else (bare, full)
    return pair_of(seed, shots, found, covers, plan, "real_erased")


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


def reseasoned(rng: np.random.Generator, picture: FloatArray) -> FloatArray:
    """A picture with its green plants drier or fresher than they were, as shares 0-1."""
    red, green, blue = (picture[..., k] for k in range(3))
    plants = np.clip((2 * green - red - blue) * np.float32(4), 0, 1)[..., None]
    amount = np.float32(abs(rng.normal(0, 0.4)))
    toward = (1.25, 1.08, 0.75) if rng.random() < 0.7 else (0.75, 1.05, 0.75)
    tint = np.array(toward, np.float32) * rng.normal(1, 0.08, 3).astype(np.float32)
    grey = picture.mean(2, keepdims=True) * tint
    result: FloatArray = picture + plants * min(amount, np.float32(0.9)) * (grey - picture)
    return result
