"""Whole tiles and their nine cells, each date classified as one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geochg.class_list import ListedClass
from geochg.geometry.grid_cells import cell_slices
from geochg.models.chat.dialogue import NUMBERLESS, unchanged_answer
from geochg.models.clip.scoring import DateClasses, changed_cells, probability
from geochg.models.detectors.sentences import NO_CHANGE
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


class Classifier(Protocol):
    """Classifies pictures, as `Encoder` does."""

    def probabilities(self, dates: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """`(pictures, classes)` probability that each picture shows each class."""


@dataclass(frozen=True, eq=False)
class WholeTiles:
    """Tells change in whole tiles and cells of the 3x3 grid.

    The change score is the sum of the absolute differences between the probabilities of the two
    dates; above a threshold the tile has changed (Kömürcü, master thesis, Vilnius: zero-shot
    change with threshold optimisation). The nine cells of a changed tile are judged likewise.

    Attributes:
        encoder: Classifies pictures.
        classes: The classes, in the order of the probabilities.
        threshold: Score, 0-2, above which a place has changed.
    """

    encoder: Classifier
    classes: tuple[ListedClass, ...]
    threshold: float

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
        return dates.score > self.threshold

    def _answer(
        self, question: Question, dates: DateClasses, cells: Mapping[GridCell, DateClasses]
    ) -> Answer:
        threshold, changed = self.threshold, self._is_change(dates)
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
