"""The backend `trees`: whether a tile changed, by trees that learned it from labelled tiles."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from geochg.errors import ModelError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.dialogue import NUMBERLESS
from geochg.models.hub import model_id
from geochg.models.registry import source_of
from geochg.models.tile_features import FeatureKind, TileFeatures
from geochg.models.trees.card import HINT, TreesCard
from geochg.models.trees.ensemble import TreeEnsemble
from geochg.models.trees.features import FeatureSource, check_has_features
from geochg.models.trees.options import TreesOptions
from geochg.records import (
    GRID_CELLS,
    Answer,
    Change,
    Locations,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

_CLASS = "other"
"""The class of what changed: labels of tiles do not tell it."""


class TreesModel(ChangeModel[TreesOptions]):
    """Gradient boosting or a random forest on features of another model.

    A tile is told as a whole, in all of its nine cells.
    """

    name = "trees"
    summary = "trees that learned from labelled tiles, by `geochg train trees`: trees:FOLDER"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.PRESENCE, Task.LOCATE}),
        location="grid",
        pixels="display",
        bands="rgb",
        classes=(_CLASS,),
        batch_tiles=8,
    )

    def __init__(
        self,
        card: TreesCard,
        ensemble: TreeEnsemble,
        source: FeatureSource,
        options: TreesOptions,
        identity: ModelIdentity,
    ) -> None:
        self.card = card
        self.ensemble = ensemble
        self.source = source
        self.options = options
        self._identity = identity
        self._last: tuple[tuple[Tile, ...], list[TileFeatures]] = ((), [])

    @classmethod
    def load(cls, source: str, options: TreesOptions, device: str) -> Self:
        """Loads a folder that `geochg train trees` made; see `ChangeModel.load`.

        Raises:
            ModelError: If it holds no trees, they were altered, or the model whose features they
                read is not there, or is another one.
        """
        if not source:
            raise ModelError("trees needs a folder", f"write --model {cls.name}:FOLDER")
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise ModelError(f"there is no folder {source}", "check the path")
        card = TreesCard.read(folder)
        ensemble = TreeEnsemble.open(folder, card)
        features = FeatureSource.open(_reference(card, options), card.model_options, device)
        _check_same(folder, card, features.model.identity)
        digest = hashlib.sha256(f"{card.sha256} {card.identity['checksum']}".encode())
        identity = replace(
            features.model.identity,
            id=model_id(cls.name, source),
            checksum=f"sha256:{digest.hexdigest()}",
        )
        return cls(card, ensemble, features, options, identity)

    @classmethod
    def presence_options(cls, options: TreesOptions, probability: float) -> Mapping[str, Any]:
        """The threshold; see `ChangeModel.presence_options`."""
        return {"threshold": probability}

    @property
    def identity(self) -> ModelIdentity:
        """The folder, and the checksum of the trees and of the model that they read."""
        return self._identity

    @cached_property
    def threshold(self) -> float:
        """Probability above which a tile has changed."""
        return self.card.threshold if self.options.threshold is None else self.options.threshold

    @property
    def zero_shot_threshold(self) -> float | None:
        """See `TreesCard.zero_shot_threshold`."""
        return self.card.zero_shot_threshold

    def zero_shot_scores(self, tiles: Sequence[Tile]) -> list[float | None]:
        """How far the posteriors of each tile moved, 0-2; None where there are no numbers."""
        return [
            features.posterior_change if features.is_finite else None
            for features in self._features(tiles)
        ]

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`.

        Raises:
            ModelError: If tiles are of another size than those that the trees learned from.
        """
        self._check_size(tiles)
        features = self._features(tiles)
        finite = [number for number, item in enumerate(features) if item.is_finite]
        probabilities = np.full(len(tiles), np.nan)
        if finite:
            kind = FeatureKind(self.card.features)
            vectors = np.stack([features[number].vector(kind) for number in finite])
            if vectors.shape[1] != self.card.columns:
                raise ModelError(
                    f"the trees learned from {self.card.columns} features, and the model gives "
                    f"{vectors.shape[1]}",
                    HINT,
                )
            probabilities[finite] = self.ensemble.probability(vectors)
        return [
            TileFailure(tile.window, NUMBERLESS)
            if np.isnan(probability)
            else [self._answer(question, round(probability, 4)) for question in questions]
            for tile, probability in zip(tiles, probabilities.tolist(), strict=True)
        ]

    def _answer(self, question: Question, probability: float) -> Answer:
        changed = probability > self.threshold
        if question.task is Task.PRESENCE:
            return Presence(changed, probability)
        if question.task is Task.LOCATE:
            if not changed:
                return Locations({})
            cells = dict.fromkeys(GRID_CELLS, probability)
            return Locations({_CLASS: cells}, {_CLASS: Change.ALTERED})
        raise ValueError(f"{question.task} is not among the tasks of this backend")

    def _features(self, tiles: Sequence[Tile]) -> list[TileFeatures]:
        """Features of tiles; those of the last call are kept, since two things are made of them."""
        former, features = self._last
        if len(former) == len(tiles) and all(map(operator.is_, former, tiles)):
            return features
        features = self.source.features(tiles)
        self._last = (tuple(tiles), features)
        return features

    def _check_size(self, tiles: Sequence[Tile]) -> None:
        side = self.card.tile_size_px
        for tile in tiles:
            height, width = tile.valid.shape
            if (height, width) != (side, side):
                raise ModelError(
                    f"the trees learned from tiles of {side} px, and these are {width} x {height}",
                    f"write --tile-size {side}, on images that are at least as large",
                )


def _reference(card: TreesCard, options: TreesOptions) -> str:
    """The model whose features are read, as `--model` names it.

    Raises:
        ModelError: If its folder is not there: nothing is fetched because a card names it.
    """
    reference = options.model or card.model
    check_has_features(reference)
    folder = source_of(reference)
    if folder and not Path(folder).expanduser().is_dir():
        raise ModelError(
            f"the trees read features of {reference}, which is not there",
            f"write --model-option model={reference.partition(':')[0]}:FOLDER",
        )
    return reference


def _check_same(folder: Path, card: TreesCard, identity: ModelIdentity) -> None:
    """Refuses the features of another model than that of the card."""
    # A folder may have moved; its checksum tells that it is the same.
    if all(card.identity[name] == getattr(identity, name) for name in ("checksum", "adapter")):
        return
    former_id = card.identity["id"]
    is_alike = former_id.partition(":")[0] == identity.id.partition(":")[0]
    kind = "another version of the model" if is_alike else "the model"
    raise ModelError(
        f"{folder} learned from features of {kind} {former_id}, and this is {identity.id}", HINT
    )
