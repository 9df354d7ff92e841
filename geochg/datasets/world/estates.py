"""Events that build over whole pieces of land: trade, industry, towers, building sites."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geochg.datasets.world import houses, parcels, roads
from geochg.datasets.world.houses import stands_on
from geochg.datasets.world.kinds import APPEARED, BARE, GROUPS, NO_MARK, ROAD, FloatArray, Mark
from geochg.datasets.world.plan import Area, Building, Plan, Road
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.shapes import filled
from geochg.datasets.world.told import felled, told

MOST_SHARE = 0.35
"""Share of the picture that a quarter takes at most, as far as its first field allows."""

GROUNDS = {
    "industry": ("concrete", "paved", "groundwork", "soil"),
    "towers": ("lawn", "concrete", "groundwork", "lawn"),
    "works": ("groundwork", "groundwork", "soil"),
}


def store(draft: Draft, plan: Plan) -> Plan | None:
    """A large flat roof with its car park, on open land."""
    rng, frame = draft.rng, draft.frame
    most_m = 0.5 * frame.picture_px * frame.gsd_m
    long_m = min(float(np.exp(rng.uniform(np.log(30), np.log(130)))), most_m)
    deep_m = long_m * float(rng.uniform(0.45, 0.9))
    angle = plan.angle + np.pi / 2 * int(rng.integers(2)) + float(rng.normal(0, 0.02))
    room = houses.Room(frame.size_px, roads.cover(plan.roads, frame.size_px, frame.px(3)))
    for _ in range(30):
        x, y = (float(v) for v in rng.uniform(0.15, 0.85, 2) * frame.size_px)
        hall = houses.hall(rng, frame, x, y, angle, long_m, deep_m, roofs=houses.STORE_ROOFS)
        if not room.place(hall, frame.px(2)):
            continue
        lot = _lot(draft, hall, float(rng.choice((-1, 1))) * float(rng.uniform(0.4, 1.2)))
        standing = tuple(b for b in plan.buildings if not stands_on(lot, b))
        kind = str(rng.choice(("paved", "paved", "concrete")))
        plan = replace(
            plan,
            buildings=(*standing, replace(hall, before=False)),
            areas=(*plan.areas, Area(lot, None, kind, Mark(ROAD, APPEARED))),
            trees=felled(plan.trees, lot),
        )
        return told(plan, "store", "building")
    return None


def _lot(draft: Draft, hall: Building, ahead: float) -> FloatArray:
    """The paved plot of a hall, with the car park ahead of it or behind."""
    main, rim = max(hall.parts, key=lambda part: part.length * part.width), draft.frame.px(6)
    away = main.width * (0.5 * ahead)
    plot = replace(
        main,
        x=main.x - np.sin(main.angle) * away,
        y=main.y + np.cos(main.angle) * away,
        length=main.length + 2 * rim,
        width=main.width * (1 + abs(ahead)) + 2 * rim,
    )
    return filled([plot.corners()], draft.frame.size_px)


def quarter(draft: Draft, plan: Plan) -> Plan | None:
    """Neighbouring fields become industry, towers or a building site, with streets of their own."""
    rng = draft.rng
    spot, ground = _taken(draft, plan)
    sort = str(rng.choice(list(GROUNDS), p=(0.5, 0.25, 0.25)))
    kind = str(rng.choice(GROUNDS[sort]))
    mark = {"groundwork": Mark(BARE, APPEARED), "lawn": NO_MARK, "soil": NO_MARK}
    lanes = _lanes(draft, plan, spot, "track" if sort == "works" else "")
    built = _built(draft, plan, spot, lanes, sort)
    if not built and sort != "works":
        return None
    areas = [Area(ground, None, kind, mark.get(kind, Mark(ROAD, APPEARED)))]
    if sort == "works":
        slabs = [one for one in built if rng.random() < 0.5]
        built = [one for one in built if one not in slabs]
        cover = filled([p.corners() for one in slabs for p in one.parts], draft.frame.size_px)
        areas.append(Area(cover, None, "slab", Mark(BARE, APPEARED)))
    standing = tuple(one for one in plan.buildings if not stands_on(spot, one))
    plan = replace(
        plan,
        areas=(*plan.areas, *areas),
        roads=(*lanes, *plan.roads),
        buildings=(*standing, *(replace(one, before=False) for one in built)),
        trees=felled(plan.trees, spot),
    )
    return told(plan, "quarter", "building" if built else "building site")


def _taken(draft: Draft, plan: Plan) -> tuple[FloatArray, FloatArray]:
    """Neighbouring fields as a cover, and the part of it that no water or wood lies on."""
    rng, labels, size = draft.rng, plan.parcels.labels, draft.frame.size_px
    share = parcels.sizes(plan.parcels) / labels.size
    free = [
        number
        for number, kind in enumerate(plan.parcels.before)
        if GROUPS[kind] in ("low", "dry") and 0.008 < share[number] < MOST_SHARE
    ]
    if free and rng.random() < 0.8:
        rows, cols = np.divmod(np.arange(labels.size), size)
        count = np.maximum(parcels.sizes(plan.parcels), 1)
        middle = np.stack([np.bincount(labels.ravel(), axis) / count for axis in (rows, cols)], -1)
        first = free[int(rng.integers(len(free)))]
        near = sorted(free, key=lambda n: float(np.hypot(*(middle[n] - middle[first]))))
        total = np.cumsum(share[near]) < rng.uniform(0.12, MOST_SHARE)
        picks = [first, *(n for n, fits in zip(near[1:], total[1:], strict=True) if fits)]
        spot = np.isin(labels, picks[:14]).astype(np.float32)
    else:
        spot = draft.spot((50, 260), 0.1, 1.0)
    wet = [a.cover for a in plan.areas if a.before in ("water", "forest", "conifer")]
    ground = spot * (1 - np.maximum.reduce(wet)) if wet else spot
    return ground, ground


def _lanes(draft: Draft, plan: Plan, spot: FloatArray, surface: str) -> tuple[Road, ...]:
    """Straight streets at right angles over covered ground."""
    rng, frame = draft.rng, draft.frame
    network = roads.winding(
        rng,
        frame,
        draft.climate,
        draft.soil,
        float(rng.uniform(60, 160)),
        0.0,
        0.0 if surface == "track" else 0.95,
        plan.angle,
    )
    pieces = [piece for one in network for piece in roads.split(one, spot)]
    return tuple(piece for piece in pieces if not piece.before)


def _built(
    draft: Draft, plan: Plan, spot: FloatArray, lanes: tuple[Road, ...], sort: str
) -> list[Building]:
    rng, frame = draft.rng, draft.frame
    there = (*plan.roads, *lanes)
    room = houses.Room(frame.size_px, roads.cover(there, frame.size_px, frame.px(1.5)))
    if sort == "towers":
        step = (float(rng.uniform(35, 75)), float(rng.uniform(28, 55)))
        storeys = float(rng.uniform(5, 26))
        return houses.grid(rng, frame, room, plan.angle, step, ("block",), 0.95, spot, storeys)
    step = (float(rng.uniform(28, 90)), float(rng.uniform(18, 45)))
    share = float(rng.uniform(0.75, 1.0)) if sort == "industry" else 0.4
    return houses.grid(rng, frame, room, plan.angle, step, ("hall",), share, spot)
