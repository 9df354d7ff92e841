"""How likely the object of each polygon is there: polygons against displaced copies of themselves.

A polygon's copies, moved to unmapped ground near it, tell how polygons of such shapes score where
there is no object; the median polygon tells how they score where there is one, since most of a
layer is right. Between the two a polygon's own score is placed, whatever the image looks like. What
that place means was fitted once, on labelled places (`benchmarks/check_fit.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = np.array([2.52, 1.19, -0.23, 0.5])
"""Log odds by place, gain, size, and place times size, see `log_odds`; fitted on places that the
built-in model was trained on."""
CONSTANT = 2.84

USUAL_COPY, USUAL_POLYGON = -2.0, 1.0
"""Median scores of copies and polygons where a layer is too small to tell its own."""
USUAL_SPREAD = 1.5
"""Spread of both in such a layer."""
USUAL_COUNT = 10.0
"""Polygons, or copies, that these count as much as."""

PRESENT_SHARE = 0.9
"""Share of the polygons that was right where the odds were fitted."""
SHARE_COUNT = 20.0
"""Polygons that this share counts as much as."""

_LEAST_GAP = 1.0
_MOST_SIZE = 4.0
_USUAL_CELLS = 16.0
_ROUNDS = 8
_MOST_SPREADS = 5.0
_MOST_GAIN = 4.0
_OF_NORMAL = 1.4826
"""A standard deviation by the median distance to the median."""


class PolygonMeasures(NamedTuple):
    """What is measured of polygons, or of copies of them.

    Attributes:
        score: `(n,)` mean log odds of the class of the ground in each.
        gain: `(n,)` how far the score lies above the best that a small shift would give.
        cells: `(n,)` cells that each covers.
    """

    score: NDArray[np.float64]
    gain: NDArray[np.float64]
    cells: NDArray[np.float64]


@dataclass(frozen=True)
class ScoreScale:
    """Scores of a layer: where there is nothing, and where there is an object.

    Attributes:
        low: Median score of copies.
        gap: How far that of polygons lies above.
        spread: Standard deviation of both, of most of them.
    """

    low: float
    gap: float
    spread: float

    @classmethod
    def of(cls, scores: NDArray[np.float64], copy_scores: NDArray[np.float64]) -> ScoreScale:
        """The scale of a layer, held near the usual one as far as it is small."""
        low = _held_near(copy_scores, USUAL_COPY)
        high = _held_near(scores, USUAL_POLYGON)
        squares = [_spread_of(values) ** 2 for values in (scores, copy_scores)]
        return cls(low, max(high - low, _LEAST_GAP), max(float(np.mean(squares)) ** 0.5, 0.3))

    @property
    def spreads(self) -> float:
        """How far both lie apart, by their spread: the more, the more a place between them says."""
        return min(self.gap / self.spread, _MOST_SPREADS)

    def place(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """0 for the score of the median copy, 1 for that of the median polygon."""
        place: NDArray[np.float64] = (scores - self.low) / self.gap
        return place


def log_odds(measures: PolygonMeasures, scale: ScoreScale) -> NDArray[np.float64]:
    """`(n,)` log odds that the object of each polygon is there, where nine in ten are."""
    odds: NDArray[np.float64] = measure_columns(measures, scale) @ WEIGHTS + CONSTANT
    return odds


def measure_columns(measures: PolygonMeasures, scale: ScoreScale) -> NDArray[np.float64]:
    """`(n, 4)`: what the weights are multiplied with."""
    size = np.clip(np.log2(np.maximum(measures.cells, 1) / _USUAL_CELLS), -_MOST_SIZE, _MOST_SIZE)
    middle = scale.place(measures.score) - 0.5
    gain = np.clip(measures.gain / scale.spread, -_MOST_GAIN, _MOST_GAIN)
    return np.stack([middle * scale.spreads, gain, size, middle * size], axis=1)


def present_probability(odds: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The probabilities with the share of right polygons that the layer itself tells.

    The share is found by expectation and maximisation, with a prior.

    Args:
        odds: `(n,)` what `log_odds` gives.

    Returns:
        `(n,)` probabilities 0-1, and the share.
    """
    usual = np.log(PRESENT_SHARE / (1 - PRESENT_SHARE))
    share, likely = PRESENT_SHARE, probability_of(odds)
    for _ in range(_ROUNDS if len(odds) else 0):
        right_count = PRESENT_SHARE * SHARE_COUNT + float(likely.sum())
        share = right_count / (SHARE_COUNT + len(odds))
        likely = probability_of(odds - usual + np.log(share / (1 - share)))
    return likely, share


def probability_of(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def _spread_of(values: NDArray[np.float64]) -> float:
    """The standard deviation of most values, held near the usual one as far as they are few."""
    if not len(values):
        return USUAL_SPREAD
    own_spread = _OF_NORMAL * float(np.median(np.abs(values - np.median(values))))
    total = len(values) * own_spread**2 + USUAL_COUNT * USUAL_SPREAD**2
    return math.sqrt(total / (len(values) + USUAL_COUNT))


def _held_near(values: NDArray[np.float64], usual: float) -> float:
    if not len(values):
        return usual
    count = len(values)
    return float((count * np.median(values) + USUAL_COUNT * usual) / (count + USUAL_COUNT))
