"""Cars and boats, which come and go and are no change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.world.plan import Plan, Rgb, Road
from geochg.datasets.world.roofs import Sheet

COARSEST_M = 2.0
PAINTS: tuple[Rgb, ...] = (
    (0.93, 0.93, 0.93),
    (0.8, 0.8, 0.82),
    (0.12, 0.12, 0.14),
    (0.35, 0.36, 0.38),
    (0.6, 0.12, 0.12),
    (0.15, 0.25, 0.5),
)


def cars(rng: np.random.Generator, plan: Plan, after: bool, sheet: Sheet) -> None:
    """Draws cars on the roads that are there and on paved ground."""
    if plan.frame.gsd_m > COARSEST_M:
        return
    for one in plan.roads:
        if (one.after if after else one.before) and one.surface != "track":
            _on_road(rng, plan, one, sheet)
    _parked(rng, plan, after, sheet)


def _on_road(rng: np.random.Generator, plan: Plan, one: Road, sheet: Sheet) -> None:
    steps = np.hypot(*np.diff(one.points, axis=0).T)
    length_m = float(steps.sum()) * plan.frame.gsd_m
    for _ in range(min(int(rng.poisson(length_m / 120)), 10)):
        start = int(rng.integers(len(steps)))
        way = one.points[start + 1] - one.points[start]
        angle = float(np.arctan2(way[1], way[0]))
        side = float(rng.choice((-1, 1))) * one.width * 0.25
        at = one.points[start] + rng.random() * way
        if not (-9 < at[0] < sheet.size_px + 9 and -9 < at[1] < sheet.size_px + 9):
            continue
        at = at + side * np.array((-np.sin(angle), np.cos(angle)))
        _car(rng, plan, sheet, at, angle)


def _parked(rng: np.random.Generator, plan: Plan, after: bool, sheet: Sheet) -> None:
    """Rows of cars on paved areas."""
    for number, area in enumerate(plan.areas):
        if (area.after if after else area.before) not in ("paved", "concrete"):
            continue
        above = [a.cover for a in plan.areas[number + 1 :] if (a.after if after else a.before)]
        rows, cols = np.nonzero(area.cover - sum(above) > 0.9)
        if not len(rows):
            continue
        for pick in rng.integers(0, len(rows), min(int(rng.integers(0, 22)), len(rows))):
            start = np.array((float(cols[pick]), float(rows[pick])))
            step = plan.frame.px(2.7) * np.array((np.cos(plan.angle), np.sin(plan.angle)))
            for number in range(int(rng.integers(1, 9))):
                _car(rng, plan, sheet, start + number * step, plan.angle + np.pi / 2)


def _car(
    rng: np.random.Generator, plan: Plan, sheet: Sheet, at: NDArray[np.float64], angle: float
) -> None:
    long = plan.frame.px(float(rng.uniform(3.8, 5)) if rng.random() < 0.9 else 9.0) / 2
    wide = plan.frame.px(1.9) / 2
    along = np.array((np.cos(angle), np.sin(angle)))
    across = np.array((-along[1], along[0])) * wide
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    along = along * long
    body = np.stack(
        (at + along + across, at + along - across, at - along - across, at - along + across)
    )
    sheet.face(body, paint, 1.0, plan.frame.px(1.4))
    if long > 4:
        glass = np.stack(
            (
                at + along * 0.5 + across * 0.8,
                at + along * 0.5 - across * 0.8,
                at + along * 0.2 - across * 0.8,
                at + along * 0.2 + across * 0.8,
            )
        )
        sheet.face(glass, (0.15, 0.17, 0.2), 1.0)
