"""What happens between the dates in the fine family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from geochg.datasets.world import building, works
from geochg.datasets.world.plan import Plan
from geochg.datasets.world.settings import Draft

Happening = Callable[[Draft, Plan], Plan | None]
"""Something that happens to a plan; None where the place does not allow it."""

EVENTS: Mapping[Happening, float] = {
    building.infill: 5.0,
    building.expansion: 5.0,
    building.large: 3.0,
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
    works.glasshouses: 0.5,
}
"""What may happen, with weights."""


def happen(draft: Draft, plan: Plan, weights: Mapping[str, float]) -> Plan:
    """The plan after one to three events, at least one of which took place.

    Args:
        draft: Draws them.
        plan: An unchanged place.
        weights: Relative weight of events by name; others keep 1.
    """
    events = list(EVENTS)
    share = np.array([EVENTS[one] * weights.get(one.__name__, 1.0) for one in events])
    wanted = int(draft.rng.choice((1, 2, 3), p=(0.6, 0.28, 0.12)))
    for _ in range(12):
        pick = events[int(draft.rng.choice(len(events), p=share / share.sum()))]
        plan = pick(draft, plan) or plan
        if len(plan.events) >= wanted:
            break
    return plan
