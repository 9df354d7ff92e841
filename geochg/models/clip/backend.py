"""The backend `clip`: classifies each date without training; a change of classes is change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from geochg.class_list import ClassList, ListedClass
from geochg.classes import CLASSES
from geochg.errors import OptionError
from geochg.extras import require_packages
from geochg.geometry.hysteresis import presence_of
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.dialogue import NUMBERLESS, unchanged_answer
from geochg.models.clip.classes import read_classes, usual_classes
from geochg.models.clip.dense_tiles import SURVEY_TILES, DenseTiles
from geochg.models.clip.kinds import LandKinds
from geochg.models.clip.model_types import HINT, MODEL_CLASSES, check_clip_folder
from geochg.models.clip.options import ClipOptions, Look
from geochg.models.clip.own_classes import asked_names, own_classes
from geochg.models.clip.scene_labels import SceneLabels
from geochg.models.clip.scoring import became, score_at
from geochg.models.clip.whole import WholeTiles
from geochg.models.detectors.sentences import NO_CHANGE
from geochg.models.devices import torch_device
from geochg.models.hub import find_folder, model_id
from geochg.models.images import filled
from geochg.models.pretrained import loading_errors
from geochg.models.tile_features import TileFeatures
from geochg.options import Dtype
from geochg.records import (
    Answer,
    Caption,
    PairFacts,
    Question,
    SceneQuestions,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

if TYPE_CHECKING:
    from geochg.models.clip.encoder import Encoder
    from geochg.models.clip.moves import TileMoves
    from geochg.models.date_cover import DateCover


class ClipModel(ChangeModel[ClipOptions]):
    """A CLIP or SigLIP that classifies each date of a place by kinds of ground.

    Patches of windows are classified, and change is where the probabilities of the classes moved
    (`DenseTiles`); or whole tiles and their cells are (`WholeTiles`).
    """

    name = "clip"
    summary = "CLIP or SigLIP, which tells kinds of ground apart: folder or hub id"
    folder_types = frozenset(MODEL_CLASSES)
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.PRESENCE, Task.LOCATE, Task.CAPTION}),
        location="mask",
        pixels="display",
        bands="rgb",
        surveys=True,
        survey_tiles=SURVEY_TILES,
        survey_is_optional=True,
        tells_land_cover=True,
        keeps_names=True,
        free_classes=True,
        fewest_dates=1,
        tasks_of_one=frozenset({Task.PRESENCE}),
        batch_tiles=8,
    )

    def __init__(
        self,
        encoder: Encoder,
        classes: tuple[ListedClass, ...],
        options: ClipOptions,
        identity: ModelIdentity,
    ) -> None:
        self.encoder = encoder
        self.classes = classes
        self.options = options
        self._identity = identity

    @classmethod
    def load(cls, source: str, options: ClipOptions, device: str) -> Self:
        """Loads a folder or a hub id such as `owner/name`; see `ChangeModel.load`.

        Raises:
            ModelError: If the folder lacks something, is of another type of model, or the device
                is not there.
            InputError: If the classes file makes no sense.
        """
        class_list = read_classes(options.classes) if options.classes else usual_classes()
        if options.class_list:
            class_list = own_classes(options.class_list)
        classes, templates = class_list.classes, options.templates
        if class_list.templates and templates == ClipOptions().templates:
            templates = class_list.templates
        folder = find_folder(source, cls.name, options.revision)
        device = torch_device(device)

        from geochg.models.clip.loading import EncoderSettings, encoder_checksum, open_encoder

        dtype = Dtype.FLOAT32 if options.dtype is Dtype.AUTO else options.dtype
        # Settings may be sensible one by one and fail together, wherever they are used.
        with loading_errors(folder, HINT):
            encoder = open_encoder(folder, EncoderSettings(classes, templates, dtype, device))
        identity = ModelIdentity(
            model_id(cls.name, source, options.revision), encoder_checksum(folder, class_list)
        )
        return cls(encoder, classes, options, identity)

    @classmethod
    def inspect_folder(cls, folder: Path) -> Capabilities:
        """Checks the files; see `ChangeModel.inspect_folder`."""
        check_clip_folder(folder)
        require_packages("vlm", "torch", "transformers")
        return cls.backend_capabilities

    @classmethod
    def presence_options(cls, options: ClipOptions, probability: float) -> Mapping[str, Any]:
        """The option that asks for this probability; see `ChangeModel.presence_options`."""
        if options.look is Look.WHOLE:
            return {"threshold": score_at(probability, options.whole_threshold)}
        return {"presence_threshold": probability}

    @classmethod
    def class_options(cls, options: ClipOptions, class_list: ClassList) -> Mapping[str, Any]:
        """The classes themselves; see `ChangeModel.class_options`.

        Raises:
            OptionError: If the model's own option names classes too.
        """
        if options.classes:
            raise OptionError(
                "--model-option classes names a class file beside --classes or --classes-file",
                "leave one of them out",
            )
        return {"class_list": class_list.to_dict()}

    @property
    def capabilities(self) -> Capabilities:
        """Those of the backend, with the classes of the file beside geochg's.

        Of whole tiles it names cells of the grid, and needs no survey.
        """
        names = (item.class_name for item in self.classes)
        able = replace(self.backend_capabilities, classes=tuple(dict.fromkeys((*CLASSES, *names))))
        if self.options.look is Look.DENSE:
            return able
        return replace(
            able,
            location="grid",
            surveys=False,
            survey_is_optional=False,
            tells_land_cover=False,
            batch_tiles=32,
        )

    @property
    def identity(self) -> ModelIdentity:
        """The loaded model, and the checksum of its weights, settings and classes."""
        return self._identity

    @cached_property
    def _dense(self) -> DenseTiles:
        from geochg.models.clip.dense import DenseEncoder

        return DenseTiles(
            DenseEncoder(self.encoder),
            LandKinds.of(self.classes, asked_names(self.options.class_list)),
            self.options.window_px,
            self.options.threshold,
            self.options.presence_threshold,
        )

    @cached_property
    def _whole(self) -> WholeTiles:
        return WholeTiles(self.encoder, self.classes, self.options.whole_threshold)

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Measures the pair on a sample of its tiles; see `ChangeModel.survey`."""
        if self.options.look is Look.DENSE:
            self._dense.survey(tile for tile in sample if tile.valid.any())

    def tile_features(self, tiles: Sequence[Tile]) -> list[TileFeatures]:
        """Gives features of whole tiles; see `TileFeatureModel.tile_features`.

        Each date is encoded as one picture: its classes are the posteriors, its embedding is the
        pooled feature.
        """
        dates = [filled(date, tile.valid) for tile in tiles for date in (tile.before, tile.after)]
        images = self.encoder.encodings(dates)
        return [
            TileFeatures(
                (before.probabilities, after.probabilities),
                (before.embedding, after.embedding),
                np.array([float(before.embedding @ after.embedding)]),
            )
            for before, after in zip(images[::2], images[1::2], strict=True)
        ]

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`.

        Without a survey each tile is a scene of its own, as in a set of unrelated pairs.
        """
        if self.options.look is Look.WHOLE:
            return self._whole.answer(tiles, questions)
        return [
            TileFailure(tile.window, NUMBERLESS)
            if moves is None
            else [self._answer(tile, moves, question) for question in questions]
            for tile, moves in zip(tiles, self._dense.moves(tiles), strict=True)
        ]

    def describe(self, tiles: Sequence[Tile], questions: SceneQuestions) -> list[TileAnswers]:
        """Tells the labels of tiles of a single image; see `ChangeModel.describe`."""
        return SceneLabels(self.encoder, self.classes).answer(tiles, questions)

    def date_covers(
        self, facts: PairFacts, sample: Sequence[Tile], tiles: Iterable[Tile]
    ) -> Iterator[DateCover]:
        """Tells the land cover of tiles of one image; see `LandCoverModel.date_covers`."""
        return map(self._dense.date_cover, tiles)

    def _answer(self, tile: Tile, moves: TileMoves, question: Question) -> Answer:
        outlines = moves.outlines(self.options.presence_threshold)
        if question.task is Task.LOCATE:
            return outlines
        presence, pair = presence_of(outlines, tile.valid), moves.commonest
        if question.task is Task.PRESENCE or not presence.changed or pair is None:
            return unchanged_answer(question.task, presence, NO_CHANGE)
        if question.task is Task.CAPTION:
            old, new = (self.classes[index] for index in pair)
            return Caption(became(old, new), changed=True)
        raise ValueError(f"{question.task} is not among the tasks of this backend")
