"""The features that trees read: of another model, which sees each tile as a scene of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geochg.errors import ModelError
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.registry import find_backend, load_model
from geochg.models.tile_features import (
    TileFeatures,
    gives_tile_features,
    models_with_tile_features,
)
from geochg.records import PairFacts, Tile

_FACTS = PairFacts(("red", "green", "blue"), float("nan"), "uint8")
"""Facts of every pair: labelled tiles are pictures without a place, and a map is seen as these."""


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """A model, ready to give features.

    Attributes:
        model: The model.
    """

    model: ChangeModel

    @classmethod
    def open(cls, reference: str, options: Mapping[str, Any], device: str) -> FeatureSource:
        """Loads a model.

        Args:
            reference: `name` or `name:source`.
            options: Its own options.
            device: See `ChangeModel.load`.

        Raises:
            ModelError: If it cannot be loaded, or gives no features of whole tiles.
            OptionError: If it refuses its options.
        """
        check_has_features(reference)
        model = load_model(reference, options, device)
        with backend_errors(model):
            model.survey(_FACTS, [])
        return cls(model)

    def features(self, tiles: Sequence[Tile]) -> list[TileFeatures]:
        """Features of tiles; see `TileFeatureModel.tile_features`."""
        with backend_errors(self.model):
            features: list[TileFeatures] = self.model.tile_features(tiles)  # type: ignore[attr-defined]
            return features


def check_has_features(reference: str) -> None:
    """Refuses a model that gives no features of whole tiles; loads nothing.

    Raises:
        ModelError: Naming those that do.
    """
    backend, _ = find_backend(reference)
    if not gives_tile_features(backend):
        raise ModelError(
            f"the model {backend.name} gives no posteriors of classes to learn from",
            f"models that do: {', '.join(models_with_tile_features())}",
        )
