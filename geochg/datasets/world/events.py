"""What happens between the dates in the fine family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from geochg.datasets.world import building, estates, scales, suburbs, works
from geochg.datasets.world.plan import Plan
from geochg.datasets.world.settings import Draft

Happening = Callable[[Draft, Plan], Plan | None]
"""Something that happens to a plan; None where the place does not allow it."""

EVENTS: Mapping[Happening, float] = {
    building.infill: 5.0,
    building.expansion: 5.0,
    building.large: 3.0,
    suburbs.subdivision: 3.0,
    estates.store: 1.5,
    estates.quarter: 3.0,
    building.demolition: 0.8,
    building.replacement: 0.6,
    building.site: 2.2,
    works.parcel: 3.5,
    works.new_road: 1.2,
    works.widened: 0.4,
    works.parking: 0.8,
    works.quarry: 0.7,
    works.clearing: 1.0,
    works.planting: 1.0,
    works.felling: 0.5,
    works.burning: 0.3,
    works.flooding: 0.7,
    works.drying: 0.5,
    works.glasshouses: 0.15,
}
"""What may happen, with weights."""

NEAR: Mapping[Happening, float] = {
    building.infill: 2.0,
    building.expansion: 0.8,
    suburbs.subdivision: 2.5,
    estates.store: 1.6,
    estates.quarter: 0.2,
    works.parcel: 0.4,
    works.planting: 0.6,
    works.clearing: 0.7,
    building.site: 0.8,
}
FAR: Mapping[Happening, float] = {
    building.infill: 0.6,
    building.expansion: 0.8,
    estates.quarter: 3.0,
    suburbs.subdivision: 1.4,
    works.burning: 0.5,
    works.flooding: 0.6,
    works.drying: 0.5,
    works.parcel: 1.4,
    works.planting: 1.6,
    works.clearing: 1.5,
    building.site: 1.5,
}
"""Factors on the weights where houses are told apart, and where fields are."""


def factors(gsd_m: float) -> Mapping[Happening, float]:
    """Factors on the weights at a ground sample distance; others keep 1."""
    return NEAR if gsd_m < scales.FARTHEST_NEAR_M else FAR


def happen(draft: Draft, plan: Plan, weights: Mapping[str, float]) -> Plan:
    """The plan after one to three events, at least one of which took place.

    Args:
        draft: Draws them.
        plan: An unchanged place.
        weights: Relative weight of events by name; others keep 1.
    """
    events = list(EVENTS)
    at = factors(plan.frame.gsd_m)
    share = np.array(
        [EVENTS[one] * at.get(one, 1.0) * weights.get(one.__name__, 1.0) for one in events]
    )
    wanted = int(draft.rng.choice((1, 2, 3), p=(0.6, 0.28, 0.12)))
    for _ in range(12):
        pick = events[int(draft.rng.choice(len(events), p=share / share.sum()))]
        plan = pick(draft, plan) or plan
        if len(plan.events) >= wanted:
            break
    return plan
