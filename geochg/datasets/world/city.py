"""The 10 m family: towns, fields and open land in which a house is less than a pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geochg.datasets.world import blocks, grids, houses, parcels, roads
from geochg.datasets.world.climate import CLIMATES, SURFACES, colour
from geochg.datasets.world.kinds import (
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
from geochg.datasets.world.noise import blobs
from geochg.datasets.world.plan import (
    MARGIN_PX,
    Area,
    Building,
    Event,
    Frame,
    Parcels,
    Plan,
    Road,
)
from geochg.datasets.world.settings import Draft, yards
from geochg.datasets.world.shapes import coordinates, curve, soft

DRY_SHARE = 0.25
SETTINGS = {"country": 0.4, "suburbs": 0.28, "gardens": 0.1, "centre": 0.12, "trade": 0.1}
"""Towns among fields, and the styles of towns on a grid, by share."""

BLOCKS = {
    "town": 8.0,
    "dense": 1.0,
    "sparse": 0.8,
    "concrete": 0.8,
    "lawn": 0.6,
    "soil": 0.5,
    "grass": 0.5,
    "forest": 0.2,
}
LAND = {"crop": 6.0, "grass": 2.0, "scrub": 1.0, "soil": 0.7, "forest": 1.0, "orchard": 0.4}
WOODED = {"forest": 4.0, "conifer": 3.0, "grass": 1.5, "rock": 0.6, "scrub": 0.6}
OPEN = ("low", "dry", "wood")


def place(rng: np.random.Generator, picture_px: int, gsd_m: float) -> tuple[Draft, Plan]:
    """An unchanged stretch of town and country at about 10 m a pixel."""
    draft = Draft(rng, Frame(picture_px + 2 * MARGIN_PX, gsd_m))
    if rng.random() < DRY_SHARE:
        _dried(draft)
    style = str(rng.choice(list(SETTINGS), p=list(SETTINGS.values())))
    plan = _country(draft) if style == "country" else _gridded(draft, style)
    areas = _coast(draft) if style == "trade" and rng.random() < 0.6 else ()
    return draft, replace(plan, areas=(*_nature(draft), *areas))


def _dried(draft: Draft) -> None:
    """Moves a place to the desert."""
    draft.climate_name, draft.climate = "desert", CLIMATES["desert"]
    draft.soil = colour(draft.rng, draft.climate.soils)


def _gridded(draft: Draft, style: str) -> Plan:
    """A town on a street grid all over the picture."""
    share = float(draft.rng.uniform(*((0.75, 1.0) if style == "centre" else (0.15, 0.9))))
    plan = grids.place(draft, style, share)
    town = np.ones(plan.parcels.labels.shape, np.float32)
    halls = _halls(draft, plan, town, int(draft.rng.integers(0, 25)))
    return replace(plan, buildings=(*blocks.standing_halls(draft, plan), *halls))


def _coast(draft: Draft) -> tuple[Area, ...]:
    """The sea along one side, behind a quay or a shore."""
    along, across = coordinates(draft.frame.size_px, draft.angle)
    ragged = float(draft.rng.choice((0, 4, 12))) * blobs(draft.rng, draft.frame.size_px, 32)
    away = float(draft.rng.uniform(0.05, 0.4)) * draft.frame.size_px
    side = along if draft.rng.random() < 0.5 else -across
    return (Area(soft(side - np.float32(away) + ragged), "water", "water"),)


def _country(draft: Draft) -> Plan:
    """Fields or woods with a town."""
    rng, size = draft.rng, draft.frame.size_px
    fields = _fields(draft)
    town = (
        draft.spot((500, 1800), 0.9) if rng.random() < 0.9 else np.zeros((size, size), np.float32)
    )
    streets_px = float(rng.choice((0, 2, 6)))
    built = _blocks(draft, town, BLOCKS, 100, streets_px)
    ground = _merged(fields, built, _whole_blocks(built, town))
    streets = [_street(draft, float(rng.choice((0, 4, 14)))) for _ in range(rng.integers(1, 6))]
    plan = replace(draft.plan("coarse", ground), roads=tuple(streets))
    return replace(plan, buildings=tuple(_halls(draft, plan, town)))


def _fields(draft: Draft) -> Parcels:
    rng = draft.rng
    weights = LAND | ({"desert": 30.0} if draft.climate_name == "desert" else {})
    if draft.climate_name != "desert" and rng.random() < 0.15:
        weights = WOODED
    mean_px = float(np.exp(rng.uniform(np.log(7), np.log(40))))
    warp = float(rng.choice((0, 1, 4)))
    if rng.random() < 0.55:
        thin = float(rng.uniform(0.4, 1))
        cut = parcels.bricks(
            rng, draft.frame, weights, draft.angle, (mean_px * 1.5, mean_px * thin), warp
        )
        if len(cut.before) <= 120:
            return replace(cut, border=0.3 * cut.border)
    return replace(parcels.cells(rng, draft.frame, weights, max(mean_px, 20), warp * 2), border=0.2)


def _blocks(
    draft: Draft, zone: FloatArray, weights: Mapping[str, float], most: int, warp_px: float
) -> Parcels:
    """Blocks of a town over a zone, about as many as may be."""
    within = ndimage.binary_dilation(zone > 0.5, iterations=6)
    least = float(np.sqrt(within.sum() / (1.6 * most)))
    side = max(float(draft.rng.uniform(5, 14)), least)
    return parcels.bricks(
        draft.rng, draft.frame, weights, draft.angle, (side * 1.6, side), warp_px, within
    )


def _whole_blocks(built: Parcels, zone: FloatArray) -> NDArray[np.bool_]:
    """The whole blocks of which more than half lies in a zone: its edge runs along them."""
    inside = np.bincount(built.labels.ravel(), zone.ravel(), len(built.before))
    share = inside / np.maximum(parcels.sizes(built), 1)
    within: NDArray[np.bool_] = (share > 0.5)[built.labels]
    return within


def _merged(outer: Parcels, inner: Parcels, within: NDArray[np.bool_]) -> Parcels:
    first = len(outer.before)
    kinds = inner.before[: 250 - first]
    numbers = np.minimum(inner.labels.astype(np.int64), len(kinds) - 1) + first
    labels = np.where(within, numbers, outer.labels).astype(np.uint8)
    joined = outer.before + kinds
    angles = np.concatenate((outer.angles, inner.angles[: len(kinds)]))
    return Parcels(labels, joined, joined, angles, max(outer.border, 0.6))


def _street(draft: Draft, bend_px: float) -> Road:
    rng = draft.rng
    x, y = (float(v) for v in rng.uniform(0.1, 0.9, 2) * draft.frame.size_px)
    angle = draft.angle + np.pi / 2 * int(rng.integers(2)) + float(rng.normal(0, 0.05))
    if rng.random() < 0.3:
        angle = float(rng.uniform(0, np.pi))
    line = curve(rng, draft.frame, (x, y), angle, bend_px)
    rgb = colour(rng, SURFACES[str(rng.choice(("asphalt", "concrete")))])
    return Road(line, float(rng.uniform(0.9, 2.6)), "asphalt", rgb)


def _halls(draft: Draft, plan: Plan, town: FloatArray, count: int | None = None) -> list[Building]:
    """Roofs large enough to be seen one by one."""
    rng, frame = draft.rng, draft.frame
    room = houses.Room(frame.size_px, roads.cover(plan.roads, frame.size_px, 0.5))
    wanted = int(rng.integers(0, 60)) if count is None else count
    built = list[Building]()
    for x, y in rng.uniform(0, frame.size_px, (wanted * 3, 2)):
        if town[int(y), int(x)] < 0.5:
            continue
        size_m = float(np.exp(rng.normal(np.log(55), 0.5)))
        one = houses.hall(
            rng,
            frame,
            float(x),
            float(y),
            plan.angle,
            size_m,
            size_m * float(rng.uniform(0.35, 0.9)),
        )
        if room.place(one, 0.5):
            built.append(one)
        if len(built) >= wanted:
            break
    return built


def _nature(draft: Draft) -> list[Area]:
    """Water, woods and rivers over all the rest."""
    rng, areas = draft.rng, list[Area]()
    if rng.random() < 0.3:
        kind = "conifer" if rng.random() < 0.4 else "forest"
        areas.append(Area(draft.spot((300, 1400), 0.9), kind, kind))
    if rng.random() < 0.3:
        areas.append(Area(draft.spot((120, 900), 0.8), "water", "water"))
    if rng.random() < 0.25:
        river = replace(_street(draft, float(rng.uniform(15, 50))), width=float(rng.uniform(2, 14)))
        areas.append(Area(roads.cover((river,), draft.frame.size_px), "water", "water"))
    return areas


# --- what happens --------------------------------------------------------------------------------


def _told(plan: Plan, name: str, noun: str) -> Plan:
    return replace(plan, events=(*plan.events, Event(name, noun, "", "open")))


def _candidates(plan: Plan, groups: tuple[str, ...]) -> np.ndarray:
    """Numbers of unchanged parcels of some groups that can be seen."""
    sizes = parcels.sizes(plan.parcels)
    return np.array(
        [
            n
            for n, (old, new) in enumerate(
                zip(plan.parcels.before, plan.parcels.after, strict=True)
            )
            if old == new and GROUPS[old] in groups and 12 <= sizes[n] <= 9000
        ],
        int,
    )


def district(draft: Draft, plan: Plan) -> Plan | None:
    """A new district: blocks of roofs with streets between them on open ground."""
    rng, room = draft.rng, 240 - len(plan.parcels.before)
    if room < 30:
        return None
    spot = draft.spot((120, 800), 0.35, float(rng.choice((0, 1))))
    building = float(rng.choice((0.3, 3)))
    weights = {"town": 7.0, "groundwork": building, "concrete": 0.7, "lawn": 0.5}
    fresh = _blocks(draft, spot, weights, min(room, 60) // 2, 0)
    zone = _whole_blocks(fresh, spot)
    if not zone.any():
        return None
    merged = _overlaid(plan.parcels, fresh, zone, room)
    if merged is None:
        return None
    gone = tuple(b for b in plan.buildings if not houses.stands_on(spot, b))
    plan = replace(plan, parcels=merged, buildings=gone)
    halls = _halls(draft, plan, spot, int(rng.integers(0, 14)))
    plan = replace(plan, buildings=(*gone, *(replace(h, before=False) for h in halls)))
    return _told(plan, "district", "district")


def _overlaid(old: Parcels, fresh: Parcels, zone: NDArray[np.bool_], room: int) -> Parcels | None:
    """Parcels that are as they were before, and blocks where a zone lies on open ground after."""
    pairs = zip(old.before, old.after, strict=True)
    is_open = np.array([GROUPS[one] in OPEN and one == other for one, other in pairs])
    zone = zone & is_open[old.labels]
    codes = old.labels.astype(np.int64) * 256 + fresh.labels
    used, numbers = np.unique(codes[zone], return_inverse=True)
    if not 1 <= len(used) <= room:
        return None
    first = len(old.before)
    labels = old.labels.copy()
    labels[zone] = (first + numbers).astype(np.uint8)
    under, block = (used // 256).tolist(), (used % 256).tolist()
    looks = old.looks or (tuple(range(first)),) * 2
    return Parcels(
        labels,
        old.before + tuple(old.before[k] for k in under),
        old.after + tuple(fresh.before[k] for k in block),
        np.concatenate((old.angles, old.angles[under])),
        max(old.border, 0.6),
        (
            looks[0] + tuple(looks[0][k] for k in under),
            looks[1] + tuple(first + block.index(k) for k in block),
        ),
    )


def turned(draft: Draft, plan: Plan) -> Plan | None:
    """Single parcels are built over, levelled or paved."""
    choices = _candidates(plan, OPEN)
    if not len(choices):
        return None
    kinds = ("town", "groundwork", "concrete", "quarry")
    for number in draft.rng.choice(
        choices, min(len(choices), int(draft.rng.integers(1, 7))), replace=False
    ).tolist():
        kind = str(draft.rng.choice(kinds, p=(0.4, 0.35, 0.15, 0.1)))
        plan = replace(plan, parcels=plan.parcels.changed(int(number), None, kind))
    return _told(plan, "turned", "development")


def halls(draft: Draft, plan: Plan) -> Plan | None:
    """Large new roofs, alone or in groups, with paved or bare ground about them."""
    rng = draft.rng
    zone = draft.spot((80, 900), 0.6)
    fresh = _halls(draft, plan, zone, int(rng.integers(1, 16)))
    fresh = [replace(one, before=False) for one in fresh]
    if not fresh:
        return None
    areas = list(plan.areas)
    if rng.random() < 0.6:
        kind = str(rng.choice(("concrete", "groundwork", "paved")))
        mark = Mark(BARE if kind == "groundwork" else ROAD, APPEARED)
        areas.append(replace(yards(draft, fresh, kind), before=None, mark=mark))
    return _told(
        replace(plan, buildings=(*plan.buildings, *fresh), areas=tuple(areas)), "halls", "building"
    )


def motorway(draft: Draft, plan: Plan) -> Plan | None:
    """A new road, wide enough to be seen."""
    one = _street(draft, float(draft.rng.choice((0, 4, 14))))
    one = replace(one, width=float(draft.rng.uniform(1.4, 4)), before=False)
    if draft.rng.random() < 0.45:
        wide = roads.cover((one,), draft.frame.size_px, float(draft.rng.uniform(0.5, 3)))
        verge = Area(wide, None, "groundwork", Mark(BARE, APPEARED))
        plan = replace(plan, areas=(*plan.areas, verge))
    return _told(replace(plan, roads=(one, *plan.roads)), "motorway", "road")


def digging(draft: Draft, plan: Plan) -> Plan | None:
    """Bare ground where there was none: levelling, quarries, building sites."""
    kind = str(draft.rng.choice(("groundwork", "quarry")))
    spot = draft.spot((70, 500), 0.6, float(draft.rng.choice((0, 1))))
    area = Area(spot, None, kind, Mark(BARE, APPEARED))
    standing = tuple(b for b in plan.buildings if not houses.stands_on(spot, b))
    return _told(
        replace(plan, areas=(*plan.areas, area), buildings=standing), "digging", "bare land"
    )


def cutting(draft: Draft, plan: Plan) -> Plan | None:
    """A wood is cut, or a new one closes."""
    spot = draft.spot((90, 500), 0.5)
    around = Area(np.maximum(draft.spot((300, 1200), 0.8), spot), "forest", "forest")
    if draft.rng.random() < 0.7:
        cut = Area(spot, "forest", "clearing", Mark(VEGETATION, DISAPPEARED))
        return _told(replace(plan, areas=(*plan.areas, around, cut)), "cutting", "forest")
    grown = Area(spot, None, "forest", Mark(VEGETATION, APPEARED))
    return _told(replace(plan, areas=(*plan.areas, grown)), "planting", "tree")


def tide(draft: Draft, plan: Plan) -> Plan | None:
    """Water comes or goes."""
    spot = draft.spot((90, 700), 0.7)
    rising = draft.rng.random() < 0.6
    area = (
        Area(spot, None, "water", Mark(WATER, APPEARED))
        if rising
        else Area(spot, "water", "soil", Mark(WATER, DISAPPEARED))
    )
    core = Area(
        np.clip(spot * 2 - 1, 0, 1) * (draft.spot((90, 500), 0.6) > 0.5), "water", "water", NO_MARK
    )
    areas = (area, core) if draft.rng.random() < 0.5 else (area,)
    standing = tuple(b for b in plan.buildings if not houses.stands_on(spot, b))
    return _told(
        replace(plan, areas=(*plan.areas, *areas), buildings=standing),
        "flooding" if rising else "drying",
        "lake",
    )


EVENTS: Mapping[Callable[[Draft, Plan], Plan | None], float] = {
    blocks.filled: 4.0,
    blocks.trade: 1.8,
    blocks.levelled: 1.5,
    blocks.cleared: 1.2,
    blocks.rebuilt: 0.8,
    blocks.densified: 1.5,
    district: 3.0,
    turned: 2.0,
    halls: 2.5,
    motorway: 1.4,
    digging: 1.2,
    cutting: 0.6,
    tide: 0.6,
}
"""What may happen, with weights."""


def happen(draft: Draft, plan: Plan, weights: Mapping[str, float]) -> Plan:
    """The plan after one to six events; arguments as `events.happen`."""
    events = list(EVENTS)
    share = np.array([EVENTS[one] * weights.get(one.__name__, 1.0) for one in events])
    wanted = int(draft.rng.choice((1, 2, 3, 4, 6), p=(0.3, 0.27, 0.2, 0.13, 0.1)))
    for _ in range(14):
        pick = events[int(draft.rng.choice(len(events), p=share / share.sum()))]
        plan = pick(draft, plan) or plan
        if len(plan.events) >= wanted:
            break
    return plan
