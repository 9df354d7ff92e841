"""Fits trees to labelled tiles: both classifiers cross-validated by place, the better one kept.

Needs scikit-learn, which only learning needs; trees are applied by ONNX Runtime.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.evaluation.scores import auroc
from geochg.extras import require_packages
from geochg.learning.fitting import sigmoid
from geochg.training.trees.options import TreeClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
"""Folds of the cross-validation; fewer where there are fewer places."""

LEAST_SHARE = 0.01
"""The share of the trees of a forest is kept this far from 0 and 1, so that its logit is finite."""

NAMES = {TreeClassifier.BOOSTING: "gradient boosting", TreeClassifier.FOREST: "random forest"}
"""Classifiers as cards call them."""


@dataclass(frozen=True, eq=False)
class FittedTrees:
    """Trees in memory.

    Attributes:
        classifier: `BOOSTING` or `FOREST`.
        model: The fitted estimator of scikit-learn.
        slope: Slope of the calibration of its logits.
        intercept: Intercept of the calibration.
        fold: `(n,)` number of the fold that each tile was held out with.
        held_out: `(n,)` calibrated probability of each tile, by trees that had not seen its place.
    """

    classifier: TreeClassifier
    model: Any
    slope: float
    intercept: float
    fold: NDArray[np.int64]
    held_out: NDArray[np.float64]

    def probability(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """`(n,)` calibrated probability that each tile changed."""
        return sigmoid(self.slope * _logits(self.model, vectors) + self.intercept)


def fit_trees(
    vectors: NDArray[np.float32],
    changed: NDArray[np.bool_],
    place: NDArray[np.int64],
    classifier: TreeClassifier = TreeClassifier.BEST,
    seed: int = 0,
) -> FittedTrees:
    """Fits trees.

    Args:
        vectors: `(n, columns)` float32, finite.
        changed: `(n,)` bool, with both values.
        place: `(n,)` number of the place of each; no place is in two folds. At least two places.
        classifier: The classifier; `BEST` for the one with the higher cross-validated AUROC.
        seed: Seed of the folds and of the trees.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    require_packages("learn", "sklearn")
    import sklearn.ensemble  # noqa: F401 - its threads can be limited once it is there
    from threadpoolctl import threadpool_limits

    kinds = list(NAMES) if classifier is TreeClassifier.BEST else [classifier]
    # Sums on several threads take longer for so few rows, and are rounded otherwise each time.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of folds without one of the kinds, which are judged too
        fold = place_folds(changed, place, seed)
        held_out = {kind: _held_out_logits(kind, vectors, changed, fold, seed) for kind in kinds}
        best = max(kinds, key=lambda kind: auroc(changed, held_out[kind]) or 0.0)
        model = _estimator(best, seed).fit(vectors, changed)
    slope, intercept = _platt(held_out[best], changed)
    probability = sigmoid(slope * held_out[best] + intercept)
    return FittedTrees(best, model, slope, intercept, fold, probability)


def place_folds(
    changed: NDArray[np.bool_], place: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """`(n,)` the fold of each tile: places go together, and folds have shares of both kinds."""
    from sklearn.model_selection import StratifiedGroupKFold

    count = min(FOLDS, len(np.unique(place)))
    division = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    fold = np.zeros(len(changed), np.int64)
    for number, (_, rows) in enumerate(division.split(changed[:, None], changed, place)):
        fold[rows] = number
    return fold


def _held_out_logits(
    kind: TreeClassifier,
    vectors: NDArray[np.float32],
    changed: NDArray[np.bool_],
    fold: NDArray[np.int64],
    seed: int,
) -> NDArray[np.float64]:
    """`(n,)` the logit of each tile, by trees that saw none of its fold."""
    logits = np.zeros(len(changed))
    for number in np.unique(fold).tolist():
        others = fold != number
        if changed[others].all() or not changed[others].any():
            continue  # of one kind alone nothing is learned
        model = _estimator(kind, seed).fit(vectors[others], changed[others])
        logits[~others] = _logits(model, vectors[~others])
    return logits


def _estimator(kind: TreeClassifier, seed: int) -> Any:  # noqa: ANN401
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    if kind is TreeClassifier.FOREST:
        return RandomForestClassifier(
            n_estimators=100,
            min_samples_leaf=2,
            max_features="sqrt",
            class_weight="balanced_subsample",
            random_state=seed,
        )
    return HistGradientBoostingClassifier(
        max_iter=40,
        learning_rate=0.15,
        max_leaf_nodes=6,
        min_samples_leaf=8,
        l2_regularization=1.0,
        max_features=0.3,
        early_stopping=False,
        class_weight="balanced",
        random_state=seed,
    )


def _logits(model: Any, vectors: NDArray[np.float32]) -> NDArray[np.float64]:  # noqa: ANN401
    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(vectors), np.float64)
    share = np.clip(model.predict_proba(vectors)[:, 1], LEAST_SHARE, 1 - LEAST_SHARE)
    return np.asarray(np.log(share / (1 - share)), np.float64)


def _platt(logits: NDArray[np.float64], changed: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept that calibrate logits (Platt 1999, with his targets for few examples)."""
    from scipy.optimize import minimize

    positives = int(changed.sum())
    negatives = len(changed) - positives
    target = np.where(changed, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(values: NDArray[np.float64]) -> float:
        margin = values[0] * logits + values[1]
        return float(np.mean(np.logaddexp(0, margin) - target * margin))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), bounds=[(1e-3, 10), (-20, 20)]).x
    return float(slope), float(intercept)
