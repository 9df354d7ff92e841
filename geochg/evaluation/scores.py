"""How answers of yes or no compare with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.errors import RunError
from geochg.evaluation.options import FitMetric

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one way to answer; a score that divides by nothing is None.

    Attributes:
        true_positives: Changed and said so.
        false_positives: Unchanged, said to have changed.
        true_negatives: Unchanged and said so.
        false_negatives: Changed, said to be unchanged.
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
        """Share of right answers among those of change."""
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
        """All of them as plain JSON values."""
        counts = ("true_positives", "false_positives", "true_negatives", "false_negatives")
        return {name: getattr(self, name) for name in (*SHOWN, *counts)}


SHOWN = (
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "balanced_accuracy",
    "auroc",
)
"""The scores that a table shows, in its order."""


def scores(
    truth: NDArray[np.bool_], said: NDArray[np.bool_], likely: NDArray[np.float64] | None
) -> Scores:
    """The scores of some answers.

    Args:
        truth: `(items,)`, whether each changed.
        said: `(items,)`, whether it is said to have.
        likely: `(items,)`, the greater the likelier to have changed; None where that is not known.
    """
    return Scores(
        int(np.count_nonzero(truth & said)),
        int(np.count_nonzero(~truth & said)),
        int(np.count_nonzero(~truth & ~said)),
        int(np.count_nonzero(truth & ~said)),
        None if likely is None else auroc(truth, likely),
    )


def auroc(truth: NDArray[np.bool_], likely: NDArray[np.float64]) -> float | None:
    """See `Scores.auroc`; ties count half, and it is None where all items are of one kind.

    By the ranks of the changed items, which is the statistic of Mann and Whitney.
    """
    from scipy.stats import rankdata

    changed = int(np.count_nonzero(truth))
    unchanged = len(truth) - changed
    if not changed or not unchanged:
        return None
    above = float(rankdata(likely)[truth].sum()) - changed * (changed + 1) / 2
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
        metric: What is made as high as it can be.

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


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
