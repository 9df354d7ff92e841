"""Scores that need no model: AUROC, F1, thresholds, and standardised image differencing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

RESAMPLED = 500
"""Bootstrap samples behind an interval."""


@dataclass(frozen=True)
class Interval:
    """A score and the 95 % interval of its bootstrap; all None where there is but one class."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class BestF1:
    """The best F1 (0-1) and the least score that counts as changed there."""

    f1: float
    threshold: float


def auroc(truth: NDArray[np.bool_], score: NDArray[np.floating]) -> float | None:
    """Area under the ROC curve, ties counted half (Mann & Whitney 1947); None for one class."""
    changed, rest = score[truth], score[~truth]
    if not len(changed) or not len(rest):
        return None
    found = mannwhitneyu(changed, rest, method="asymptotic").statistic
    return float(found / (len(changed) * len(rest)))


def auroc_interval(
    truths: Sequence[NDArray[np.bool_]], scores: Sequence[NDArray[np.floating]]
) -> Interval:
    """AUROC over all entries; the interval resamples the groups (pairs), not the entries.

    Args:
        truths: Per group `(entries,)`.
        scores: Per group `(entries,)`.
    """
    truth, score = np.stack(truths), np.stack(scores)
    value = auroc(truth.ravel(), score.ravel())
    rng = np.random.default_rng(0)
    picks = rng.integers(len(truth), size=(RESAMPLED, len(truth)))
    found = [auroc(truth[pick].ravel(), score[pick].ravel()) for pick in picks]
    known = [each for each in found if each is not None]
    if value is None or not known:
        return Interval(value, None, None)
    low, high = np.quantile(known, (0.025, 0.975)).tolist()
    return Interval(value, low, high)


def f1(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float | None:
    """F1 of the changed entries, 0-1; None where nothing changed and nothing was found."""
    both = np.count_nonzero(truth) + np.count_nonzero(found)
    return 2 * np.count_nonzero(truth & found) / both if both else None


def best_f1(truth: NDArray[np.bool_], score: NDArray[np.floating]) -> BestF1 | None:
    """The best F1 over every threshold; None where nothing changed."""
    changed = np.count_nonzero(truth)
    if not changed:
        return None
    order = np.argsort(-score)
    ranked = score[order]
    hits = np.cumsum(truth[order])
    values = 2 * hits / (np.arange(1, len(order) + 1) + changed)
    # Entries of one score are found together: only the last of them is a threshold.
    values[:-1][ranked[:-1] == ranked[1:]] = -1
    best = int(values.argmax())
    return BestF1(float(values[best]), float(ranked[best]))


def otsu(values: NDArray[np.floating]) -> float:
    """The threshold of the greatest variance between two classes (Otsu 1979), of 256 bins."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
    return float(edges[np.nan_to_num(below * above * gap**2).argmax() + 1])


def difference(
    before: NDArray[np.generic], after: NDArray[np.generic], valid: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Standardised image differencing: length of the change vector in standard deviations.

    Args:
        before: `(bands, height, width)`.
        after: As `before`.
        valid: `(height, width)` bool; only these pixels shape the mean and standard deviation.

    Returns:
        `(height, width)` float32, 0 where not valid.
    """
    gap = _standardised(after, valid) - _standardised(before, valid)
    return np.where(valid, np.sqrt(np.einsum("kij,kij->ij", gap, gap)), 0).astype(np.float32)


def _standardised(date: NDArray[np.generic], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    seen = date[:, valid].astype(np.float64)
    deviation = seen.std(axis=1)
    deviation[deviation == 0] = 1
    scaled: NDArray[np.float64] = (date - seen.mean(axis=1)[:, None, None]) / deviation[
        :, None, None
    ]
    return scaled
