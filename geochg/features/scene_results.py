"""What becomes of the answers about one tile of a single image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapely import Polygon

from geochg.geometry.polygonize import labelled_pieces, piece_polygons
from geochg.records import SceneAnswers, Tile, TileWindow


@dataclass(frozen=True, slots=True)
class SceneResult:
    """Everything a run keeps about one tile of a single image.

    Attributes:
        window: Where it lies.
        answers: The answers.
        pieces: The valid ground of its core, in grid pixels; connected pieces.
    """

    window: TileWindow
    answers: SceneAnswers
    pieces: tuple[Polygon, ...]


def scene_result(tile: Tile, answers: SceneAnswers) -> SceneResult:
    """What is kept of a tile that has a valid pixel in its core."""
    window = tile.window
    valid = tile.valid[window.core.slices_within(window.read)]
    labels, _ = labelled_pieces(np.zeros(valid.shape, np.intp), valid)
    return SceneResult(window, answers, tuple(piece_polygons(labels, window.core)))
