"""How well maps of a kind of pairs agree with their masks, beside answers that need no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.evaluation.map_measures import (
    MapMeasures,
    PixelCounts,
    ThresholdedDifference,
    thresholded_differences,
)
from geochg.evaluation.scores import auroc
from geochg.evaluation.tables import Interval, ScoreLine

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL, DIFFERENCING, ALL_CHANGED = "the model", "differencing", "all changed"
METHODS = (MODEL, DIFFERENCING, ALL_CHANGED)
"""The ways to answer: the model, differencing at its best threshold, "everything changed"."""

METRICS = ("cell_auroc", "cell_f1", "pixel_f1", "false_area")
"""The scores, in the order of a table."""

THRESHOLDS = 60
HIGHEST_QUANTILE = 0.995
"""Thresholds tried for differencing: quantiles of it, from the least value to this."""

ROUNDS = 1000
PERCENTILES = (2.5, 97.5)
"""Bootstrap samples behind an interval, and the ends of it."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPair:
    """A pair of a kind of which the best thresholds of differencing are known.

    Attributes:
        measures: Its map.
        best_cells: `(cells,)`, those that differencing covers at the threshold of the best cell F1.
        best_pixels: Pixels that it covers at the threshold of the best pixel F1.
    """

    measures: MapMeasures
    best_cells: NDArray[np.bool_]
    best_pixels: PixelCounts


def scored_pairs(measures: Sequence[MapMeasures]) -> list[ScoredPair]:
    """The pairs of a kind with differencing at the thresholds that suit all of them together best.

    Raises:
        InputError: If a raster cannot be read again.
    """
    sample = np.concatenate([each.sample for each in measures])
    thresholds = np.quantile(sample, np.linspace(0, HIGHEST_QUANTILE, THRESHOLDS))
    by_pair = [thresholded_differences(each.pair, thresholds.tolist()) for each in measures]
    by_threshold: list[tuple[ThresholdedDifference, ...]] = list(zip(*by_pair, strict=True))
    truth = np.concatenate([each.truth for each in measures])
    cell = [_cell_f1(truth, [cut.covered for cut in each]) for each in by_threshold]
    pixel = [_pixel_f1(_total([cut.pixels for cut in each])) for each in by_threshold]
    best_cell, best_pixel = int(np.argmax(cell)), int(np.argmax(pixel))
    return [
        ScoredPair(each, of_pair[best_cell].covered, of_pair[best_pixel].pixels)
        for each, of_pair in zip(measures, by_pair, strict=True)
    ]


def score_lines(pairs: Sequence[ScoredPair]) -> list[ScoreLine]:
    """The scores of each way to answer, cells and pixels of all pairs taken together.

    An interval is of 95 % of a bootstrap over the pairs, at the same thresholds; a single pair has
    none.

    Args:
        pairs: One at least.
    """
    values = _values(pairs)
    spread = _intervals(pairs) if len(pairs) > 1 else {}
    return [ScoreLine(way, values[way], spread.get(way, {})) for way in METHODS]


def has_changed(pair: ScoredPair) -> bool:
    """Whether any pixel of a pair changed."""
    return pair.measures.pixels.changed > 0


def _values(pairs: Sequence[ScoredPair]) -> Mapping[str, Mapping[str, float | None]]:
    each = [pair.measures for pair in pairs]
    truth = np.concatenate([one.truth for one in each])
    heat = np.concatenate([one.heat for one in each])
    change = np.concatenate([one.difference for one in each])
    pixels = _total([one.pixels for one in each])
    found = {
        MODEL: (auroc(truth, heat), [one.covered for one in each], pixels),
        DIFFERENCING: (
            auroc(truth, change),
            [pair.best_cells for pair in pairs],
            _total([pair.best_pixels for pair in pairs]),
        ),
        ALL_CHANGED: (
            auroc(truth, np.ones(len(truth))),
            [np.ones(len(truth), bool)],
            PixelCounts(pixels.changed, pixels.unchanged, pixels.changed, pixels.unchanged),
        ),
    }
    return {
        way: {
            "cell_auroc": area,
            "cell_f1": _cell_f1(truth, cells),
            "pixel_f1": _pixel_f1(counts),
            "false_area": counts.alarms / max(counts.unchanged, 1),
        }
        for way, (area, cells, counts) in found.items()
    }


def _intervals(pairs: Sequence[ScoredPair]) -> dict[str, dict[str, Interval]]:
    """By way and metric; a score that no sample has is left out."""
    random = np.random.default_rng(0)
    drawn = [
        _values([pairs[place] for place in random.integers(0, len(pairs), len(pairs))])
        for _ in range(ROUNDS)
    ]
    found: dict[str, dict[str, Interval]] = {way: {} for way in METHODS}
    for way in METHODS:
        for metric in METRICS:
            known = [value for each in drawn if (value := each[way][metric]) is not None]
            if known:
                low, high = np.percentile(known, PERCENTILES).tolist()
                found[way][metric] = Interval(low, high)
    return found


def _cell_f1(truth: NDArray[np.bool_], covered: Sequence[NDArray[np.bool_]]) -> float:
    found = np.concatenate(covered)
    return _f1(int((truth & found).sum()), int(found.sum()), int(truth.sum()))


def _pixel_f1(pixels: PixelCounts) -> float:
    return _f1(pixels.hits, pixels.hits + pixels.alarms, pixels.changed)


def _f1(hits: int, found: int, true: int) -> float:
    """0 where there is nothing to find and nothing found."""
    return 2 * hits / max(found + true, 1)


def _total(counts: Sequence[PixelCounts]) -> PixelCounts:
    return PixelCounts(
        sum(each.changed for each in counts),
        sum(each.unchanged for each in counts),
        sum(each.hits for each in counts),
        sum(each.alarms for each in counts),
    )
