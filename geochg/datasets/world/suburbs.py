"""Housing as it is laid out today: streets with plots of one size, drives, pavements, dead ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from geochg.datasets.world import houses, roads, woods
from geochg.datasets.world.climate import SURFACES, colour
from geochg.datasets.world.houses import stands_on
from geochg.datasets.world.kinds import (
    BARE,
    DISAPPEARED,
    NO_MARK,
    VEGETATION,
    FloatArray,
    Mark,
)
from geochg.datasets.world.plan import Area, Building, Plan, Road, Trees
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.told import felled, told

PLOTS = {"lawn": 6.0, "grass": 3.0, "scrub": 0.4, "soil": 0.5}
COARSEST_DRIVES_M = 0.9
"""Drives and pavements are not drawn where a pixel is larger."""

LAND_BEFORE = {"grass": 3.0, "crop": 2.0, "soil": 1.5, "forest": 2.0, "scrub": 1.0, "groundwork": 2}
"""What new housing takes up."""

_MARKS = {"forest": Mark(VEGETATION, DISAPPEARED), "groundwork": Mark(BARE, DISAPPEARED)}


def housing(draft: Draft) -> Plan:
    """A suburb of houses of one sort on plots of one size."""
    plan = draft.plan("town", draft.ground(PLOTS, (18, 60)))
    streets, built = _laid_out(draft, None)
    trees = draft.loose_trees(4).joined(_gardens(draft, built))
    if streets and draft.rng.random() < 0.3:
        trees = trees.joined(woods.avenue(draft.rng, draft.frame, streets[-1]))
    return replace(plan, roads=tuple(streets), buildings=tuple(built), trees=trees)


def subdivision(draft: Draft, plan: Plan) -> Plan | None:
    """A zone of housing is new, on what was grass, field, wood or levelled ground."""
    zone = draft.spot((45, 190), 0.3, float(draft.rng.choice((0, 0.8))))
    return _of_its_own(draft, plan, zone) if not _is_housing(plan) else _within(draft, plan, zone)


def _is_housing(plan: Plan) -> bool:
    return plan.setting == "town" and len(plan.buildings) > 3


def _within(draft: Draft, plan: Plan, zone: FloatArray) -> Plan | None:
    """A part of the suburb that stands is new."""
    if not any(stands_on(zone, one) for one in plan.buildings):
        return None
    built = tuple(
        replace(one, before=False) if stands_on(zone, one) else one for one in plan.buildings
    )
    lanes = tuple(piece for one in plan.roads for piece in roads.split(one, zone))
    trees = plan.trees
    inside = woods.covered(zone, np.stack((trees.x, trees.y), -1))
    young = inside & (draft.rng.random(len(inside)) < 0.8)
    trees = replace(trees, before=trees.before & ~young)
    plan = replace(plan, buildings=built, roads=lanes, trees=trees)
    return told(replace(plan, areas=(*plan.areas, _land(draft, zone))), "subdivision", "house")


def _of_its_own(draft: Draft, plan: Plan, zone: FloatArray) -> Plan | None:
    """Housing comes where there was none."""
    lanes, built = _laid_out(draft, zone)
    built = [replace(one, before=False) for one in built if stands_on(zone, one)]
    if not built:
        return None
    fresh = [piece for one in lanes for piece in roads.split(one, zone) if not piece.before]
    standing = tuple(one for one in plan.buildings if not stands_on(zone, one))
    trees = _gardens(draft, built)
    trees = replace(trees, before=np.zeros(len(trees.x), bool))
    kind = str(draft.rng.choice(("lawn", "groundwork", "soil"), p=(0.6, 0.25, 0.15)))
    ground = Area(zone, None, kind, NO_MARK)
    plan = replace(
        plan,
        areas=(*plan.areas, ground),
        roads=(*fresh, *plan.roads),
        buildings=(*standing, *built),
        trees=felled(plan.trees, zone).joined(trees),
    )
    return told(plan, "subdivision", "house")


def _land(draft: Draft, zone: FloatArray) -> Area:
    """The zone as it was, and as it is once built on."""
    rng = draft.rng
    share = np.array(list(LAND_BEFORE.values()))
    was = str(rng.choice(list(LAND_BEFORE), p=share / share.sum()))
    after = str(rng.choice(("", "groundwork", "soil"), p=(0.7, 0.18, 0.12))) or None
    return Area(zone, was, after, _MARKS.get(was, NO_MARK))


def _gardens(draft: Draft, built: list[Building]) -> Trees:
    each = float(draft.rng.uniform(0, 2.5)) * draft.climate.tree_cover
    return woods.garden(draft.rng, draft.frame, built, each, draft.evergreen)


def _laid_out(draft: Draft, zone: FloatArray | None) -> tuple[list[Road], list[Building]]:
    """Pavements, drives and streets, bottom first, and the houses along them."""
    rng, frame = draft.rng, draft.frame
    streets = roads.winding(
        rng,
        frame,
        draft.climate,
        draft.soil,
        float(rng.uniform(56, 84)),
        float(rng.choice((0.0, 0.08, 0.25, 0.4))),
        0.97,
    )
    streets = [piece for one in streets for piece in _ended(draft, one)]
    style = houses.Style(rng, frame, draft.climate, suburban=True)
    taken = roads.cover(streets, frame.size_px, frame.px(1.5))
    built, drives = _plots(draft, streets, style, houses.Room(frame.size_px, taken), zone)
    if frame.gsd_m > COARSEST_DRIVES_M:
        return streets, built
    walks = _pavements(draft, streets) if rng.random() < 0.6 else []
    return [*walks, *drives, *streets], built


def _ended(draft: Draft, one: Road) -> list[Road]:
    """A street as it is, or ended within the picture by a place to turn."""
    rng, frame = draft.rng, draft.frame
    if rng.random() > 0.3:
        return [one]
    start, stop = (0.0, float(rng.uniform(0.35, 0.62)))
    if rng.random() < 0.5:
        start, stop = 1 - stop, 1.0
    part = roads.trimmed(one, start, stop)
    end = part.points[-1] if start == 0 else part.points[0]
    radius = max(frame.px(float(rng.uniform(8, 12))), one.width / 2)
    turn = np.linspace(0, 2 * np.pi, 17)
    ring = end + radius / 2 * np.stack((np.cos(turn), np.sin(turn)), -1)
    return [part, replace(one, points=ring, width=radius, lined=False)]


def _plots(
    draft: Draft,
    streets: Iterable[Road],
    style: houses.Style,
    room: houses.Room,
    zone: FloatArray | None,
) -> tuple[list[Building], list[Road]]:
    """A house a plot, at one distance from the street, and the drives up to them."""
    rng, frame = draft.rng, draft.frame
    lot_m, front_m = float(rng.uniform(13, 25)), float(rng.uniform(4.5, 9))
    share, stray = float(rng.uniform(0.7, 1.0)), float(rng.choice((0.01, 0.03, 0.08)))
    drive = colour(rng, SURFACES["concrete" if rng.random() < 0.7 else "asphalt"])
    built, drives, edge = list[Building](), list[Road](), frame.px(9)
    for one in streets:
        for (x, y), angle in houses.stations(one, frame.px(lot_m), frame.size_px):
            if zone is not None and not houses.covers(zone, x, y):
                continue
            for side in (-1, 1):
                if rng.random() > share:
                    continue
                long_m = min(lot_m - 2.5, 18) * float(rng.uniform(0.72, 1.0))
                deep_m = float(rng.uniform(8.5, 12.5))
                out = one.width / 2 + frame.px(front_m + deep_m / 2 + float(rng.normal(0, 0.5)))
                normal = np.array((-np.sin(angle), np.cos(angle))) * side
                at = np.array((x, y)) + normal * out
                if not (-edge < at.min() and at.max() < frame.size_px + edge):
                    continue
                turn = angle + float(rng.normal(0, stray))
                size = (frame.px(long_m), frame.px(deep_m))
                house = style.house(rng, float(at[0]), float(at[1]), turn, size)
                if not room.place(house, frame.px(0.8)):
                    continue
                built.append(house)
                if frame.gsd_m <= COARSEST_DRIVES_M:
                    slide = float(rng.choice((-1, 1))) * size[0] * 0.3
                    along = np.array((np.cos(angle), np.sin(angle))) * slide
                    near = np.array((x, y)) + along + normal * one.width * 0.4
                    points = np.stack((at + along, near))
                    wide = frame.px(float(rng.uniform(3, 6)))
                    drives.append(Road(points, wide, "concrete", drive, line=roads.DRIVE))
    return built, drives


def _pavements(draft: Draft, streets: list[Road]) -> list[Road]:
    """Pavements along both sides of streets, a verge away."""
    rng, frame = draft.rng, draft.frame
    verge_px, wide = frame.px(float(rng.uniform(0.3, 2.5))), frame.px(1.5)
    rgb = colour(rng, SURFACES["concrete"])
    walks = []
    for one in streets:
        way = np.gradient(one.points, axis=0)
        out = np.stack((-way[:, 1], way[:, 0]), -1) / np.maximum(np.hypot(*way.T), 1e-6)[:, None]
        away = out * (one.width / 2 + verge_px + wide / 2)
        walks += [
            Road(one.points + side * away, wide, "concrete", rgb, line=roads.DRIVE + 1)
            for side in (-1, 1)
        ]
    return walks
