"""Which layout a place of the fine family has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from geochg.datasets.world import scales, settings, suburbs
from geochg.datasets.world.plan import MARGIN_PX, Frame, Plan
from geochg.datasets.world.settings import Draft

LAYOUTS: dict[Callable[[Draft], Plan], float] = {
    suburbs.housing: 3.0,
    settings.suburb: 2.0,
    settings.village: 1.4,
    settings.estate: 1.4,
    settings.farmland: 2.6,
    settings.woodland: 1.0,
    settings.waterside: 0.9,
    settings.open_land: 0.8,
}
"""Layouts with their weights."""

NEAR: dict[Callable[[Draft], Plan], float] = {
    suburbs.housing: 2.0,
    settings.farmland: 0.6,
    settings.waterside: 0.7,
}
FAR: dict[Callable[[Draft], Plan], float] = {
    suburbs.housing: 0.4,
    settings.suburb: 0.7,
    settings.farmland: 1.8,
}
"""Factors on the weights where houses are told apart, and where fields are."""


def place(rng: np.random.Generator, picture_px: int, gsd_m: float) -> tuple[Draft, Plan]:
    """An unchanged place of the fine family and the draft it came from."""
    draft = Draft(rng, Frame(picture_px + 2 * MARGIN_PX, gsd_m))
    at = NEAR if gsd_m < scales.FARTHEST_NEAR_M else FAR
    weights = np.array([weight * at.get(one, 1.0) for one, weight in LAYOUTS.items()])
    pick = int(rng.choice(len(weights), p=weights / weights.sum()))
    return draft, list(LAYOUTS)[pick](draft)
