"""Fits a head to verdicts: two classifiers cross-validated by place, the better one calibrated.

Needs scikit-learn, which only learning needs; a head is applied by ONNX Runtime.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geochg.extras import require_packages

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
"""Folds of the cross-validation; fewer where there are fewer places."""

WIDEST = 4.0
"""Standard deviations from the mean at which features are cut off."""

ENCODING_WEIGHT = 0.5
"""Weight of the columns of the encoding, of which there are many, beside 1 for the others."""

STRENGTHS = (0.003, 0.01, 0.03, 0.1)
"""Inverse strengths of regularisation that logistic regression is tried with."""

LEAST_FOR_TREES = 60
"""Fewest verdicts from which on gradient boosting is tried: with fewer it only learns by heart."""

_LARGEST_LOGIT = 12.0


@dataclass(frozen=True, eq=False)
class FeatureScaling:
    """How features are scaled: `clip((x - mean) / spread, ±WIDEST) * weight`.

    Attributes:
        mean: `(columns,)` float32.
        spread: `(columns,)` float32, above 0.
        weight: `(columns,)` float32.
    """

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    weight: NDArray[np.float32]

    @classmethod
    def of(cls, names: Sequence[str], values: NDArray[np.float32]) -> FeatureScaling:
        """The scaling that some rows call for."""
        spread = values.std(axis=0)
        weight = [ENCODING_WEIGHT if name.startswith("encoding_") else 1.0 for name in names]
        constant = spread < 1e-6
        return cls(
            values.mean(axis=0),
            np.where(constant, 1, spread).astype(np.float32),
            np.where(constant, 0, weight).astype(np.float32),
        )

    def scaled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows, scaled."""
        standard = np.clip((values - self.mean) / self.spread, -WIDEST, WIDEST)
        return np.asarray(standard * self.weight, np.float32)


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head in memory.

    Attributes:
        classifier: `logistic regression` or `gradient boosting`.
        scaling: How its features are scaled.
        model: The fitted estimator of scikit-learn, whose `decision_function` gives logits.
        slope: Slope of the calibration of its logits.
        intercept: Intercept of the calibration.
        held_out: `(n,)` calibrated probability of each verdict, by heads that had not seen its
            place.
    """

    classifier: str
    scaling: FeatureScaling
    model: Any
    slope: float
    intercept: float
    held_out: NDArray[np.float64]

    def probability(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """`(n,)` calibrated probability that each change is one."""
        logits = _logits(self.model, self.scaling.scaled(values))
        return sigmoid(self.slope * logits + self.intercept)


class _Candidate(NamedTuple):
    """A classifier to try, the simplest ones first."""

    name: str
    new_model: Callable[[], Any]


def fit_head(
    names: Sequence[str],
    values: NDArray[np.float32],
    accepted: NDArray[np.bool_],
    place: NDArray[np.int64],
) -> FittedHead:
    """Fits a head.

    Args:
        names: Names of the features.
        values: `(n, columns)` float32.
        accepted: `(n,)` bool, with both values.
        place: `(n,)` number of the place of each, so that no place is in two folds.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    require_packages("learn", "sklearn")
    import sklearn.ensemble  # noqa: F401 - its threads can be limited once it is there
    from threadpoolctl import threadpool_limits

    # Sums on several threads take longer for so few rows, and are rounded otherwise each time.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fold that did not converge: it is judged as it is
        folds = place_folds(accepted, place)
        best: tuple[float, _Candidate, NDArray[np.float64]] | None = None
        for candidate in _candidates(len(values)):
            logits = _held_out_logits(candidate, names, values, accepted, folds)
            loss = _loss(logits, accepted)
            # A later one must be clearly better: it can take more in by heart.
            if best is None or loss < best[0] - 0.01:
                best = loss, candidate, logits
        assert best is not None
        _, candidate, logits = best
        slope, intercept = platt(logits, accepted)
        scaling = FeatureScaling.of(names, values)
        model = candidate.new_model().fit(scaling.scaled(values), accepted)
    held_out = sigmoid(slope * logits + intercept)
    return FittedHead(candidate.name, scaling, model, slope, intercept, held_out)


def place_folds(accepted: NDArray[np.bool_], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """`(n,)` the fold of each verdict: places go together, and folds have shares of both kinds."""
    numbers, index = np.unique(place, return_inverse=True)
    folds = min(FOLDS, len(numbers))
    counts = np.zeros((len(numbers), 2))
    np.add.at(counts, (index, accepted.astype(int)), 1)
    of_place = np.zeros(len(numbers), np.int64)
    totals = np.zeros((folds, 2))
    usual_counts = counts.sum(axis=0) / folds
    for number in np.argsort(-counts.sum(axis=1), kind="stable").tolist():
        misfit = [
            np.square(
                (totals + counts[number] * (np.arange(folds) == fold)[:, None]) - usual_counts
            )
            for fold in range(folds)
        ]
        of_place[number] = int(np.argmin([part.sum() for part in misfit]))
        totals[of_place[number]] += counts[number]
    return of_place[index]


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of logits."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -50, 50))))


def platt(logits: NDArray[np.float64], accepted: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept that calibrate logits (Platt 1999, with his targets for few examples).

    Args:
        logits: `(n,)`.
        accepted: `(n,)` bool.
    """
    right, wrong = int(accepted.sum()), int((~accepted).sum())
    target = np.where(accepted, (right + 1) / (right + 2), 1 / (wrong + 2))
    slope, intercept = 1.0, 0.0
    for _ in range(50):  # Newton's method, with a ridge that draws the slope to 1
        share = sigmoid(slope * logits + intercept)
        weight = share * (1 - share)
        gradient = np.array([(share - target) @ logits + (slope - 1), (share - target).sum()])
        cross = weight @ logits
        curvature = np.array(
            [[weight @ logits**2 + 1, cross], [cross, weight.sum() + 1e-6]], np.float64
        )
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        slope, intercept = slope - float(step[0]), intercept - float(step[1])
        if float(np.abs(step).max()) < 1e-8:
            break
    return max(slope, 0.0), intercept


def _candidates(count: int) -> list[_Candidate]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    candidates = [
        _Candidate(
            "logistic regression",
            lambda strength=strength: LogisticRegression(C=strength, max_iter=500),  # type: ignore[misc]
        )
        for strength in STRENGTHS
    ]
    if count >= LEAST_FOR_TREES:
        candidates.append(
            _Candidate(
                "gradient boosting",
                lambda: HistGradientBoostingClassifier(
                    max_iter=40,
                    learning_rate=0.1,
                    max_leaf_nodes=6,
                    min_samples_leaf=8,
                    l2_regularization=1.0,
                    max_features=0.3,
                    early_stopping=False,
                    random_state=0,
                ),
            )
        )
    return candidates


def _held_out_logits(
    candidate: _Candidate,
    names: Sequence[str],
    values: NDArray[np.float32],
    accepted: NDArray[np.bool_],
    folds: NDArray[np.int64],
) -> NDArray[np.float64]:
    """`(n,)` the logit of each verdict, by a model that saw none of its fold."""
    logits = np.zeros(len(values))
    for fold in np.unique(folds).tolist():
        held_out = folds == fold
        fold_accepted = accepted[~held_out]
        if fold_accepted.all() or not fold_accepted.any():
            # One kind alone: all that is known is how often it came.
            share = (fold_accepted.sum() + 1) / (len(fold_accepted) + 2)
            logits[held_out] = math.log(share / (1 - share))
            continue
        scaling = FeatureScaling.of(names, values[~held_out])
        model = candidate.new_model().fit(scaling.scaled(values[~held_out]), fold_accepted)
        logits[held_out] = _logits(model, scaling.scaled(values[held_out]))
    return logits


def _logits(model: Any, scaled_values: NDArray[np.float32]) -> NDArray[np.float64]:  # noqa: ANN401
    logits = np.asarray(model.decision_function(scaled_values), np.float64)
    return np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)


def _loss(logits: NDArray[np.float64], accepted: NDArray[np.bool_]) -> float:
    """Mean log loss of calibrated held-out logits."""
    slope, intercept = platt(logits, accepted)
    share = np.clip(sigmoid(slope * logits + intercept), 1e-6, 1 - 1e-6)
    return float(-np.log(np.where(accepted, share, 1 - share)).mean())
