"""A model's scores on the drawn pairs of a family, beside those of image differencing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from drawn_pairs import COUNTED, Seen
from numpy.typing import NDArray
from scores import BestF1, Interval, auroc_interval, best_f1, f1

from geochg.records import CELL_AREA_SHARE


@dataclass(frozen=True)
class FamilyScores:
    """Scores of one family; None is what the model cannot do, or what the pairs do not allow.

    Attributes:
        pairs: How many.
        changed_pairs: How many of them changed.
        changed_share: Share of changed pixels, 0-1.
        cells: AUROC over the nine cells of each pair.
        cells_difference: The same of image differencing.
        pixel_f1: At the model's own threshold, over all pairs.
        pixel_f1_changed: The same over the changed pairs alone.
        pixel_f1_difference: Of image differencing at its best threshold, over all pairs.
        pixel_f1_all: Of calling every pixel changed; calling none so has 0.
        false_area: Share of the unchanged pairs' area that the model calls changed.
        false_area_difference: The same of image differencing at its best threshold.
        presence_changed: Accuracy on changed pairs.
        presence_unchanged: Accuracy on unchanged pairs.
        count_error: Mean absolute error by class on changed pairs whose count could be read.
        count_error_zero: The same of always answering zero.
        counts_unread: Changed pairs whose count made no sense.
    """

    pairs: int
    changed_pairs: int
    changed_share: float
    cells: Interval
    cells_difference: Interval
    pixel_f1: float | None
    pixel_f1_changed: float | None
    pixel_f1_difference: BestF1 | None
    pixel_f1_all: float | None
    false_area: float | None
    false_area_difference: float | None
    presence_changed: float | None
    presence_unchanged: float | None
    count_error: dict[str, float]
    count_error_zero: dict[str, float]
    counts_unread: int


def scores_of(seen: Sequence[Seen]) -> FamilyScores:
    """The scores of a family's pairs."""
    truth = np.stack([one.truth for one in seen])
    found = np.stack([one.score >= one.threshold for one in seen])
    distance = np.stack([one.distance for one in seen])
    changed = truth.any(axis=(1, 2))
    best = best_f1(truth.ravel(), distance.ravel())
    cells = [_cells(one.truth) > CELL_AREA_SHARE for one in seen]
    counts = [one.counts for one in seen if one.counts]
    return FamilyScores(
        pairs=len(seen),
        changed_pairs=int(changed.sum()),
        changed_share=float(truth.mean()),
        cells=auroc_interval(cells, [_cells(one.score) for one in seen]),
        cells_difference=auroc_interval(cells, [_cells(one.distance) for one in seen]),
        pixel_f1=f1(truth, found),
        pixel_f1_changed=f1(truth[changed], found[changed]),
        pixel_f1_difference=best,
        pixel_f1_all=f1(truth, np.ones_like(truth)),
        false_area=_mean(found[~changed]),
        false_area_difference=_mean(distance[~changed] >= best.threshold) if best else None,
        presence_changed=_accuracy(seen, True),
        presence_unchanged=_accuracy(seen, False),
        count_error=_errors([{k: abs(a - b) for k, (a, b) in one.items()} for one in counts]),
        count_error_zero=_errors([{k: a for k, (a, _) in one.items()} for one in counts]),
        counts_unread=sum(one.unread for one in seen),
    )


def _cells(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """`(9,)` mean over each cell of a third, cut where the grid of the locate task is cut."""
    rows, cols = ([round(size * i / 3) for i in range(3)] for size in pixels.shape)
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.float64), rows, 0), cols, 1)
    sizes = (
        np.diff([*edges, size]) for edges, size in zip((rows, cols), pixels.shape, strict=True)
    )
    return (sums / np.outer(*sizes)).ravel()


def _accuracy(seen: Sequence[Seen], changed: bool) -> float | None:
    said = [one.said_changed for one in seen if bool(one.truth.any()) is changed]
    return _mean(np.array([each is changed for each in said if each is not None]))


def _mean(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if values.size else None


def _errors(errors: Sequence[dict[str, int]]) -> dict[str, float]:
    """Mean of each class; empty where nothing was counted."""
    if not errors:
        return {}
    return {name: float(np.mean([one[name] for one in errors])) for name in COUNTED}
