"""The judgement of each polygon by what a model sees of the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from geochg.geometry.coverage import Coverage
from geochg.layer_check.evidence import HIDDEN, SEEN
from geochg.layer_check.polygon_odds import (
    PolygonMeasures,
    ScoreScale,
    log_odds,
    present_probability,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_CELLS = 1.0
"""Polygons that cover less are too small for the pixels."""

LEAST_SEEN_SHARE = 0.6
"""Share of a polygon that must be on the image, with data and without clouds."""

COPIES = 6
"""Displaced copies of a polygon."""

_MOST_TRIES = 12
_MOST_COPIES = 20_000
_BESIDE = tuple((y, x) for y in (-2, 0, 2) for x in (-2, 0, 2) if y or x)
_MOST_MAPPED = 0.02
_NEAR, _FAR = 1.2, 4.0


class PolygonVerdict(StrEnum):
    """What is said of a feature."""

    PRESENT = "present"
    GONE = "gone"
    CANNOT_TELL = "cannot tell"
    MISSING = "missing"


@dataclass(frozen=True, eq=False)
class LayerJudgement:
    """The judgement of a layer by one image.

    Attributes:
        probability: `(n,)` float64: that the object is there; not a number where it cannot be
            told.
        reasons: Why polygons cannot be told, and how many each time.
        scale: The scale of the scores.
        present_share: Share of the polygons that are right.
    """

    probability: NDArray[np.float64]
    reasons: dict[str, int]
    scale: ScoreScale
    present_share: float


@dataclass(frozen=True, eq=False)
class LayerJudge:
    """Judges the polygons of a layer.

    Attributes:
        polygons: `(n,)` polygons in cells of the lattice, with the shift.
        coverages: The cells of each; None for those off the image.
        scores: `(rows, columns)` float16 log odds of the class.
        state: `(rows, columns)` uint8, see `SeenTile`.
        mapped: `(rows, columns)` uint8: how much of each cell the polygons cover, 255 for all.
    """

    polygons: NDArray[np.object_]
    coverages: Sequence[Coverage | None]
    scores: NDArray[np.float16]
    state: NDArray[np.uint8]
    mapped: NDArray[np.uint8]

    def judge(self) -> LayerJudgement:
        """The judgement."""
        measures, seen_share, hidden_share = self._measures()
        full_cells = _areas(self.polygons)
        on_image = measures.cells / np.maximum(full_cells, 1e-9)
        is_empty = full_cells == 0
        reasons = {
            "without a shape, or far off the image": is_empty,
            "off the image, in whole or in part": on_image < LEAST_SEEN_SHARE,
            "too small for the pixels": full_cells < LEAST_CELLS,
            "under cloud, shadow or snow": hidden_share > 1 - LEAST_SEEN_SHARE,
            "without data": seen_share < LEAST_SEEN_SHARE,
        }
        is_untold = np.zeros(len(full_cells), np.bool_)
        counts = {}
        for reason, applies in reasons.items():
            counts[reason] = int(np.count_nonzero(applies & ~is_untold))
            is_untold |= applies
        told_measures = PolygonMeasures(*(values[~is_untold] for values in measures))
        copy_scores = self._copy_scores(np.flatnonzero(~is_untold))
        scale = ScoreScale.of(told_measures.score, copy_scores)
        likely, share = present_probability(log_odds(told_measures, scale))
        probability = np.full(len(full_cells), np.nan)
        probability[~is_untold] = likely
        return LayerJudgement(probability, counts, scale, share)

    def _measures(self) -> tuple[PolygonMeasures, NDArray[np.float64], NDArray[np.float64]]:
        """The measures, the share that is seen, and the share that is hidden, of each polygon."""
        values = np.zeros((5, len(self.coverages)))
        for number, coverage in enumerate(self.coverages):
            if coverage is None:
                continue
            state, weight = self.state[coverage.part], coverage.share
            seen_weight = np.where(state == SEEN, weight, 0)
            total, seen_cells = float(weight.sum()), float(seen_weight.sum())
            mean = (
                float((seen_weight * self.scores[coverage.part]).sum()) / seen_cells
                if seen_cells
                else 0.0
            )
            gain = mean - self._best_beside(coverage, mean)
            hidden = float(weight[state == HIDDEN].sum()) / total
            values[:, number] = mean, gain, total, seen_cells / total, hidden
        return PolygonMeasures(*values[:3]), values[3], values[4]

    def _best_beside(self, coverage: Coverage, mean: float) -> float:
        """The best mean score of a polygon shifted by two cells; its own where none is known."""
        best = -np.inf
        for rows_down, right in _BESIDE:
            part = _moved_part(coverage.part, rows_down, right, self.scores.shape)
            if part is not None:
                weight = coverage.share
                best = max(best, float((weight * self.scores[part]).sum() / weight.sum()))
        return best if np.isfinite(best) else mean

    def _copy_scores(self, numbers: NDArray[np.intp]) -> NDArray[np.float64]:
        """Mean scores of copies on unmapped ground around polygons."""
        rng = np.random.default_rng(0)
        step = max(1, len(numbers) * COPIES // _MOST_COPIES)
        means: list[float] = []
        for number in numbers[::step].tolist():
            coverage, count = self.coverages[number], 0
            for _ in range(_MOST_TRIES):
                if coverage is None or count == COPIES:
                    break
                mean = self._copy_score(coverage, rng)
                if mean is not None:
                    means.append(mean)
                    count += 1
        return np.array(means, np.float64)

    def _copy_score(self, coverage: Coverage, rng: np.random.Generator) -> float | None:
        """The mean score of a copy some lengths away; None where that lies on mapped ground."""
        length = max(*coverage.share.shape, 4)
        angle, distance = rng.uniform(0, 2 * np.pi), length * rng.uniform(_NEAR, _FAR)
        rows_down, right = round(distance * np.sin(angle)), round(distance * np.cos(angle))
        part = _moved_part(coverage.part, rows_down, right, self.scores.shape)
        if part is None:
            return None
        weight = coverage.share
        total, covers = float(weight.sum()), weight > 0
        if weight[covers & (self.mapped[part] > 0)].sum() > _MOST_MAPPED * total:
            return None
        if not (self.state[part][covers] == SEEN).all():
            return None
        return float((weight * self.scores[part]).sum()) / total


def verdicts(probability: NDArray[np.float64], gone_to: float, present_from: float) -> list[str]:
    """The verdict of each polygon by the probability that its object is there.

    Args:
        probability: `(n,)` probabilities; not a number where nothing can be told.
        gone_to: Probability up to which the object is gone.
        present_from: Probability from which on it is there.
    """
    return [
        PolygonVerdict.CANNOT_TELL
        if np.isnan(value) or gone_to < value < present_from
        else PolygonVerdict.PRESENT
        if value >= present_from
        else PolygonVerdict.GONE
        for value in probability.tolist()
    ]


def _areas(polygons: NDArray[np.object_]) -> NDArray[np.float64]:
    import shapely

    areas: NDArray[np.float64] = shapely.area(polygons)
    return areas


def _moved_part(
    part: tuple[slice, slice], rows_down: int, right: int, shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Rows and columns moved by some cells; None where they would leave the lattice."""
    rows = slice(part[0].start + rows_down, part[0].stop + rows_down)
    cols = slice(part[1].start + right, part[1].stop + right)
    if rows.start < 0 or cols.start < 0 or rows.stop > shape[0] or cols.stop > shape[1]:
        return None
    return rows, cols
