"""How well a head does, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Z = 1.959964


class Share(NamedTuple):
    """A share with its 95 % interval (Wilson 1927); all None where nothing was counted."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, hits: int, total: int) -> Share:
        """The share of so many."""
        if not total:
            return cls(None, None, None)
        share = hits / total
        centre = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
        reach = _Z * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
        reach /= 1 + _Z**2 / total
        return cls(
            round(share, 3), round(max(0.0, centre - reach), 3), round(min(1.0, centre + reach), 3)
        )

    def __str__(self) -> str:
        """In words, such as `0.87 (0.79 to 0.92)`."""
        if self.value is None:
            return "not known"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def precision(probability: NDArray[np.float64], accepted: NDArray[np.bool_], cut: float) -> Share:
    """The share of what reaches a cut that was accepted."""
    reaches = probability >= cut
    return Share.of(int((reaches & accepted).sum()), int(reaches.sum()))


def recall(probability: NDArray[np.float64], accepted: NDArray[np.bool_], cut: float) -> Share:
    """The share of what was accepted that reaches a cut."""
    return Share.of(int((accepted & (probability >= cut)).sum()), int(accepted.sum()))


def roc_auc(probability: NDArray[np.float64], accepted: NDArray[np.bool_]) -> float:
    """How often an accepted change stands before a rejected one; ties count half."""
    right, wrong = probability[accepted], probability[~accepted]
    before = (right[:, None] > wrong).mean() + (right[:, None] == wrong).mean() / 2
    return round(float(before), 3)


def precision_at_recall(
    score: NDArray[np.float64], accepted: NDArray[np.bool_], wanted_recall: float
) -> float:
    """The precision of the shortest list, best first, that holds such a share of the accepted.

    Changes of one score come together; not a number where none was accepted.
    """
    if not accepted.any():
        return math.nan
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(accepted[order])
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    long_ends = ends[hits[ends] >= wanted_recall * accepted.sum() - 1e-9]
    return float(hits[long_ends[0]] / (long_ends[0] + 1))


def review_order(probability: NDArray[np.float64]) -> NDArray[np.intp]:
    """Numbers of changes in the order in which a review teaches most: the least certain first.

    Args:
        probability: `(n,)` 0-1; what is not a number comes first, since nothing is known of it.
    """
    certainty = np.abs(np.nan_to_num(probability, nan=0.5) - 0.5)
    return np.argsort(certainty, kind="stable")
