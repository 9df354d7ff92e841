"""How large a pixel is on the ground, drawn for each pair."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Band(NamedTuple):
    """Ground sample distances that are drawn log-uniformly, in metres, and their weight."""

    low_m: float
    high_m: float
    weight: float


FINE_BANDS = (
    Band(0.4, 0.7, 0.40),  # city surveys, in which single houses are told apart
    Band(1.0, 2.5, 0.40),  # satellites and country-wide aerial surveys
    Band(0.2, 5.0, 0.20),  # all the rest
)
"""What the fine family is drawn from, as far as the options' bounds leave it."""

COARSE_M = (5.0, 15.0)
"""Bounds of the coarse family, most of which lies near `USUAL_COARSE_M`."""

USUAL_COARSE_M = 10.0
COARSEST_FINE_M = 5.0

FARTHEST_NEAR_M = 0.9
"""Below this, houses are told apart and are what changes; above it, rather whole fields."""


def fine_gsd_m(rng: np.random.Generator, low_m: float, high_m: float) -> float:
    """A ground sample distance of the fine family between two bounds.

    Bands that lie outside the bounds are left out; where all do, it is log-uniform.
    """
    pick, place = rng.random(2)
    cut = [Band(max(b.low_m, low_m), min(b.high_m, high_m), b.weight) for b in FINE_BANDS]
    cut = [b for b in cut if b.low_m < b.high_m] or [Band(low_m, high_m, 1.0)]
    shares = np.cumsum([b.weight for b in cut])
    band = cut[min(int(np.searchsorted(shares, pick * shares[-1])), len(cut) - 1)]
    low, high = np.log(band.low_m), np.log(band.high_m)
    return float(np.exp(low + (high - low) * place))


def coarse_gsd_m(rng: np.random.Generator) -> float:
    """A ground sample distance of the coarse family: 10 m in half of the pairs, else near it."""
    exact, stray = rng.random(), rng.normal(0, 0.3)
    if exact < 0.5:
        return USUAL_COARSE_M
    return float(np.clip(USUAL_COARSE_M * np.exp(stray), COARSE_M[0] * 1.01, COARSE_M[1]))
