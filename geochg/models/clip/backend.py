"""The backend `clip`: classifies each date without training; a change of classes is change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geochg.class_list import ClassList, ListedClass
from geochg.classes import CLASSES
from geochg.errors import OptionError
from geochg.geometry.grid_cells import cell_slices
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.dialogue import NUMBERLESS, unchanged_answer
from geochg.models.clip.classes import read_classes, usual_classes
from geochg.models.clip.options import ClipOptions
from geochg.models.clip.own_classes import own_classes
from geochg.models.clip.scoring import DateClasses, changed_cells, probability, score_at
from geochg.models.detectors.sentences import NO_CHANGE
from geochg.models.devices import torch_device
from geochg.models.hub import find_folder, model_id
from geochg.models.pretrained import loading_errors
from geochg.options import Dtype
from geochg.records import (
    GRID_CELLS,
    Answer,
    Caption,
    GridCell,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geochg.models.clip.encoder import Encoder


class ClipModel(ChangeModel[ClipOptions]):
    """A CLIP or SigLIP that classifies each date of a tile by kinds of ground.

    The change score is the sum of the absolute differences between the probabilities of the two
    dates; above a threshold the tile has changed (Kömürcü, master thesis, Vilnius: zero-shot
    change with threshold optimisation). The nine cells of a changed tile are judged likewise.
    """

    name = "clip"
    summary = "CLIP or SigLIP, which tells kinds of ground apart: folder or hub id"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.PRESENCE, Task.LOCATE, Task.CAPTION}),
        location="grid",
        pixels="display",
        bands="rgb",
        free_classes=True,
        batch_tiles=32,
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
        class_list = (
            read_classes(Path(options.classes).expanduser()) if options.classes else usual_classes()
        )
        if options.class_list:
            class_list = own_classes(options.class_list)
        classes, templates = class_list.classes, options.templates
        if class_list.templates and templates == ClipOptions().templates:
            templates = class_list.templates
        folder = find_folder(source, cls.name, options.revision)
        device = torch_device(device)

        from geochg.models.clip.loading import HINT, EncoderSettings, encoder_checksum, open_encoder

        dtype = Dtype.FLOAT32 if options.dtype is Dtype.AUTO else options.dtype
        # Settings may be sensible one by one and fail together, wherever they are used.
        with loading_errors(folder, HINT):
            encoder = open_encoder(folder, EncoderSettings(classes, templates, dtype, device))
        identity = ModelIdentity(
            model_id(cls.name, source, options.revision), encoder_checksum(folder, class_list)
        )
        return cls(encoder, classes, options, identity)

    @classmethod
    def presence_options(cls, options: ClipOptions, probability: float) -> Mapping[str, Any]:
        """The threshold whose score has this probability; see `ChangeModel.presence_options`."""
        return {"threshold": score_at(probability, options.threshold)}

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
        """Those of the backend, with the classes of the file beside geochg's."""
        names = (item.class_name for item in self.classes)
        return replace(self.backend_capabilities, classes=tuple(dict.fromkeys((*CLASSES, *names))))

    @property
    def identity(self) -> ModelIdentity:
        """The loaded model, and the checksum of its weights, settings and classes."""
        return self._identity

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        classes = self._date_classes([(tile.before, tile.after) for tile in tiles])
        changed = [index for index, dates in enumerate(classes) if self._is_change(dates)]
        cells: dict[int, dict[GridCell, DateClasses]] = {}
        if any(question.task is Task.LOCATE for question in questions):
            cells = self._cell_classes(tiles, changed)
        return [
            TileFailure(tiles[index].window, NUMBERLESS)
            if any(isnan(item.score) for item in (dates, *cells.get(index, {}).values()))
            else [self._answer(question, dates, cells.get(index, {})) for question in questions]
            for index, dates in enumerate(classes)
        ]

    def _is_change(self, dates: DateClasses) -> bool:
        return dates.score > self.options.threshold

    def _answer(
        self, question: Question, dates: DateClasses, cells: Mapping[GridCell, DateClasses]
    ) -> Answer:
        threshold, changed = self.options.threshold, self._is_change(dates)
        presence = Presence(changed, probability(dates.score, threshold))
        if question.task is Task.PRESENCE or not changed:
            return unchanged_answer(question.task, presence, NO_CHANGE)
        if question.task is Task.CAPTION:
            return Caption(dates.caption(self.classes), changed=True)
        if question.task is Task.LOCATE:
            return changed_cells(cells, self.classes, threshold)
        raise ValueError(f"{question.task} is not among the tasks of this backend")

    def _cell_classes(
        self, tiles: Sequence[Tile], indices: Sequence[int]
    ) -> dict[int, dict[GridCell, DateClasses]]:
        """The classes of the valid cells of some tiles, by the tile's index in its batch."""
        parts = [
            (index, cell, part)
            for index in indices
            for cell in GRID_CELLS
            if tiles[index].valid[part := cell_slices(tiles[index].valid.shape, cell)].any()
        ]
        crops = [
            (tiles[index].before[:, *part], tiles[index].after[:, *part])
            for index, _, part in parts
        ]
        cells: dict[int, dict[GridCell, DateClasses]] = {index: {} for index in indices}
        for (index, cell, _), dates in zip(parts, self._date_classes(crops), strict=True):
            cells[index][cell] = dates
        return cells

    def _date_classes(
        self, pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    ) -> list[DateClasses]:
        rows = self.encoder.probabilities([date for pair in pairs for date in pair])
        return [DateClasses(*rows[2 * index : 2 * index + 2]) for index in range(len(pairs))]
