"""How well maps of a kind of pairs agree with their masks, beside baselines that need no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.evaluation.intervals import PERCENTILES, ROUNDS
from geochg.evaluation.map_measures import (
    MapMeasures,
    PixelCounts,
    ThresholdedDifference,
    thresholded_differences,
)
from geochg.evaluation.scores import ALL_CHANGED, DIFFERENCING, MODEL, auroc
from geochg.evaluation.tables import Interval, ScoreLine

METHODS = (MODEL, DIFFERENCING, ALL_CHANGED)
"""The maps that are scored: the model's, differencing at its best threshold, all changed."""

METRICS = ("cell_auroc", "cell_f1", "pixel_f1", "false_area")
"""The scores, in the order of a table."""

THRESHOLDS = 60
HIGHEST_QUANTILE = 0.995
"""Thresholds tried for differencing: quantiles of it, from the least value to this."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPair:
    """A pair of a kind of which the best thresholds of differencing are known.

    Attributes:
        measures: Measures of its map.
        best_cells: `(cells,)`, cells that differencing covers at the threshold of the best cell F1.
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
    sample = np.concatenate([pair.sample for pair in measures])
    thresholds = np.quantile(sample, np.linspace(0, HIGHEST_QUANTILE, THRESHOLDS))
    by_pair = [thresholded_differences(pair.pair, thresholds.tolist()) for pair in measures]
    by_threshold: list[tuple[ThresholdedDifference, ...]] = list(zip(*by_pair, strict=True))
    truth = np.concatenate([pair.truth for pair in measures])
    cell_f1 = [_cell_f1(truth, [d.covered for d in pairs]) for pairs in by_threshold]
    pixel_f1 = [_pixel_f1(_total([d.pixels for d in pairs])) for pairs in by_threshold]
    best_cell, best_pixel = int(np.argmax(cell_f1)), int(np.argmax(pixel_f1))
    return [
        ScoredPair(pair, of_pair[best_cell].covered, of_pair[best_pixel].pixels)
        for pair, of_pair in zip(measures, by_pair, strict=True)
    ]


def score_lines(pairs: Sequence[ScoredPair]) -> list[ScoreLine]:
    """The scores of each method, cells and pixels of all pairs taken together.

    An interval is of 95 % of a bootstrap over the pairs, at the same thresholds; a single pair has
    none.

    Args:
        pairs: Pairs of a kind; at least one.
    """
    values = _values(pairs)
    spread = _intervals(pairs) if len(pairs) > 1 else {}
    return [ScoreLine(method, values[method], spread.get(method, {})) for method in METHODS]


def has_changed(pair: ScoredPair) -> bool:
    """Whether any pixel of a pair changed."""
    return pair.measures.pixels.changed > 0


def _values(pairs: Sequence[ScoredPair]) -> Mapping[str, Mapping[str, float | None]]:
    measures = [pair.measures for pair in pairs]
    truth = np.concatenate([pair.truth for pair in measures])
    heat = np.concatenate([pair.heat for pair in measures])
    difference = np.concatenate([pair.difference for pair in measures])
    pixels = _total([pair.pixels for pair in measures])
    maps = {
        MODEL: (auroc(truth, heat), [pair.covered for pair in measures], pixels),
        DIFFERENCING: (
            auroc(truth, difference),
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
        method: {
            "cell_auroc": area,
            "cell_f1": _cell_f1(truth, cells),
            "pixel_f1": _pixel_f1(counts),
            "false_area": counts.alarms / max(counts.unchanged, 1),
        }
        for method, (area, cells, counts) in maps.items()
    }


def _intervals(pairs: Sequence[ScoredPair]) -> dict[str, dict[str, Interval]]:
    """Intervals by method and metric; a score that no sample has is left out."""
    random = np.random.default_rng(0)
    samples = [
        _values([pairs[index] for index in random.integers(0, len(pairs), len(pairs))])
        for _ in range(ROUNDS)
    ]
    intervals: dict[str, dict[str, Interval]] = {method: {} for method in METHODS}
    for method in METHODS:
        for metric in METRICS:
            known_values = [v for sample in samples if (v := sample[method][metric]) is not None]
            if known_values:
                low, high = np.percentile(known_values, PERCENTILES).tolist()
                intervals[method][metric] = Interval(low, high)
    return intervals


def _cell_f1(truth: NDArray[np.bool_], covered_cells: Sequence[NDArray[np.bool_]]) -> float:
    cells = np.concatenate(covered_cells)
    return _f1(int((truth & cells).sum()), int(cells.sum()), int(truth.sum()))


def _pixel_f1(pixels: PixelCounts) -> float:
    return _f1(pixels.hits, pixels.hits + pixels.alarms, pixels.changed)


def _f1(hits: int, positives: int, true: int) -> float:
    """F1 of the hits among the positives; 0 where nothing changed and nothing is covered."""
    return 2 * hits / max(positives + true, 1)


def _total(counts: Sequence[PixelCounts]) -> PixelCounts:
    columns = zip(*map(astuple, counts), strict=True)
    return PixelCounts(*map(sum, columns))
