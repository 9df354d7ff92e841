"""The judgement of each polygon by what a model sees of the ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from geochg.geometry.coverage import Coverage, coverage_of
from geochg.layer_check.evidence import HIDDEN, SEEN, Evidence, class_log_odds
from geochg.layer_check.ground_scores import ground_scores
from geochg.layer_check.layer_shift import LayerShift, measured_shift
from geochg.layer_check.polygon_odds import PolygonOdds, polygon_odds

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_CELLS = 1.0
"""Polygons that cover less are too small for the pixels."""

LEAST_SEEN_SHARE = 0.6
"""Share of a polygon that must be on the image, with data and without clouds."""

COPIES = 6
"""Displaced copies of a polygon."""

_MOST_TRIES = 12
_MOST_CELLS_OF_COPIES = 60_000
_MOST_MAPPED = 0.02
_NEAR, _FAR = 1.2, 4.0


class Verdict(StrEnum):
    """What is said of a feature."""

    PRESENT = "present"
    GONE = "gone"
    CANNOT_TELL = "cannot tell"
    MISSING = "missing"


@dataclass(frozen=True, eq=False)
class Judgement:
    """The judgement of a layer by one image.

    Attributes:
        probability: `(n,)` float64: that the object is there; not a number where it cannot be
            told.
        reasons: Why polygons cannot be told, and how many each time.
        shift: The shift that was measured; None where it could not be.
        scores: `(rows, columns)` float16 log odds of the class.
        mapped: `(rows, columns)` uint8: how much of each cell the polygons cover, at the shift.
        odds: The fit.
        is_there: `(n,)` bool: whether the polygon lies on the image.
    """

    probability: NDArray[np.float64]
    reasons: dict[str, int]
    shift: LayerShift | None
    scores: NDArray[np.float16]
    mapped: NDArray[np.uint8]
    odds: PolygonOdds


@dataclass
class LayerJudge:
    """Judges the polygons of a layer.

    Attributes:
        polygons: `(n,)` polygons in cells of the lattice.
        evidence: What the model sees.
        class_name: The class.
        reach_cells: Largest shift that is tried.
        step: Called with the polygons that are done.
    """

    polygons: NDArray[np.object_]
    evidence: Evidence
    class_name: str
    reach_cells: int
    step: Callable[[int], None] = field(default=lambda done: None)

    def judge(self) -> Judgement:
        """The judgement."""
        own = _own_scores(self.evidence, self.class_name)
        is_seen = self.evidence.state == SEEN
        coverages = self._coverages((0.0, 0.0))
        shift = measured_shift(coverages, own, is_seen, self.reach_cells)
        if shift is not None and any(shift):
            coverages = self._coverages(shift)
        mapped = self._mapped(coverages)
        scores = ground_scores(self.evidence, self.class_name, mapped)
        means, cells, seen_share, hidden_share = self._means(coverages, scores)
        full_cells = self._full_cells()
        on_image = cells / np.maximum(full_cells, 1e-9)
        reasons = {
            "off the image, in whole or in part": on_image < LEAST_SEEN_SHARE,
            "too small for the pixels": full_cells < LEAST_CELLS,
            "under cloud, shadow or snow": hidden_share > 1 - LEAST_SEEN_SHARE,
            "without data": seen_share < LEAST_SEEN_SHARE,
        }
        is_untold = np.zeros(len(cells), np.bool_)
        counts = {}
        for reason, applies in reasons.items():
            counts[reason] = int(np.count_nonzero(applies & ~is_untold))
            is_untold |= applies
        copies = self._copies(coverages, scores, mapped, ~is_untold)
        odds = polygon_odds(means[~is_untold], cells[~is_untold], *copies)
        probability = np.full(len(cells), np.nan)
        probability[~is_untold] = odds.probability
        return Judgement(probability, counts, shift, scores, mapped, odds)

    def _coverages(self, offset: Sequence[float]) -> list[Coverage | None]:
        coverages = []
        for number, polygon in enumerate(self.polygons):
            coverages.append(coverage_of(polygon, self.evidence.shape, (offset[0], offset[1])))
            if number % 256 == 0:
                self.step(number)
        return coverages

    def _full_cells(self) -> NDArray[np.float64]:
        import shapely

        cells: NDArray[np.float64] = shapely.area(self.polygons)
        return cells

    def _mapped(self, coverages: Sequence[Coverage | None]) -> NDArray[np.uint8]:
        mapped = np.zeros(self.evidence.shape, np.uint8)
        for coverage in coverages:
            if coverage is not None:
                part = _part(coverage, mapped.shape)
                share = np.ceil(coverage.share * 255).astype(np.uint8)
                np.maximum(mapped[part], share, out=mapped[part])
        return mapped

    def _means(
        self, coverages: Sequence[Coverage | None], scores: NDArray[np.float16]
    ) -> tuple[NDArray[np.float64], ...]:
        """Mean score, cells, share that is seen, and share that is hidden, of each polygon."""
        values = np.zeros((4, len(coverages)))
        for number, coverage in enumerate(coverages):
            if coverage is None:
                continue
            part = _part(coverage, scores.shape)
            state, weight = self.evidence.state[part], coverage.share
            seen_weight = np.where(state == SEEN, weight, 0)
            total, seen = float(weight.sum()), float(seen_weight.sum())
            mean = float((seen_weight * scores[part]).sum()) / seen if seen else 0.0
            hidden = float(weight[state == HIDDEN].sum()) / total
            values[:, number] = mean, total, seen / total, hidden
        return values[0], values[1], values[2], values[3]

    def _copies(
        self,
        coverages: Sequence[Coverage | None],
        scores: NDArray[np.float16],
        mapped: NDArray[np.uint8],
        is_told: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean scores and cells of copies on unmapped ground around each polygon."""
        rng = np.random.default_rng(0)
        numbers = np.flatnonzero(is_told)
        step = max(1, len(numbers) * COPIES // _MOST_CELLS_OF_COPIES)
        means: list[float] = []
        sizes: list[float] = []
        for number in numbers[::step].tolist():
            coverage = coverages[number]
            if coverage is None or coverage.share.size > 1 << 16:
                continue
            found = 0
            for _ in range(_MOST_TRIES):
                moved = _moved(coverage, rng, scores.shape)
                if moved is None:
                    continue
                part = _part(moved, scores.shape)
                weight = moved.share
                total = float(weight.sum())
                is_free = (mapped[part] > 0) & (weight > 0)
                if weight[is_free].sum() > _MOST_MAPPED * total:
                    continue
                if not (self.evidence.state[part][weight > 0] == SEEN).all():
                    continue
                means.append(float((weight * scores[part]).sum()) / total)
                sizes.append(total)
                found += 1
                if found == COPIES:
                    break
        return np.array(means), np.array(sizes)


def verdicts(probability: NDArray[np.float64], certainty: float) -> list[str]:
    """The verdict of each polygon by the probability that its object is there."""
    return [
        Verdict.CANNOT_TELL
        if np.isnan(value) or 1 - certainty < value < certainty
        else Verdict.PRESENT
        if value >= certainty
        else Verdict.GONE
        for value in probability.tolist()
    ]


def _own_scores(evidence: Evidence, class_name: str) -> NDArray[np.float16]:
    scores = np.empty(evidence.shape, np.float16)
    for start in range(0, len(scores), 512):
        rows = slice(start, start + 512)
        logits = np.asarray(evidence.logits[:, rows], np.float32)
        scores[rows] = np.clip(class_log_odds(logits, class_name), -8, 8)
    return scores


def _part(coverage: Coverage, shape: tuple[int, ...]) -> tuple[slice, slice]:
    window = coverage.window
    return slice(window.row_start, window.row_stop), slice(window.col_start, window.col_stop)


def _moved(coverage: Coverage, rng: np.random.Generator, shape: tuple[int, ...]) -> Coverage | None:
    """A copy of a polygon some of its own lengths away; None where it would leave the image."""
    window = coverage.window
    length = max(window.height_px, window.width_px, 4)
    angle, distance = rng.uniform(0, 2 * np.pi), length * rng.uniform(_NEAR, _FAR)
    down, right = round(distance * np.sin(angle)), round(distance * np.cos(angle))
    moved = type(window)(
        window.row_start + down,
        window.row_stop + down,
        window.col_start + right,
        window.col_stop + right,
    )
    if moved.row_start < 0 or moved.col_start < 0:
        return None
    if moved.row_stop > shape[0] or moved.col_stop > shape[1]:
        return None
    return Coverage(moved, coverage.share)
