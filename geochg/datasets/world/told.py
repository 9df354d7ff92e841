"""What all events do: tell of themselves, and fell the trees in their way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geochg.datasets.world import roads, woods
from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.plan import Event, Plan, Trees


def told(plan: Plan, name: str, noun: str, before: str = "") -> Plan:
    """The plan with one more event to tell of."""
    return replace(plan, events=(*plan.events, Event(name, noun, before, plan.setting)))


def felled(trees: Trees, spot: FloatArray) -> Trees:
    """The trees, of which those on covered ground stand before only."""
    gone = woods.covered(spot, np.stack((trees.x, trees.y), -1))
    return replace(trees, after=trees.after & ~gone, marked=trees.marked | gone)


def tidied(plan: Plan) -> Plan:
    """The plan without trees on roads and in water, and without drives that lead to no house."""
    plan = replace(plan, roads=roads.drives(plan))
    if not len(plan.trees.x):
        return plan
    trees, places = plan.trees, np.stack((plan.trees.x, plan.trees.y), -1)
    size = plan.frame.size_px
    for after in (False, True):
        there = [one for one in plan.roads if (one.after if after else one.before)]
        wet = [a.cover for a in plan.areas if (a.after if after else a.before) == "water"]
        taken = np.maximum.reduce([roads.cover(there, size), *wet])
        free = ~woods.covered(taken, places)
        trees = (
            replace(trees, after=trees.after & free)
            if after
            else replace(trees, before=trees.before & free)
        )
    return replace(plan, trees=trees)
