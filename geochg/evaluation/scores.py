"""Scores of yes-or-no answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.errors import RunError
from geochg.evaluation.options import FitMetric


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a model or a baseline; a score that divides by nothing is None.

    Attributes:
        true_positives: Changed items, answered as changed.
        false_positives: Unchanged items, answered as changed.
        true_negatives: Unchanged items, answered as unchanged.
        false_negatives: Changed items, answered as unchanged.
        auroc: Area under the receiver operating characteristic: how often a changed item is found
            likelier to have changed than an unchanged one; None without probabilities.
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    auroc: float | None

    @property
    def accuracy(self) -> float | None:
        """Share of right answers."""
        right = self.true_positives + self.true_negatives
        return _share(right, right + self.false_positives + self.false_negatives)

    @property
    def precision(self) -> float | None:
        """Share of changed items among those answered as changed."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        """Share of right answers among the changed."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float | None:
        """Share of right answers among the unchanged."""
        return _share(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positives + self.false_negatives
        return _share(2 * self.true_positives, 2 * self.true_positives + wrong)

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of recall and specificity."""
        if self.recall is None or self.specificity is None:
            return None
        return (self.recall + self.specificity) / 2

    def to_dict(self) -> dict[str, float | None]:
        """All scores as plain JSON values."""
        counts = ("true_positives", "false_positives", "true_negatives", "false_negatives")
        return {name: getattr(self, name) for name in (*SHOWN, *counts)}


MODEL = "the model"
ALL_CHANGED, NO_CHANGE, DIFFERENCING = "all changed", "no change", "differencing"
"""The baselines: answering always yes, always no, and by the mean absolute difference of the
pictures against its best threshold."""

ZERO_SHOT = "zero-shot threshold"
"""The method that learns nothing but a threshold: by the change of the posteriors of classes."""

PAIRS_BY_LABEL: Mapping[str, bool | None] = {
    "changed pairs": True,
    "unchanged pairs": False,
    "unlabelled pairs": None,
}
"""Whether pairs changed by what reports call them; None where that is not known."""

SHOWN = ("accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy", "auroc")
"""The scores that a table shows, in its order."""


def scores(
    truth: NDArray[np.bool_], answers: NDArray[np.bool_], likely: NDArray[np.float64] | None
) -> Scores:
    """The scores of some answers.

    Args:
        truth: `(items,)`, whether each item changed.
        answers: `(items,)`, whether the answer is that it did.
        likely: `(items,)`, the greater the likelier to have changed; None where that is not known.
    """
    return Scores(
        int(np.count_nonzero(truth & answers)),
        int(np.count_nonzero(~truth & answers)),
        int(np.count_nonzero(~truth & ~answers)),
        int(np.count_nonzero(truth & ~answers)),
        None if likely is None else auroc(truth, likely),
    )


def baseline_scores(
    truth: NDArray[np.bool_], difference: NDArray[np.float64], threshold: float | None
) -> dict[str, Scores]:
    """The scores of the answers that need no model, by name.

    Args:
        truth: `(items,)`, whether each item changed.
        difference: `(items,)`, mean absolute difference of the two dates.
        threshold: Threshold of differencing; None leaves it out.
    """
    all_true, all_false = np.ones_like(truth), np.zeros_like(truth)
    baselines = {
        ALL_CHANGED: scores(truth, all_true, all_true.astype(float)),
        NO_CHANGE: scores(truth, all_false, all_false.astype(float)),
    }
    if threshold is not None:
        baselines[DIFFERENCING] = scores(truth, difference > threshold, difference)
    return baselines


def auroc(truth: NDArray[np.bool_], likely: NDArray[np.float64]) -> float | None:
    """See `Scores.auroc`; ties count half, and it is None where all items are of one kind.

    By the ranks of the changed items, which is the statistic of Mann and Whitney.
    """
    changed = int(np.count_nonzero(truth))
    unchanged = len(truth) - changed
    if not changed or not unchanged:
        return None
    _, value, count = np.unique(likely, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[value]
    above = float(ranks[truth].sum()) - changed * (changed + 1) / 2
    return above / (changed * unchanged)


def best_threshold(
    truth: NDArray[np.bool_], likely: NDArray[np.float64], metric: FitMetric
) -> float:
    """The threshold above which to say that an item changed.

    It lies half way between two values that occur; of several that are as good, the one in the
    widest gap.

    Args:
        truth: `(items,)`, both kinds among them.
        likely: `(items,)`.
        metric: Metric that is maximised.

    Raises:
        RunError: If all values are the same.
    """
    values = np.unique(likely)
    if len(values) < 2:
        raise RunError(
            "all pairs to fit on get the same probability, so there is no threshold between them",
            "leave out --fit-threshold, or fit on more pairs",
        )
    gaps = np.diff(values)
    middles = values[:-1] + gaps / 2
    # Two neighbouring floating-point numbers have none between them.
    middles = np.where(middles < values[1:], middles, values[:-1])
    changed, unchanged = np.sort(likely[truth]), np.sort(likely[~truth])
    hits = len(changed) - np.searchsorted(changed, middles, side="right")
    alarms = len(unchanged) - np.searchsorted(unchanged, middles, side="right")
    if metric is FitMetric.F1:
        reached = 2 * hits / (len(changed) + hits + alarms)
    else:
        reached = hits / len(changed) - alarms / len(unchanged)
    best = np.flatnonzero(reached >= reached.max() - 1e-12)
    return float(middles[best[gaps[best].argmax()]])


def difference_threshold(
    truth: NDArray[np.bool_], difference: NDArray[np.float64], metric: FitMetric
) -> float | None:
    """The best threshold of differencing; None for one kind of item, or one difference, only."""
    has_both = truth.any() and not truth.all()
    if not has_both or len(np.unique(difference)) < 2:
        return None
    return best_threshold(truth, difference, metric)


def _share(part: int, total: int) -> float | None:
    return part / total if total else None
