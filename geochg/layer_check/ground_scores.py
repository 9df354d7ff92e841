"""How like the class ground looks: the model's own view, and what the layer teaches it.

Most polygons of a layer are where their objects are. So the ground in them tells how objects of
the class look in this image, and the ground around them how everything else does: a linear
discriminant (Fisher 1936) of what the model sees, fitted to one part of the image and used in
others, is averaged with the model's own log odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.geometry.morphology import dilated
from geochg.layer_check.evidence import SEEN, SeenTile, class_log_odds
from geochg.records import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 4
"""Parts of the image, laid out like a chess board of two by two fields; each is scored by what the
other three teach."""

BLOCK_CELLS = 64
LEAST_CELLS = 100
"""Cells in polygons with fewer than which nothing is learnt from the layer."""

MOST_LOG_ODDS = 8.0
"""Scores are cut to this on both sides."""

_MOST_CELLS = 40_000
_FULL = 255
_SHRINKAGE = 0.05


@dataclass(frozen=True, eq=False)
class _Discriminant:
    """A direction of what is seen, and where it is cut; scores are log odds."""

    weights: NDArray[np.float32]
    offset: float

    def scores(self, channels: NDArray[np.floating]) -> NDArray[np.float32]:
        """Log odds of `(channels, ...)`."""
        weighted = np.tensordot(self.weights, np.asarray(channels, np.float32), axes=1)
        return np.asarray(weighted + self.offset, np.float32)


@dataclass(frozen=True, eq=False)
class GroundScorer:
    """Scores ground by how like the class it looks.

    Attributes:
        class_name: The class.
        block_cells: Side of the fields of the folds.
        discriminants: What is learnt for each fold; empty where the layer teaches nothing of use:
            scores are of one kind in the whole image.
    """

    class_name: str
    block_cells: int
    discriminants: tuple[_Discriminant, ...]

    @classmethod
    def fit(
        cls, tiles: Sequence[SeenTile], mapped: NDArray[np.uint8], class_name: str
    ) -> GroundScorer:
        """Learns from a sample of the image.

        Args:
            tiles: What is seen in a sample of the tiles.
            mapped: `(rows, columns)` uint8: how much of each cell of the image the polygons
                cover, 255 for all.
            class_name: The class.
        """
        block = max(8, min(BLOCK_CELLS, min(mapped.shape) // 4))
        sample = _sample(tiles, mapped, block)
        if sample is None:
            return cls(class_name, block, ())
        fits = [_fit(sample, fold, class_name) for fold in range(FOLDS)]
        known_fits = [fit for fit in fits if fit is not None]
        is_of_use = len(known_fits) == FOLDS and sum(fit.gain for fit in known_fits) >= 0
        return cls(
            class_name, block, tuple(f.discriminant for f in known_fits) if is_of_use else ()
        )

    def scores(self, tile: SeenTile) -> NDArray[np.float16]:
        """`(rows, columns)` log odds of the class in the core of a tile, cut to +-8."""
        channels = tile.channels.astype(np.float32)
        own_odds = class_log_odds(channels, self.class_name)
        total = own_odds.copy()
        folds = _fold_numbers(tile.window, self.block_cells)
        for fold, discriminant in enumerate(self.discriminants):
            part = folds == fold
            if part.any():
                total[part] = (own_odds[part] + discriminant.scores(channels[:, part])) / 2
        return np.clip(total, -MOST_LOG_ODDS, MOST_LOG_ODDS).astype(np.float16)


def _fold_numbers(window: PixelWindow, block: int) -> NDArray[np.int8]:
    """The fold of each cell of a window."""
    rows = np.arange(window.row_start, window.row_stop) // block % 2
    cols = np.arange(window.col_start, window.col_stop) // block % 2
    return (rows[:, None] * 2 + cols[None]).astype(np.int8)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Cells of the image: `(channels, n)` what is seen, whether in a polygon, and the folds."""

    channels: NDArray[np.float32]
    inside: NDArray[np.bool_]
    folds: NDArray[np.int8]


def _sample(tiles: Sequence[SeenTile], mapped: NDArray[np.uint8], block: int) -> _Sample | None:
    """Cells wholly in polygons, and cells well beside them; None where there are none."""
    is_near = dilated(mapped > 0, 1, square=True)
    lattice = PixelWindow.whole(mapped.shape)
    parts: list[_Sample] = []
    rng = np.random.default_rng(0)
    most_cells = -(-_MOST_CELLS // max(len(tiles), 1))
    for tile in tiles:
        part = tile.window.slices_within(lattice)
        is_seen = tile.state == SEEN
        folds = _fold_numbers(tile.window, block)
        for mask, side in (
            (is_seen & (mapped[part] == _FULL), True),
            (is_seen & ~is_near[part], False),
        ):
            cells = np.flatnonzero(mask)
            if len(cells) > most_cells:
                cells = rng.choice(cells, most_cells, replace=False)
            channels = tile.channels.reshape(len(tile.channels), -1)[:, cells]
            inside = np.full(len(cells), side)
            parts.append(_Sample(channels.astype(np.float32), inside, folds.ravel()[cells]))
    if not parts:
        return None
    return _Sample(
        np.concatenate([p.channels for p in parts], axis=1),
        np.concatenate([p.inside for p in parts]),
        np.concatenate([p.folds for p in parts]),
    )


class _Fit(NamedTuple):
    """A discriminant, and how much better it separates than the model's own log odds."""

    discriminant: _Discriminant
    gain: float


def _fit(sample: _Sample, fold: int, class_name: str) -> _Fit | None:
    """What the other folds teach; None where they teach too little."""
    other = sample.folds != fold
    groups = [sample.channels[:, other & (sample.inside == side)] for side in (False, True)]
    if min(group.shape[1] for group in groups) < LEAST_CELLS:
        return None
    groups = [group.astype(np.float64) for group in groups]
    means = [group.mean(axis=1) for group in groups]
    scatter = np.mean([np.cov(group) for group in groups], axis=0)
    # Channels have units of their own_odds: each is held against its own_odds spread.
    scatter = (1 - _SHRINKAGE) * scatter + _SHRINKAGE * np.diag(np.diag(scatter) + 1e-6)
    weights = np.linalg.solve(scatter, means[1] - means[0])
    offset = float(-weights @ (means[0] + means[1]) / 2)
    discriminant = _Discriminant(weights.astype(np.float32), offset)
    channels, inside = sample.channels[:, other], sample.inside[other]
    own_odds = separation(class_log_odds(channels, class_name), inside)
    return _Fit(discriminant, separation(discriminant.scores(channels), inside) - own_odds)


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
