"""Events of the fine family on the ground: roads, paving, digging, planting, felling, water."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from geochg.datasets.world import houses, parcels, roads, woods
from geochg.datasets.world.houses import stands_on
from geochg.datasets.world.kinds import (
    ALTERED,
    APPEARED,
    BARE,
    DISAPPEARED,
    GROUPS,
    NO_MARK,
    ROAD,
    VEGETATION,
    WATER,
    FloatArray,
    Mark,
)
from geochg.datasets.world.plan import Area, Building, Plan
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.shapes import soft
from geochg.datasets.world.told import felled, told


def new_road(draft: Draft, plan: Plan) -> Plan | None:
    """A new road across the place, or part of the way."""
    one = draft.track(paved=0.8)
    if draft.rng.random() < 0.5:
        one = roads.trimmed(one, 0.0, float(draft.rng.uniform(0.45, 0.7)))
    width = max(one.width, 2.0 if draft.frame.gsd_m > 1 else one.width)
    under = roads.cover((one,), draft.frame.size_px)
    standing = tuple(b for b in plan.buildings if not stands_on(under, b))
    plan = replace(
        plan,
        roads=(replace(one, width=width, before=False), *plan.roads),
        buildings=standing,
        trees=felled(plan.trees, under),
    )
    return told(plan, "new_road", "road")


def widened(draft: Draft, plan: Plan) -> Plan | None:
    """A road is widened."""
    if not plan.roads:
        return None
    number = int(draft.rng.integers(len(plan.roads)))
    old = plan.roads[number]
    broad = old.width * float(draft.rng.uniform(1.8, 3)) + 1
    new = replace(old, width=broad, old_width=old.width)
    under = roads.cover((new,), draft.frame.size_px)
    standing = tuple(b for b in plan.buildings if not stands_on(under, b))
    lanes = tuple(new if k == number else one for k, one in enumerate(plan.roads))
    plan = replace(plan, roads=lanes, buildings=standing, trees=felled(plan.trees, under))
    return told(plan, "widened", "road")


def parking(draft: Draft, plan: Plan) -> Plan | None:
    """A paved place, as for parking."""
    kind = str(draft.rng.choice(("paved", "concrete")))
    return _laid(
        draft,
        plan,
        "parking",
        "parking lot",
        draft.spot((14, 60), 0.1, 1.0),
        kind,
        Mark(ROAD, APPEARED),
    )


def _laid(
    draft: Draft, plan: Plan, name: str, noun: str, spot: FloatArray, kind: str, mark: Mark
) -> Plan:
    """An area of a new kind over all that was there."""
    standing = tuple(one for one in plan.buildings if not stands_on(spot, one))
    plan = replace(
        plan,
        areas=(*plan.areas, Area(spot, None, kind, mark)),
        buildings=standing,
        trees=felled(plan.trees, spot),
    )
    return told(plan, name, noun)


# --- ground, plants, water -----------------------------------------------------------------------


def quarry(draft: Draft, plan: Plan) -> Plan | None:
    """Ground is dug up: a quarry, a pit, levelled land."""
    return _laid(
        draft,
        plan,
        "quarry",
        "bare land",
        draft.spot((25, 260), 0.6),
        "quarry",
        Mark(BARE, APPEARED),
    )


def clearing(draft: Draft, plan: Plan) -> Plan | None:
    """A part of a wood is cut."""
    kind = "conifer" if draft.rng.random() < 0.35 else "forest"
    spot = draft.spot((18, 200), 0.45, float(draft.rng.choice((0, 0.7))))
    left = str(
        draft.rng.choice(("clearing", "groundwork", "grass", "crop"), p=(0.5, 0.2, 0.2, 0.1))
    )
    cut = Area(spot, kind, left, Mark(VEGETATION, DISAPPEARED))
    around = Area(np.maximum(draft.spot((60, 400), 0.8), spot), kind, kind)
    areas = (around, cut) if draft.rng.random() < 0.75 else (cut,)
    standing = tuple(
        b
        for b in plan.buildings
        if not stands_on(np.maximum(around.cover, spot), b) or not b.before
    )
    plan = replace(plan, areas=(*plan.areas, *areas), buildings=standing)
    return told(plan, "clearing", "forest")


def planting(draft: Draft, plan: Plan) -> Plan | None:
    """Trees are planted: in rows, or so that a wood closes."""
    spot = draft.spot((18, 160), 0.3, float(draft.rng.choice((0, 1))))
    standing = tuple(one for one in plan.buildings if not stands_on(spot, one))
    mark = Mark(VEGETATION, APPEARED)
    if draft.rng.random() < 0.5:
        rows = woods.orchard(
            draft.rng,
            draft.frame,
            spot,
            float(draft.rng.uniform(3, 8)),
            float(draft.rng.uniform(1, 2.6)),
        )
        rows = replace(rows, before=np.zeros(len(rows.x), bool))
        plan = replace(
            plan,
            trees=felled(plan.trees, spot).joined(rows),
            areas=(*plan.areas, Area(spot, None, "orchard", mark)),
        )
    else:
        kind = "conifer" if draft.rng.random() < 0.4 else "forest"
        plan = replace(plan, areas=(*plan.areas, Area(spot, None, kind, mark)))
    return told(replace(plan, buildings=standing), "planting", "tree")


def felling(draft: Draft, plan: Plan) -> Plan | None:
    """A group of trees is felled."""
    spot = draft.spot((12, 80))
    gone = woods.covered(spot, np.stack((plan.trees.x, plan.trees.y), -1))
    if gone.sum() < 3:
        return None
    return told(replace(plan, trees=felled(plan.trees, spot)), "felling", "tree")


def burning(draft: Draft, plan: Plan) -> Plan | None:
    """Plants are burnt."""
    spot = draft.spot((30, 300), 0.8)
    plan = replace(
        plan,
        areas=(*plan.areas, Area(spot, None, "burnt", Mark(VEGETATION, ALTERED))),
        trees=felled(plan.trees, spot),
    )
    return told(plan, "burning", "vegetation")


def flooding(draft: Draft, plan: Plan) -> Plan | None:
    """Water comes where there was none, or widens from a smaller body."""
    spot = draft.spot((15, 220), 0.7)
    plan = _laid(draft, plan, "flooding", "pond", spot, "water", Mark(WATER, APPEARED))
    if draft.rng.random() < 0.55:
        core = Area(_shrunk(draft, spot), "water", "water", NO_MARK)
        plan = replace(plan, areas=(*plan.areas, core))
    return plan


def drying(draft: Draft, plan: Plan) -> Plan | None:
    """Water falls or goes; mud, grass or soil is left."""
    spot = draft.spot((15, 220), 0.7)
    left = str(draft.rng.choice(("soil", "grass", "groundwork")))
    standing = tuple(one for one in plan.buildings if not stands_on(spot, one))
    areas = [Area(spot, "water", left, Mark(WATER, DISAPPEARED))]
    if draft.rng.random() < 0.6:
        areas.append(Area(_shrunk(draft, spot), "water", "water", NO_MARK))
    plan = replace(
        plan,
        areas=(*plan.areas, *areas),
        buildings=standing,
        trees=felled(replace(plan.trees, after=plan.trees.after), spot),
    )
    return told(plan, "drying", "pond")


def _shrunk(draft: Draft, spot: FloatArray) -> FloatArray:
    deep: FloatArray = ndimage.distance_transform_edt(spot > 0.5).astype(np.float32)
    return soft(deep - np.float32(float(draft.rng.uniform(0.15, 0.6)) * float(deep.max())))


def glasshouses(draft: Draft, plan: Plan) -> Plan | None:
    """Greenhouses or solar tables in rows on a field."""
    rng, frame = draft.rng, draft.frame
    spot = draft.spot((25, 140), 0.1, 1.0)
    solar = rng.random() < 0.4
    step = (float(rng.uniform(30, 80)), float(rng.uniform(5, 9)) if solar else 12.0)
    room = houses.Room(frame.size_px)
    rows = houses.grid(rng, frame, room, plan.angle, step, ("hall",), 0.97)
    tone = (0.14, 0.17, 0.28) if solar else (0.82, 0.85, 0.86)
    fresh = tuple(
        replace(
            one,
            before=False,
            noun="solar panel" if solar else "greenhouse",
            parts=tuple(replace(p, rgb=tone, height=p.height * 0.3) for p in one.parts[-1:]),
        )
        for one in rows
        if stands_on(spot, one)
    )
    if not fresh:
        return None
    standing = tuple(one for one in plan.buildings if not stands_on(spot, one))
    plan = replace(plan, buildings=(*standing, *fresh), trees=felled(plan.trees, spot))
    return told(plan, "glasshouses", fresh[0].noun)


def parcel(draft: Draft, plan: Plan) -> Plan | None:
    """Whole fields are taken up: levelled, paved, built over, planted or flooded."""
    rng, labels = draft.rng, plan.parcels.labels
    share = parcels.sizes(plan.parcels) / labels.size
    fields = [
        number
        for number, (old, new) in enumerate(
            zip(plan.parcels.before, plan.parcels.after, strict=True)
        )
        if old == new and GROUPS[old] in ("low", "dry") and 0.008 < share[number] < 0.4
    ]
    if not fields:
        return None
    picks = rng.choice(fields, min(len(fields), int(rng.integers(1, 5))), replace=False).tolist()
    kind = str(rng.choice(list(_TAKEN_UP), p=list(_TAKEN_UP.values())))
    ground = plan.parcels
    for number in picks:
        ground = ground.changed(number, None, kind)
    spot = np.isin(labels, picks).astype(np.float32)
    standing = tuple(one for one in plan.buildings if not stands_on(spot, one))
    fresh = _estate(draft, plan, spot) if kind in _BUILT_ON and rng.random() < 0.6 else ()
    plan = replace(
        plan,
        parcels=ground,
        buildings=(*standing, *fresh),
        trees=felled(plan.trees, spot),
    )
    return told(plan, "parcel", "building" if fresh else "field")


_TAKEN_UP = {
    "groundwork": 0.35,
    "concrete": 0.15,
    "paved": 0.1,
    "lawn": 0.15,
    "forest": 0.12,
    "water": 0.08,
    "quarry": 0.05,
}
_BUILT_ON = ("groundwork", "concrete", "paved", "lawn")


def _estate(draft: Draft, plan: Plan, spot: FloatArray) -> tuple[Building, ...]:
    """New houses, halls or blocks in rows on covered ground."""
    rng, frame = draft.rng, draft.frame
    room = houses.Room(frame.size_px, roads.cover(plan.roads, frame.size_px, frame.px(1)))
    if rng.random() < 0.5:
        style = houses.Style(rng, frame, draft.climate)
        built = houses.scattered(rng, style, room, 60, plan.angle, 0.04, spot)
    else:
        step = (float(rng.uniform(25, 90)), float(rng.uniform(20, 60)))
        built = houses.grid(rng, frame, room, plan.angle, step, ("block", "hall"), 0.9)
    return tuple(replace(one, before=False) for one in built if stands_on(spot, one))
