"""The backend `labels`: what one image shows, asked at both dates; gained and lost is change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

from geochg.class_list import ClassList
from geochg.errors import ModelError, RunError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.labels.moves import LabelMoves
from geochg.models.labels.options import LabelsOptions
from geochg.models.registry import find_backend, load_model, models_of_one_image
from geochg.records import (
    Question,
    SceneAnswers,
    SceneQuestions,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks.scene import PRESENCE_PROMPT, scene_questions, usual_labels


class LabelsModel(ChangeModel[LabelsOptions]):
    """Asks another model about each label at each date by itself.

    That model never compares images, so the dates cannot be confounded, and what moves nothing
    among the labels is no change. A tile is told as a whole: smaller tiles tell more exactly where.
    """

    name = "labels"
    summary = "labels gained or lost, by a model that tells of one image: labels:vlm:FOLDER"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.PRESENCE, Task.LOCATE, Task.CAPTION}),
        location="grid",
        pixels="display",
        bands="rgb",
        free_classes=True,
        batch_tiles=8,
    )

    def __init__(self, model: ChangeModel, labels: ClassList, options: LabelsOptions) -> None:
        self.model = model
        self.labels = labels
        self.options = options

    @classmethod
    def load(cls, source: str, options: LabelsOptions, device: str) -> Self:
        """Loads the model that tells the labels; see `ChangeModel.load`.

        Args:
            source: That model, as `--model` names it: `vlm:FOLDER`.
            options: The options.
            device: See `ChangeModel.load`.

        Raises:
            ModelError: If no model is named, or it does not tell labels of one image.
        """
        able = ", ".join(models_of_one_image()) or "none"
        if not source:
            raise ModelError(
                "labels needs a model that tells of one image",
                f"write --model labels:MODEL, of {able}",
            )
        backend, _ = find_backend(source)
        if Task.PRESENCE not in backend.backend_capabilities.tasks_of_one:
            raise ModelError(
                f"the model {backend.name} compares two images, and cannot tell of one",
                f"models that can: {able}",
            )
        labels = usual_labels()
        own_options: Mapping[str, Any] = dict(options.model_options)
        if options.class_list:
            labels = ClassList.from_dict(options.class_list, "--classes")
            inner_options = backend.options_type.from_dict(own_options)
            own_options = {**own_options, **backend.class_options(inner_options, labels)}
        return cls(load_model(source, own_options, device), labels, options)

    @classmethod
    def presence_options(cls, options: LabelsOptions, probability: float) -> Mapping[str, Any]:
        """The probability of the likeliest move; see `ChangeModel.presence_options`."""
        return {"threshold": probability}

    @classmethod
    def class_options(cls, options: LabelsOptions, class_list: ClassList) -> Mapping[str, Any]:
        """The labels themselves; see `ChangeModel.class_options`."""
        return {"class_list": class_list.to_dict()}

    @property
    def capabilities(self) -> Capabilities:
        """Those of the backend, with the labels, and with the input that the other model takes."""
        able = self.model.capabilities
        return replace(
            self.backend_capabilities,
            pixels=able.pixels,
            bands=able.bands,
            classes=self.labels.names,
            radar=able.of_radar,
            batch_tiles=max(1, able.batch_tiles // 2),
        )

    @cached_property
    def identity(self) -> ModelIdentity:
        """The other model, and the checksum of its own and of the labels."""
        identity = self.model.identity
        facts = [identity.checksum, self.labels.to_dict(), self.options.threshold]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return replace(identity, id=f"{self.name}:{identity.id}", checksum=f"sha256:{digest}")

    def prompt(self, question: Question) -> str:
        """The question about each label at each date; see `ChangeModel.prompt`."""
        return PRESENCE_PROMPT

    @cached_property
    def _questions(self) -> SceneQuestions:
        return scene_questions(self.labels, {Task.PRESENCE})

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        dates = [replace(tile, dates=(tile.before,)) for tile in tiles]
        dates += [replace(tile, dates=(tile.after,)) for tile in tiles]
        rows = self.model.describe(dates, self._questions)
        return [
            self._tile_answers(before, after, questions)
            for before, after in zip(rows[: len(tiles)], rows[len(tiles) :], strict=True)
        ]

    def _tile_answers(
        self, before: TileAnswers, after: TileAnswers, questions: Sequence[Question]
    ) -> TileAnswers:
        if isinstance(before, TileFailure):
            return before
        if isinstance(after, TileFailure):
            return after
        first, last = before[0], after[0]
        if not (isinstance(first, SceneAnswers) and isinstance(last, SceneAnswers)):
            raise RunError(
                f"the model {self.model.name} gives no labels",
                "choose another, see `geochg models`",
            )
        moves = LabelMoves.of(first, last, self.options.threshold)
        return [moves.answer(question) for question in questions]
