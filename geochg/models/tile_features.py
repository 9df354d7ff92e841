"""The contract of models that give features of whole tiles, from which classifiers can learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from geochg.models.base import ChangeModel
from geochg.models.registry import backends, find_backend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import Tile

VERSION = 1
"""Version of the features; a classifier of another version cannot be applied."""


class FeatureKind(StrEnum):
    """Features of a tile that a classifier is given."""

    POSTERIORS = "posteriors"
    POOLED = "pooled"


@dataclass(frozen=True, slots=True, eq=False)
class TileFeatures:
    """Features of a tile.

    Attributes:
        posteriors: Of each date `(classes,)` float64, the probability of each class, which add up
            to 1.
        pooled: Of each date `(features,)` float64, means of what the encoder makes of it.
        relation: `(relations,)` float64, what the model measures between the dates; may be empty.
    """

    posteriors: tuple[NDArray[np.float64], NDArray[np.float64]]
    pooled: tuple[NDArray[np.float64], NDArray[np.float64]]
    relation: NDArray[np.float64]

    @property
    def is_finite(self) -> bool:
        """Whether all features are finite numbers."""
        return all(np.isfinite(part).all() for part in (*self.posteriors, *self.pooled)) and bool(
            np.isfinite(self.relation).all()
        )

    @property
    def posterior_change(self) -> float:
        """The sum of the absolute differences of the posteriors, 0 to 2 (Kömürcü)."""
        before, after = self.posteriors
        return min(float(np.abs(after - before).sum()), 2.0)

    def vector(self, kind: FeatureKind) -> NDArray[np.float32]:
        """`(columns,)`: both dates and their difference (Kömürcü); of pooled ones, all there is."""
        dates = self.posteriors
        if kind is FeatureKind.POOLED:
            dates = (
                np.concatenate((self.posteriors[0], self.pooled[0])),
                np.concatenate((self.posteriors[1], self.pooled[1])),
            )
        before, after = dates
        parts = [before, after, after - before]
        if kind is FeatureKind.POOLED:
            parts.append(self.relation)
        return np.concatenate(parts).astype(np.float32)


@runtime_checkable
class TileFeatureModel(Protocol):
    """A change model that can also give features of whole tiles."""

    def tile_features(self, tiles: Sequence[Tile]) -> list[TileFeatures]:
        """Features of tiles, each of two dates and a scene of its own.

        Args:
            tiles: The tiles, of one size, with the pixels and bands of the capabilities.

        Returns:
            One entry a tile, in order; its numbers may be other than finite.

        Raises:
            ModelError: If this model cannot give them.
        """


@runtime_checkable
class ZeroShotModel(Protocol):
    """A change model that also tells what the zero-shot method says, beside which it is scored."""

    @property
    def zero_shot_threshold(self) -> float | None:
        """Change of the posteriors (0-2) above which a tile has changed; None if unknown."""

    def zero_shot_scores(self, tiles: Sequence[Tile]) -> list[float | None]:
        """How far the posteriors of tiles moved, 0-2; None where there are no numbers."""


def gives_tile_features(backend: type[ChangeModel]) -> bool:
    """Whether models of a backend give features of whole tiles, as far as the backend tells."""
    return callable(getattr(backend, "tile_features", None))


def models_with_tile_features() -> list[str]:
    """Names of the backends whose models give features of whole tiles."""
    names = [backend.name for backend in backends() if not backend.broken]
    return [name for name in names if gives_tile_features(find_backend(name)[0])]
