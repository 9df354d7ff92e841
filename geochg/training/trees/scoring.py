"""How well trees do on places that they have not seen, beside thresholds of the same tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from geochg.evaluation.intervals import bootstrap_intervals
from geochg.evaluation.options import FitMetric
from geochg.evaluation.scores import ALL_CHANGED, DIFFERENCING, ZERO_SHOT, auroc, best_threshold
from geochg.training.trees.fitting import FittedTrees
from geochg.training.trees.tiles import LabelledTiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

TREES = "trees"
"""The trees among the methods that are scored."""

Scores = dict[str, dict[str, dict[str, float | None]]]
"""By method and name of the score: `value`, `low` and `high`."""


def cross_validated_scores(tiles: LabelledTiles, fitted: FittedTrees) -> Scores:
    """Balanced accuracy and AUROC of each method on held-out places, with 95 % intervals.

    Thresholds are found on the other folds. Intervals are of a bootstrap over places.
    """
    likely = {
        TREES: fitted.held_out,
        ZERO_SHOT: tiles.zero_shot,
        DIFFERENCING: tiles.difference,
        ALL_CHANGED: np.ones(len(tiles.changed)),
    }
    calls = {
        method: held_out_calls(values, tiles.changed, fitted.fold)
        for method, values in likely.items()
    }
    calls[ALL_CHANGED][:] = True

    def scores_of(rows: NDArray[np.intp]) -> dict[str, float | None]:
        truth = tiles.changed[rows]
        return {
            f"{method}\n{score}": value
            for method, values in likely.items()
            for score, value in (
                ("balanced_accuracy", balanced_accuracy(truth, calls[method][rows])),
                ("auroc", auroc(truth, values[rows])),
            )
        }

    values = scores_of(np.arange(len(tiles.changed)))
    intervals = bootstrap_intervals(scores_of, [str(place) for place in tiles.place.tolist()])
    scores: Scores = {}
    for key, value in values.items():
        method, score = key.split("\n")
        interval = intervals.get(key)
        scores.setdefault(method, {})[score] = {
            "value": four_digits(value),
            "low": four_digits(interval and interval.low),
            "high": four_digits(interval and interval.high),
        }
    return scores


def held_out_calls(
    likely: NDArray[np.float64], changed: NDArray[np.bool_], fold: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """`(n,)` whether each tile is called changed, by the best threshold of the other folds."""
    calls = np.zeros(len(changed), bool)
    for number in np.unique(fold).tolist():
        others = fold != number
        threshold = usual_threshold(changed[others], likely[others])
        calls[~others] = likely[~others] > (0.5 if threshold is None else threshold)
    return calls


def usual_threshold(changed: NDArray[np.bool_], likely: NDArray[np.float64]) -> float | None:
    """The threshold of the best balanced accuracy; None where there is none to be found."""
    if changed.all() or not changed.any() or len(np.unique(likely)) < 2:
        return None
    return best_threshold(changed, likely, FitMetric.BALANCED_ACCURACY)


def balanced_accuracy(truth: NDArray[np.bool_], calls: NDArray[np.bool_]) -> float | None:
    """The mean of recall and specificity; None where all items are of one kind."""
    if truth.all() or not truth.any():
        return None
    return float((calls[truth].mean() + (~calls[~truth]).mean()) / 2)


def four_digits(value: float | None) -> float | None:
    """To 4 digits behind the point."""
    return None if value is None else round(float(value), 4)


def in_words(scores: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> list[list[str]]:
    """The scores as cells of a table: the heading, then a row for each method."""
    rows = [["", "balanced accuracy", "AUROC"]]
    for method, of_method in scores.items():
        rows.append([method, *(_cell(of_method[name]) for name in ("balanced_accuracy", "auroc"))])
    return rows


def _cell(score: Mapping[str, float | None]) -> str:
    if score["value"] is None:
        return "-"
    text = f"{score['value']:.3f}"
    low, high = score["low"], score["high"]
    return text if low is None or high is None or low == high else f"{text} ({low:.2f}-{high:.2f})"
