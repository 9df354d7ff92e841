"""Events on the blocks of 10 m towns: filled, cleared, rebuilt, levelled, given to trade.

Each gives the plan after it, or None where there is no lot that it could happen on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.world import houses, parcels, roads
from geochg.datasets.world.grids import means
from geochg.datasets.world.kinds import APPEARED, BARE, GROUPS, FloatArray, Mark
from geochg.datasets.world.plan import Area, Building, Frame, Plan, Road
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.shapes import coordinates, curve
from geochg.datasets.world.told import told

OPEN = ("low", "dry", "worked")
"""Groups of ground that can be built over."""

HALL_ROOFS = {"white": 5.0, "metal": 3.0, "gravel": 2.0, "beige": 1.0, "blue": 0.5, "dark": 0.4}
LEAST_PX, MOST_PX = 30, 12_000
"""Least and most pixels of the lots that change."""


def filled(draft: Draft, plan: Plan) -> Plan | None:
    """Vacant lots fill with houses."""
    kind = str(draft.rng.choice(("town", "town", "town", "dense", "sparse")))
    return _turned(draft, plan, "filled", _free(plan, OPEN), kind, (1, 14))


def cleared(draft: Draft, plan: Plan) -> Plan | None:
    """Built lots become bare ground."""
    kind = str(draft.rng.choice(("groundwork", "soil", "lawn"), p=(0.5, 0.35, 0.15)))
    return _turned(draft, plan, "cleared", _free(plan, ("built", "garden")), kind, (1, 6))


def rebuilt(draft: Draft, plan: Plan) -> Plan | None:
    """Blocks are built anew, denser or less dense."""
    old, new = ("town", "dense") if draft.rng.random() < 0.7 else ("dense", "town")
    picks = [n for n in _free(plan, ("built",)) if plan.parcels.before[n] == old]
    return _turned(draft, plan, "rebuilt", picks, new, (1, 5))


def densified(draft: Draft, plan: Plan) -> Plan | None:
    """Between houses far apart come many more."""
    return _turned(draft, plan, "densified", _free(plan, ("garden",)), "town", (1, 8))


def levelled(draft: Draft, plan: Plan) -> Plan | None:
    """Lots are levelled, and bright tracks are laid over them."""
    rng = draft.rng
    picks = _near(draft, plan, _free(plan, (*OPEN[:2], "wood")), (1, 6))
    if not picks:
        return None
    spot = np.isin(plan.parcels.labels, picks).astype(np.float32)
    plan = _changed(plan, picks, "groundwork")
    cover = roads.cover(_tracks(draft, plan), plan.frame.size_px) * spot
    tracks = Area(cover * np.float32(rng.uniform(0.5, 1)), None, "quarry", Mark(BARE, APPEARED))
    return told(replace(plan, areas=(*plan.areas, tracks)), "levelled", "building site")


def trade(draft: Draft, plan: Plan) -> Plan | None:
    """Lots get halls with dark car parks."""
    picks = _near(draft, plan, _free(plan, OPEN), (1, 4))
    if not picks:
        return None
    ground = str(draft.rng.choice(("tarmac", "tarmac", "concrete", "groundwork")))
    built = [one for n in picks for one in on_lot(draft, plan, n)]
    plan = _changed(plan, picks, ground)
    fresh = (replace(one, before=False) for one in built)
    return told(replace(plan, buildings=(*plan.buildings, *fresh)), "trade", "building")


def on_lot(draft: Draft, plan: Plan, number: int) -> list[Building]:
    """A hall or two on a lot, with room for cars."""
    rng, frame = draft.rng, plan.frame
    x, y, long, deep = _box(plan, number)
    if min(long, deep) < 4:
        return []
    most = frame.px(400)
    long, deep = min(long, most), min(deep, most)
    share = float(rng.uniform(0.35, 0.85))
    length, width = long * share, deep * float(rng.uniform(0.35, 0.8))
    cosine, sine = np.cos(plan.angle), np.sin(plan.angle)
    found = []
    halves = int(rng.choice((1, 2))) if length > frame.px(150) else 1
    slide = (long - length) / 2 * float(rng.uniform(-0.8, 0.8))
    for half in range(halves):
        along = slide + (half - (halves - 1) / 2) * length / halves
        across = (deep - width) / 2 * float(rng.uniform(-0.9, 0.9))
        found.append(
            houses.hall(
                rng,
                frame,
                x + along * cosine - across * sine,
                y + along * sine + across * cosine,
                plan.angle,
                length / halves * 0.9 * frame.gsd_m,
                width * frame.gsd_m,
                roofs=HALL_ROOFS,
            )
        )
    return found


def standing_halls(draft: Draft, plan: Plan) -> tuple[Building, ...]:
    """Halls on the car parks that a town has from the start."""
    kinds = plan.parcels.before
    sizes = parcels.sizes(plan.parcels)
    there = [n for n, kind in enumerate(kinds) if kind == "tarmac" and sizes[n] >= LEAST_PX]
    return tuple(one for n in there[:40] for one in on_lot(draft, plan, n))


def _box(plan: Plan, number: int) -> tuple[float, float, float, float]:
    """Middle column and row of a lot, and its extent along and across the streets."""
    within = plan.parcels.labels == number
    along, across = (axis[within] for axis in coordinates(plan.frame.size_px, plan.angle))
    low, high = np.percentile(along, (3, 97)), np.percentile(across, (3, 97))
    u, v = float(low.mean()), float(high.mean())
    middle = (plan.frame.size_px - 1) / 2
    x = middle + u * np.cos(plan.angle) - v * np.sin(plan.angle)
    y = middle + u * np.sin(plan.angle) + v * np.cos(plan.angle)
    return float(x), float(y), float(np.ptp(low)), float(np.ptp(high))


def _free(plan: Plan, groups: tuple[str, ...]) -> list[int]:
    """Unchanged lots of some groups, neither too small to be seen nor most of the picture."""
    ground, sizes = plan.parcels, parcels.sizes(plan.parcels)
    pairs = zip(ground.before, ground.after, strict=True)
    return [
        n
        for n, (old, new) in enumerate(pairs)
        if old == new and GROUPS[old] in groups and LEAST_PX <= sizes[n] <= MOST_PX
    ]


def _near(draft: Draft, plan: Plan, choices: list[int], count: tuple[int, int]) -> list[int]:
    """Some of the choices: neighbours of one another, or strewn about."""
    if not choices:
        return []
    rng = draft.rng
    wanted = min(round(float(np.exp(rng.uniform(*np.log(count))))), len(choices))
    if rng.random() < 0.4:
        found: list[int] = rng.choice(choices, wanted, replace=False).tolist()
        return found
    middles = _middles(plan)[choices]
    away = np.hypot(*(middles - middles[int(rng.integers(len(choices)))]).T)
    return [choices[k] for k in np.argsort(away, kind="stable")[:wanted].tolist()]


def _middles(plan: Plan) -> NDArray[np.float64]:
    line = np.arange(plan.frame.size_px, dtype=np.float32)
    grids: tuple[FloatArray, ...] = tuple(np.meshgrid(line, line))
    return np.stack([means(plan.parcels.labels, grid) for grid in grids], -1)


def _turned(
    draft: Draft, plan: Plan, name: str, choices: list[int], kind: str, count: tuple[int, int]
) -> Plan | None:
    picks = _near(draft, plan, choices, count)
    return told(_changed(plan, picks, kind), name, "block") if picks else None


def _changed(plan: Plan, picks: list[int], kind: str) -> Plan:
    """The plan with lots of another kind after, and what stood on them gone."""
    spot = np.isin(plan.parcels.labels, picks).astype(np.float32)
    ground = plan.parcels
    for number in picks:
        ground = ground.changed(number, None, kind)
    buildings = tuple(
        replace(one, after=False) if houses.stands_on(spot, one) else one
        for one in plan.buildings
        if one.before or not houses.stands_on(spot, one)
    )
    return replace(plan, parcels=ground, buildings=buildings)


def _tracks(draft: Draft, plan: Plan) -> list[Road]:
    rng, frame = draft.rng, plan.frame
    return [_track(rng, frame, plan.angle) for _ in range(int(rng.integers(4, 16)))]


def _track(rng: np.random.Generator, frame: Frame, angle: float) -> Road:
    x, y = (float(v) for v in rng.uniform(0, 1, 2) * frame.size_px)
    turn = angle + np.pi / 2 * int(rng.integers(2)) + float(rng.normal(0, 0.1))
    line = curve(rng, frame, (x, y), turn, float(rng.choice((0, 6))))
    return Road(line, float(rng.uniform(0.7, 1.8)), "track", (1.0, 1.0, 1.0))
