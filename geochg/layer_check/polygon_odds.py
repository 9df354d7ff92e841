"""How likely the object of each polygon is there: polygons against displaced copies of themselves.

A polygon's copies, moved to unmapped ground near it, tell how polygons of such shapes score where
there is no object. What polygons score is a mixture of that and of what objects score; the share of
the mixture that is no object, at a given score, is the local false discovery rate (Efron 2008). The
mixture is fitted by expectation and maximisation, with a prior that most polygons are right and
that scores mean what they mean elsewhere, so that a layer of one polygon is judged too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

USUAL_WEIGHTS = np.array([0.3, 1.3, 0.15])
"""Log odds of an object against none: by constant, score, and score times how large the polygon
is. Chosen on places that the built-in model was trained on (`benchmarks/check.py`)."""

PRIOR_PRESENT, PRIOR_POLYGONS = 0.9, 10.0
"""The share of polygons that is right, and how many polygons that prior counts as much as."""

_WEIGHT_PRIOR = 4.0
_ROUNDS = 12
_STEPS = 4
_MOST_SIZE = 4.0


class PolygonOdds(NamedTuple):
    """Result for a layer.

    Attributes:
        probability: `(n,)` float64 0-1: that the object is there.
        weights: The weights that were fitted.
        present_share: The share of the polygons whose object is there.
    """

    probability: NDArray[np.float64]
    weights: NDArray[np.float64]
    present_share: float


def polygon_odds(
    scores: NDArray[np.float64],
    cells: NDArray[np.float64],
    copy_scores: NDArray[np.float64],
    copy_cells: NDArray[np.float64],
) -> PolygonOdds:
    """How likely the object of each polygon is there.

    Args:
        scores: `(n,)` mean score of the ground in each polygon.
        cells: `(n,)` cells that it covers.
        copy_scores: `(m,)` mean score in displaced copies.
        copy_cells: `(m,)` cells that these cover.
    """
    design, copies = _design(scores, cells), _design(copy_scores, copy_cells)
    weights, share = USUAL_WEIGHTS.copy(), PRIOR_PRESENT
    copy_weight = len(scores) / max(len(copies), 1)
    for _ in range(_ROUNDS if len(copies) else 0):
        likely = _present(design @ weights, share)
        ones = PRIOR_PRESENT * PRIOR_POLYGONS + likely.sum()
        share = float(ones / (PRIOR_POLYGONS + len(scores)))
        rows = np.concatenate([design, design, copies])
        wanted = np.repeat([1.0, 0.0, 0.0], [len(design), len(design), len(copies)])
        mass = np.concatenate([likely, 1 - likely, np.full(len(copies), copy_weight)])
        balance = np.log(max(likely.sum(), 1e-9) / max(mass[len(design) :].sum(), 1e-9))
        weights = _regressed(rows, wanted, mass, float(balance), weights)
    return PolygonOdds(_present(design @ weights, share), weights, share)


def odds_of(
    scores: NDArray[np.float64], cells: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log odds of an object against none, before any prior; arguments as `polygon_odds`."""
    log_odds: NDArray[np.float64] = _design(scores, cells) @ weights
    return log_odds


def _design(scores: NDArray[np.float64], cells: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.clip(np.log2(np.maximum(cells, 1.0) / 16), -_MOST_SIZE, _MOST_SIZE)
    return np.stack([np.ones(len(scores)), scores, scores * size], axis=1)


def _present(log_odds: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    logit = np.clip(log_odds + np.log(share / (1 - share)), -30, 30)
    return np.asarray(1 / (1 + np.exp(-logit)))


def _regressed(
    rows: NDArray[np.float64],
    wanted: NDArray[np.float64],
    mass: NDArray[np.float64],
    balance: float,
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Logistic regression by Newton's method, held near the usual weights."""
    # The prior is worth a few polygons, whatever the unit of a column.
    ridge = np.diag(_WEIGHT_PRIOR / np.maximum(USUAL_WEIGHTS**2, 0.05))
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-np.clip(rows @ weights + balance, -30, 30)))
        slope = rows.T @ (mass * (wanted - likely)) - ridge @ (weights - USUAL_WEIGHTS)
        curve = (rows * (mass * likely * (1 - likely))[:, None]).T @ rows + ridge
        weights = weights + np.linalg.solve(curve, slope)
    # More of the class in a polygon never speaks against it.
    weights[1] = max(weights[1], 0.05)
    return weights
