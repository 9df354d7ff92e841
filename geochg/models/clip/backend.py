"""The backend `clip`: each date is told apart as one of many kinds of ground, without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geochg.geometry.grid_cells import cell_slices
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.conversation import NUMBERLESS, unchanged
from geochg.models.clip.classes import LandClass, read_classes, usual_classes
from geochg.models.clip.options import ClipOptions
from geochg.models.clip.scoring import Seen, located, probability, score_at
from geochg.models.detectors.sentences import NO_CHANGE
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
    """A CLIP or SigLIP that tells each date of a tile apart as kinds of ground.

    The change score is the sum of the absolute differences between the probabilities of the two
    dates; above a threshold the tile has changed (Kömürcü, master thesis, Vilnius: zero-shot
    change with threshold optimisation). Of a changed tile the nine cells are looked at likewise.
    """

    name = "clip"
    summary = "CLIP or SigLIP, which tells kinds of ground apart: folder or hub id"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.PRESENCE, Task.LOCATE, Task.CAPTION}),
        location="grid",
        pixels="display",
        bands="rgb",
        batch_tiles=32,
    )

    def __init__(
        self,
        encoder: Encoder,
        classes: tuple[LandClass, ...],
        options: ClipOptions,
        identity: ModelIdentity,
    ) -> None:
        self.encoder = encoder
        self.classes = classes
        self.options = options
        self._identity = identity

    @classmethod
    def load(cls, source: str, options: ClipOptions, device: str) -> Self:
        """Loads a model folder; see `ChangeModel.load`.

        Args:
            source: A folder, or a hub id such as `owner/name`.
            options: Of the backend.
            device: See `ChangeModel.load`.

        Raises:
            ModelError: If the folder lacks something, is of another type of model, or the device
                is not there.
            InputError: If the classes file makes no sense.
        """
        from geochg.models.devices import torch_device
        from geochg.models.hub import find_folder

        classes = (
            read_classes(Path(options.classes).expanduser()) if options.classes else usual_classes()
        )
        folder = find_folder(source, cls.name, options.revision)
        place = torch_device(device)

        from geochg.models.clip.loading import HINT, Wanted, identified, open_encoder
        from geochg.models.pretrained import opening_told

        dtype = Dtype.FLOAT32 if options.dtype is Dtype.AUTO else options.dtype
        # Settings that each make sense may make none together, wherever they are used.
        with opening_told(folder, HINT):
            encoder = open_encoder(folder, Wanted(classes, options.templates, dtype, place))
        identity = ModelIdentity(
            f"{cls.name}:{source}" + (f"@{options.revision}" if options.revision else ""),
            identified(folder, classes),
        )
        return cls(encoder, classes, options, identity)

    @classmethod
    def presence_options(cls, options: ClipOptions, probability: float) -> Mapping[str, Any]:
        """The threshold whose score has this probability; see `ChangeModel.presence_options`."""
        return {"threshold": score_at(probability, options.threshold)}

    @property
    def identity(self) -> ModelIdentity:
        """What was loaded, and the checksum of its weights, settings and classes."""
        return self._identity

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        seen = self._seen([(tile.before, tile.after) for tile in tiles])
        changed = [place for place, each in enumerate(seen) if self._is_change(each)]
        cells: dict[int, dict[GridCell, Seen]] = {}
        if any(question.task is Task.LOCATE for question in questions):
            cells = self._seen_cells(tiles, changed)
        return [
            TileFailure(tiles[place].window, NUMBERLESS)
            if any(isnan(one.score) for one in (each, *cells.get(place, {}).values()))
            else [self._answer(question, each, cells.get(place, {})) for question in questions]
            for place, each in enumerate(seen)
        ]

    def _is_change(self, seen: Seen) -> bool:
        return seen.score > self.options.threshold

    def _answer(self, question: Question, seen: Seen, cells: Mapping[GridCell, Seen]) -> Answer:
        threshold, changed = self.options.threshold, self._is_change(seen)
        presence = Presence(changed, probability(seen.score, threshold))
        if question.task is Task.PRESENCE or not changed:
            return unchanged(question.task, presence, NO_CHANGE)
        if question.task is Task.CAPTION:
            return Caption(seen.caption(self.classes), changed=True)
        if question.task is Task.LOCATE:
            return located(cells, self.classes, threshold)
        raise ValueError(f"{question.task} is not among the tasks of this backend")

    def _seen_cells(
        self, tiles: Sequence[Tile], places: Sequence[int]
    ) -> dict[int, dict[GridCell, Seen]]:
        """What the cells of some tiles were taken for, by the tile's place in its batch."""
        parts = [(place, cell) for place in places for cell in _valid_cells(tiles[place])]
        crops = [_crops(tiles[place], cell) for place, cell in parts]
        found: dict[int, dict[GridCell, Seen]] = {place: {} for place in places}
        for (place, cell), seen in zip(parts, self._seen(crops), strict=True):
            found[place][cell] = seen
        return found

    def _seen(self, pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> list[Seen]:
        likely = self.encoder.probabilities([date for pair in pairs for date in pair])
        return [Seen(*likely[2 * place : 2 * place + 2]) for place in range(len(pairs))]


def _valid_cells(tile: Tile) -> list[GridCell]:
    return [cell for cell in GRID_CELLS if tile.valid[cell_slices(tile.valid.shape, cell)].any()]


def _crops(tile: Tile, cell: GridCell) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    part = cell_slices(tile.valid.shape, cell)
    return tile.before[:, *part], tile.after[:, *part]
