"""Histograms of scores by label, from which a threshold can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 20
"""Bins of equal width from 0 to 1."""

CHANGED, UNCHANGED, UNLABELLED = "changed", "unchanged", "unlabelled"
_LABELS: Mapping[str, bool | None] = {CHANGED: True, UNCHANGED: False, UNLABELLED: None}
_MARKS = {CHANGED: "#", UNCHANGED: "-", UNLABELLED: "."}
_BAR = 20
"""Length of the bar of a bin that holds all items of a label."""


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """Numbers of items by score and label.

    Attributes:
        group: Name of the scores.
        counts: `(bins,)` numbers of items by the name of the label; labels that no item has are
            left out.
    """

    group: str
    counts: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(
        cls, scores: NDArray[np.float64], labels: Sequence[bool | None], group: str
    ) -> ScoreHistogram:
        """The histogram of some items.

        Args:
            scores: `(items,)`, 0-1, such as probabilities of change.
            labels: `(items,)`, whether each changed; None where that is not known.
            group: Name of the scores.
        """
        # A float32 of 0.9 is a hair below it, and belongs above the edge.
        bins = np.minimum((np.round(scores, 6) * BINS).astype(np.int64), BINS - 1)
        counts = {}
        for name, label in _LABELS.items():
            of_label = np.array([value is label for value in labels], bool)
            if of_label.any():
                counts[name] = np.bincount(bins[of_label], minlength=BINS)
        return cls(group, counts)

    @property
    def items(self) -> int:
        """Number of items."""
        return int(sum(of_label.sum() for of_label in self.counts.values()))

    @property
    def detail(self) -> str:
        """Nothing that the title of the table would add."""
        return ""

    @property
    def thresholds(self) -> list[dict[str, float | None]]:
        """For the lower edge of each bin, the scores of calling changed what is not below it.

        `recall` and `specificity` are shares of the changed and of the unchanged items, and None
        where there are none.
        """
        edges = (np.arange(BINS) / BINS).tolist()
        below = {name: np.cumsum(count) - count for name, count in self.counts.items()}
        return [
            {
                "threshold": edge,
                "recall": self._share(CHANGED, bin_, below, from_here=True),
                "specificity": self._share(UNCHANGED, bin_, below, from_here=False),
            }
            for bin_, edge in enumerate(edges)
        ]

    def _share(
        self, label: str, bin_: int, below: Mapping[str, NDArray[np.int64]], *, from_here: bool
    ) -> float | None:
        """The share of a label's items from the lower edge of a bin on, or below it."""
        if label not in self.counts:
            return None
        share = int(below[label][bin_]) / int(self.counts[label].sum())
        return 1 - share if from_here else share

    def cells(self) -> list[list[str]]:
        """The heading and a row for each bin that holds an item, as text."""
        head = ["", *self.counts, "recall", "specificity", "".ljust(_BAR * len(self.counts))]
        rows = []
        for bin_, scores in enumerate(self.thresholds):
            numbers = {name: int(of_label[bin_]) for name, of_label in self.counts.items()}
            if any(numbers.values()):
                shares = ["-" if (v := scores[n]) is None else f"{v:.3f}" for n in head[-3:-1]]
                span = f"{bin_ / BINS:.2f}-{(bin_ + 1) / BINS:.2f}"
                rows.append([span, *map(str, numbers.values()), *shares, self._bar(numbers)])
        return [head, *rows]

    def _bar(self, numbers: Mapping[str, int]) -> str:
        """A mark for each twentieth of a label's items, rounded up."""
        totals = {name: int(self.counts[name].sum()) for name in numbers}
        bars = (
            _MARKS[name] * ceil(_BAR * number / totals[name]) for name, number in numbers.items()
        )
        return "".join(bars).ljust(_BAR * len(numbers))

    def to_dict(self) -> dict[str, Any]:
        """The histogram as plain JSON values."""
        return {
            "edges": [number / BINS for number in range(BINS + 1)],
            **{name: of_label.tolist() for name, of_label in self.counts.items()},
            "thresholds": self.thresholds,
        }


@dataclass(frozen=True)
class HistogramSection:
    """A histogram as a section of a report."""

    tables: Sequence[ScoreHistogram]
    name: str = "histogram"
    heading: str = "Histogram of scores by label"
    summary: str = "scores by label, from which a threshold can be read"
    notes: Sequence[str] = (
        "recall and specificity: of calling changed what is at the lower edge of the row or above",
    )
