"""How dark still water is, by the levels of both dates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.radar.mixture import (
    CENTRES,
    LEAST_MODE,
    Component,
    counts_of,
    fit_mixture,
    fit_null,
    refitted,
)
from geochg.models.detectors.radar.statistics import WaterLevel, standard_level

MOST_WATER = 0.5
"""Of both dates together, more than half must be land, or it is not known which mode is water."""


def water_level(means: NDArray[np.float64]) -> WaterLevel | None:
    """The cut between land and still water, which mirrors radar away and is a dark mode of its own.

    The two modes and the cut between them are found as those of change are (`fit_mixture`), first
    with land as the core of all levels; where no mode lies apart from that, with both classes of
    Otsu (1979) as the start, as for land whose levels are spread widely. Where some ground is dark
    at both dates, that is still water, and nothing is that does not fall at least half as low.

    Args:
        means: `(2 polarisations, pixels)` float64, filtered decibels of the later date's unit.

    Returns:
        None where the levels have no dark mode.
    """
    dates = [means[number : number + 2].ravel() for number in range(0, len(means), 2)]
    land = [fit_null(levels) for levels in dates]
    if any(null.deviation <= 0 for null in land):
        return None
    centres = tuple(null.centre for null in land)
    deviations = tuple(null.deviation for null in land)
    levels = np.concatenate([standard_level(means, date, centres, deviations) for date in (0, 1)])
    mixture = fit_mixture(levels)
    if mixture.low is None:
        mixture = fit_mixture(levels, _otsu_classes(levels))
    if mixture.low is None or mixture.low.share > MOST_WATER:
        return None
    cut = mixture.crossing(-1)
    before, after = np.split(levels, 2)
    is_always = (before < cut) & (after < cut)
    if is_always.mean() >= LEAST_MODE:
        still = float(np.median(np.concatenate((before[is_always], after[is_always]))))
        cut = min(cut, still / 2)
    return WaterLevel(centres, deviations, cut)


def _otsu_classes(levels: NDArray[np.float64]) -> tuple[Component, Component]:
    """The upper and the lower class of the cut that parts their means farthest (Otsu 1979)."""
    shares = counts_of(levels) / max(len(levels), 1)
    below = np.cumsum(shares)
    total = np.cumsum(shares * CENTRES)
    between = (total[-1] * below - total) ** 2 / np.maximum(below * (1 - below), 1e-12)
    cut = int(np.argmax(between[:-1])) + 1
    is_upper = np.arange(len(shares)) >= cut
    unfitted = Component(0.0, 0.0, 1.0)
    return refitted(shares * is_upper, unfitted), refitted(shares * ~is_upper, unfitted)
