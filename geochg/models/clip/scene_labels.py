"""Labels of tiles of a single image: what the whole, or one of its nine cells, shows best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.class_list import ListedClass
from geochg.geometry.grid_cells import cell_slices
from geochg.models.chat.dialogue import NUMBERLESS
from geochg.models.clip.whole import Classifier
from geochg.models.images import filled
from geochg.records import (
    GRID_CELLS,
    Label,
    SceneAnswers,
    SceneQuestions,
    Tile,
    TileAnswers,
    TileFailure,
)

LABEL_THRESHOLD = 0.5
"""A label is present where a view shows it rather than all else together."""


@dataclass(frozen=True, eq=False)
class SceneLabels:
    """Tells which labels tiles show.

    The probabilities of one picture add up to 1, so several labels are found by several views: the
    tile as a whole, and the nine cells of its 3x3 grid. A label is as likely as in the view that
    shows it best.

    Attributes:
        encoder: Classifies pictures.
        classes: The classes, in the order of the probabilities; those that are no labels are what
            else a place may show.
    """

    encoder: Classifier
    classes: tuple[ListedClass, ...]

    def answer(self, tiles: Sequence[Tile], questions: SceneQuestions) -> list[TileAnswers]:
        """One `SceneAnswers` a tile; see `ChangeModel.describe`."""
        views = [_views(tile) for tile in tiles]
        rows = self.encoder.probabilities([view for tile_views in views for view in tile_views])
        answers: list[TileAnswers] = []
        start = 0
        for tile, tile_views in zip(tiles, views, strict=True):
            tile_rows = rows[start : start + len(tile_views)]
            start += len(tile_views)
            if np.isfinite(tile_rows).all():
                answers.append([SceneAnswers(self._labels(tile_rows, questions))])
            else:
                answers.append(TileFailure(tile.window, NUMBERLESS))
        return answers

    def _labels(self, rows: NDArray[np.float64], questions: SceneQuestions) -> dict[str, Label]:
        """The labels by `(views, classes)` probabilities."""
        labels = {}
        for label in questions.labels:
            columns = [n for n, item in enumerate(self.classes) if item.class_name == label.name]
            likely = min(float(rows[:, columns].sum(axis=1).max(initial=0.0)), 1.0)
            labels[label.name] = Label(likely > LABEL_THRESHOLD, round(likely, 4))
        return labels


def _views(tile: Tile) -> list[NDArray[np.uint8]]:
    """The whole tile, and those of its cells that are valid for the most part."""
    image, valid = filled(tile.before, tile.valid), tile.valid
    views = [image]
    for cell in GRID_CELLS:
        part = cell_slices(valid.shape, cell)
        if valid[part].size and valid[part].mean() > 0.5:
            views.append(image[:, *part])
    return views
