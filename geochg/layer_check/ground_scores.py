"""How like the class ground looks: the model's own view, and what the layer teaches it.

Most polygons of a layer are where their objects are. So the ground in them tells how objects of
the class look in this image, and the ground around them how everything else does: a linear
discriminant (Fisher 1936) of the model's logits, fitted to one part of the image and used in
others, is averaged with the model's own log odds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.geometry.morphology import dilated
from geochg.layer_check.evidence import SEEN, Evidence, class_log_odds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FOLDS = 4
"""Parts of the image, laid out like a chess board of two by two fields; each is scored by what the
other three teach."""

BLOCK_CELLS = 64
LEAST_CELLS = 100
"""Cells in polygons with fewer than which nothing is learnt from the layer."""

_MOST_CELLS = 60_000
_FULL, _EDGE = 255, 0
_MOST_ODDS = 8.0
_SHRINKAGE = 0.05
_LEAST_GAIN = 0.0


@dataclass(frozen=True, eq=False)
class _Discriminant:
    """A direction of the logits and where it is cut; scores are log odds."""

    weights: NDArray[np.float64]
    offset: float

    def scores(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Log odds of `(channels, ...)` logits."""
        weighted = np.tensordot(self.weights, np.asarray(logits, np.float32), axes=1)
        return np.asarray(weighted + self.offset, np.float32)


def ground_scores(
    evidence: Evidence, class_name: str, mapped: NDArray[np.uint8]
) -> NDArray[np.float16]:
    """How like the class each cell looks, as log odds that are cut to +-8.

    Args:
        evidence: What the model sees.
        class_name: The class.
        mapped: `(rows, columns)` uint8: how much of each cell the polygons cover, 255 for all.
    """
    scores = np.zeros(evidence.shape, np.float16)
    folds = _fold_numbers(evidence.shape)
    sample = _sample(evidence, mapped, folds)
    discriminants = [_fit(sample, fold, class_name) for fold in range(FOLDS)]
    for rows in _strips(evidence.shape[0]):
        logits = np.asarray(evidence.logits[:, rows], np.float32)
        own = class_log_odds(logits, class_name)
        total = own.copy()
        for fold, discriminant in enumerate(discriminants):
            if discriminant is not None:
                part = folds[rows] == fold
                total[part] = (own[part] + discriminant.scores(logits[:, part])) / 2
        scores[rows] = np.clip(total, -_MOST_ODDS, _MOST_ODDS)
    return scores


def _fold_numbers(shape: tuple[int, int]) -> NDArray[np.int8]:
    """The fold of each cell; of a small image the blocks are small too."""
    side = max(8, min(BLOCK_CELLS, min(shape) // 4))
    rows, cols = (np.arange(count) // side % 2 for count in shape)
    return (rows[:, None] * 2 + cols[None]).astype(np.int8)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Cells of the image: `(channels, n)` logits, whether in a polygon, and the fold of each."""

    logits: NDArray[np.float32]
    inside: NDArray[np.bool_]
    folds: NDArray[np.int8]


def _sample(evidence: Evidence, mapped: NDArray[np.uint8], folds: NDArray[np.int8]) -> _Sample:
    """Cells wholly in polygons, and cells well beside them."""
    inside = (mapped == _FULL) & (evidence.state == SEEN)
    if np.count_nonzero(inside) < LEAST_CELLS:
        inside = (mapped > _FULL // 2) & (evidence.state == SEEN)
    beside = ~dilated(mapped > _EDGE, 1, square=True) & (evidence.state == SEEN)
    parts = []
    rng = np.random.default_rng(0)
    for mask in (inside, beside):
        chosen = np.flatnonzero(mask)
        if len(chosen) > _MOST_CELLS:
            chosen = np.sort(rng.choice(chosen, _MOST_CELLS, replace=False))
        parts.append(chosen)
    cells = np.concatenate(parts)
    rows, cols = np.unravel_index(cells, evidence.shape)
    logits = np.empty((len(evidence.logits), len(cells)), np.float32)
    for channel in range(len(logits)):
        logits[channel] = evidence.logits[channel][rows, cols]
    is_inside = np.arange(len(cells)) < len(parts[0])
    return _Sample(logits, is_inside, folds[rows, cols])


def _fit(sample: _Sample, fold: int, class_name: str) -> _Discriminant | None:
    """What the other folds teach; None where they teach too little, or nothing of use here."""
    other = sample.folds != fold
    groups = [sample.logits[:, other & (sample.inside == side)] for side in (False, True)]
    if min(group.shape[1] for group in groups) < LEAST_CELLS:
        return None
    means = [group.mean(axis=1, dtype=np.float64) for group in groups]
    scatter = np.mean([np.cov(group.astype(np.float64)) for group in groups], axis=0)
    spread = np.trace(scatter) / len(scatter)
    scatter = (1 - _SHRINKAGE) * scatter + _SHRINKAGE * spread * np.eye(len(scatter))
    weights = np.linalg.solve(scatter, means[1] - means[0])
    discriminant = _Discriminant(weights, float(-weights @ (means[0] + means[1]) / 2))
    own = class_log_odds(sample.logits[:, other], class_name)
    learnt = discriminant.scores(sample.logits[:, other])
    is_inside = sample.inside[other]
    gain = separation(learnt, is_inside) - separation(own, is_inside)
    return discriminant if gain > _LEAST_GAIN else None


def separation(scores: NDArray[np.floating], is_inside: NDArray[np.bool_]) -> float:
    """Probability that a cell inside scores above one outside (area under the ROC curve)."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    inside = int(np.count_nonzero(is_inside))
    outside = len(scores) - inside
    if not inside or not outside:
        return 0.5
    return float((ranks[is_inside].sum() - inside * (inside + 1) / 2) / (inside * outside))


def _strips(rows: int, height: int = 512) -> Iterator[slice]:
    for start in range(0, rows, height):
        yield slice(start, min(start + height, rows))
