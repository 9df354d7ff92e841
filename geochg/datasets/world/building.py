"""Events of the fine family that build, rebuild and tear down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geochg.datasets.world import houses, roads, woods
from geochg.datasets.world.houses import stands_on
from geochg.datasets.world.kinds import (
    APPEARED,
    BARE,
    NO_MARK,
    ROAD,
    FloatArray,
    Mark,
)
from geochg.datasets.world.plan import Area, Building, Event, Plan, Trees
from geochg.datasets.world.settings import Draft, yards
from geochg.datasets.world.shapes import filled
from geochg.datasets.world.told import felled, told


def infill(draft: Draft, plan: Plan) -> Plan | None:
    """Some of the buildings are new: a handful, a row, or most of them."""
    return _some_new(draft, plan, float(draft.rng.choice((0.08, 0.3, 0.7))), "infill")


def expansion(draft: Draft, plan: Plan) -> Plan | None:
    """All roads and buildings within a zone are new, on what fields or woods were there before."""
    zone = draft.spot((60, 320), 0.5)
    new = [stands_on(zone, one) for one in plan.buildings]
    if not any(new):
        return None
    buildings = tuple(
        replace(one, before=not fresh) if fresh else one
        for one, fresh in zip(plan.buildings, new, strict=True)
    )
    lanes = [piece for one in plan.roads for piece in roads.split(one, zone)]
    plan = replace(plan, roads=tuple(lanes))
    grounds = "" if draft.rng.random() < 0.5 else str(draft.rng.choice(("groundwork", "concrete")))
    return _raised(draft, plan, buildings, zone, grounds, "expansion")


def _some_new(draft: Draft, plan: Plan, share: float, name: str) -> Plan | None:
    count = len(plan.buildings)
    if not count:
        return None
    wanted = max(1, min(int(draft.rng.binomial(count, share)), count))
    first = int(draft.rng.integers(count))
    row = draft.rng.random() < 0.5
    picks = (
        {(first + k) % count for k in range(wanted)}
        if row
        else set(draft.rng.choice(count, wanted, replace=False).tolist())
    )
    buildings = tuple(
        replace(one, before=False) if number in picks else one
        for number, one in enumerate(plan.buildings)
    )
    if draft.rng.random() < 0.3:
        return replace(
            plan, buildings=buildings, events=(*plan.events, _event(plan, name, buildings, ""))
        )
    ground = str(draft.rng.choice(("", "groundwork", "concrete"), p=(0.6, 0.25, 0.15)))
    return _raised(draft, plan, buildings, None, ground, name)


def _raised(
    draft: Draft,
    plan: Plan,
    buildings: tuple[Building, ...],
    zone: FloatArray | None,
    grounds: str,
    name: str,
) -> Plan:
    """New buildings with what their building did to the ground and the trees."""
    fresh = [one for one in buildings if not one.before]
    old = [one for one in buildings if one.before]
    areas = list(plan.areas)
    kept = [a for a in areas if a.before in ("water", "forest", "conifer")]
    if zone is not None or grounds:
        areas = [*kept, *([yards(draft, old)] if old else [])]
    new_yard = yards(draft, fresh, grounds or None)
    mark = (
        Mark(BARE, APPEARED)
        if grounds == "groundwork"
        else (Mark(ROAD, APPEARED) if grounds == "concrete" else NO_MARK)
    )
    if zone is not None or grounds:
        areas.append(replace(new_yard, before=None, mark=mark if grounds else None))
    trees = _cleared(draft, plan.trees, fresh, 0.35)
    was = "wood" if any(a.after in ("forest", "conifer") for a in areas) else ""
    plan = replace(plan, buildings=buildings, areas=tuple(areas), trees=trees)
    return replace(plan, events=(*plan.events, _event(plan, name, buildings, was)))


def _event(plan: Plan, name: str, buildings: tuple[Building, ...], was: str) -> Event:
    nouns = [one.noun for one in buildings if one.before != one.after]
    noun = max(set(nouns), key=lambda n: (nouns.count(n), n)) if nouns else "building"
    return Event(name, noun, was, plan.setting)


def _cleared(draft: Draft, trees: Trees, fresh: list[Building], share: float) -> Trees:
    """Trees under new buildings stood before only; some more were planted or felled with them."""
    size = draft.frame.size_px
    under = filled([p.corners() for one in fresh for p in one.parts], size, 1)
    gone = woods.covered((under > 0.2).astype(np.float32), np.stack((trees.x, trees.y), -1))
    young = draft.rng.random(len(trees.x)) < share * 0.3
    return replace(
        trees,
        after=trees.after & ~gone,
        before=trees.before & ~(young & ~gone),
        marked=trees.marked | gone,
    )


def large(draft: Draft, plan: Plan) -> Plan | None:
    """A store, a factory or blocks, with paved ground about, where nothing stood."""
    rng, frame = draft.rng, draft.frame
    widest_m = 0.5 * frame.picture_px * frame.gsd_m
    roof_m = min(float(np.exp(rng.uniform(np.log(18), np.log(110)))), widest_m)
    taken = roads.cover(plan.roads, frame.size_px, frame.px(2))
    room = houses.Room(frame.size_px, taken)
    for one in plan.buildings:
        room.place(one, 0)
    fresh = list[Building]()
    angle = plan.angle + float(rng.normal(0, 0.1))
    for _ in range(40):
        x, y = (float(v) for v in rng.uniform(0.08, 0.92, 2) * frame.size_px)
        if rng.random() < 0.7:
            one = houses.hall(
                rng,
                frame,
                x,
                y,
                angle,
                roof_m * float(rng.uniform(0.8, 1.3)),
                roof_m * float(rng.uniform(0.4, 0.8)),
            )
        else:
            one = houses.block(rng, frame, x, y, angle, roof_m, float(rng.integers(3, 15)))
        one = replace(one, before=False)
        if room.place(one, frame.px(4)):
            fresh.append(one)
        if len(fresh) >= rng.integers(1, 7):
            break
    if not fresh:
        return None
    grounds = str(rng.choice(("paved", "concrete", "groundwork", "lawn")))
    mark = {"groundwork": Mark(BARE, APPEARED), "lawn": NO_MARK}.get(grounds, Mark(ROAD, APPEARED))
    apron = replace(yards(draft, fresh, grounds), before=None, mark=mark)
    plan = replace(
        plan,
        buildings=(*plan.buildings, *fresh),
        areas=(*plan.areas, apron),
        trees=_cleared(draft, plan.trees, fresh, 0.2),
    )
    return told(plan, "large", "building")


def demolition(draft: Draft, plan: Plan) -> Plan | None:
    """Some buildings are gone; rubble, soil or grass lies in their place."""
    count = len(plan.buildings)
    if not count:
        return None
    wanted = min(max(1, int(draft.rng.binomial(count, 0.2))), count)
    picks = set(draft.rng.choice(count, wanted, replace=False).tolist())
    buildings = tuple(
        replace(one, after=False) if number in picks else one
        for number, one in enumerate(plan.buildings)
    )
    gone = [one for one in buildings if not one.after]
    kind = str(draft.rng.choice(("rubble", "groundwork", "soil", "grass", "lawn")))
    place = replace(yards(draft, gone, kind), before=None, mark=NO_MARK)
    plan = replace(plan, buildings=buildings, areas=(*plan.areas, place))
    return told(plan, "demolition", gone[0].noun)


def replacement(draft: Draft, plan: Plan) -> Plan | None:
    """Some buildings give way to others in their place."""
    count = len(plan.buildings)
    if not count:
        return None
    style = houses.Style(draft.rng, draft.frame, draft.climate)
    wanted = min(int(draft.rng.integers(1, 5)), count)
    buildings = list(plan.buildings)
    for number in draft.rng.choice(count, wanted, replace=False).tolist():
        old = buildings[number]
        x, y = old.centre
        new = style.house(draft.rng, x, y, old.parts[0].angle)
        grow = old.radius / max(new.radius, 0.1) * float(draft.rng.uniform(0.9, 1.3))
        parts = tuple(
            replace(
                p,
                x=x + (p.x - x) * grow,
                y=y + (p.y - y) * grow,
                length=p.length * grow,
                width=p.width * grow,
            )
            for p in new.parts
        )
        buildings[number] = replace(old, after=False, altered=True)
        buildings.append(replace(new, parts=parts, before=False, altered=True))
    return told(replace(plan, buildings=tuple(buildings)), "replacement", "building")


def site(draft: Draft, plan: Plan) -> Plan | None:
    """A building site: worked soil with tracks, slabs, or buildings under way."""
    rng = draft.rng
    spot = draft.spot((18, 150), 0.35, float(rng.choice((0, 1))))
    areas = [Area(spot, None, "groundwork", Mark(BARE, APPEARED))]
    style = houses.Style(rng, draft.frame, draft.climate)
    room = houses.Room(draft.frame.size_px)
    started = houses.scattered(rng, style, room, int(rng.integers(0, 9)), plan.angle, 0.05, spot)
    slabs = [p.corners() for one in started for p in one.parts]
    buildings = plan.buildings
    if slabs and rng.random() < 0.5:
        areas.append(Area(filled(slabs, draft.frame.size_px), None, "slab", Mark(BARE, APPEARED)))
    elif rng.random() < 0.5:
        buildings += tuple(replace(one, before=False) for one in started)
    standing = tuple(one for one in buildings if not (stands_on(spot, one) and one.before))
    plan = replace(
        plan, areas=(*plan.areas, *areas), buildings=standing, trees=felled(plan.trees, spot)
    )
    return told(plan, "site", "building site")
