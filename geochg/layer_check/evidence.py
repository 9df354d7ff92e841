"""What a model sees of an image, kept on a coarse lattice in a file: memory stays flat."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geochg.errors import RunError
from geochg.events import Listener, Progress
from geochg.land_cover import COVERS
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.date_cover import CoverLogits, CoverLogitsModel
from geochg.models.devices import processors
from geochg.options import AlignMode
from geochg.records import LAND_COVER, Tile, TileFailure, TileWindow
from geochg.tiling.layout import Layout
from geochg.tiling.pair import RasterPair, nothing_valid
from geochg.tiling.preparation import prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.sample import sample_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE_PX, OVERLAP_PX = 256, 32
"""Tiles that the model sees, as those of `analyze` are."""

COVERS_A_VIEW = len(LAND_COVER) + 1
"""Logits of a view: those of `LAND_COVER`, and last that of what hides the ground."""

_SAMPLE_TILES = 16
_BATCH_TILES = 16
_LATTICE_PX = 32
"""The lattice of a tile starts at a multiple of its cells wherever sides are multiples of this."""

NOTHING, SEEN, HIDDEN = 0, 1, 2
"""States of a cell: no data, ground that is seen, cloud or shadow or snow."""

_STATES = np.uint8


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a model sees of an image.

    Attributes:
        logits: `(2 * covers, rows, columns)` float16, see `CoverLogits`; a file in a folder that
            is deleted when the check ends.
        state: `(rows, columns)` uint8: `NOTHING`, `SEEN` or `HIDDEN`.
        cell_px: Side of a cell, in pixels of the image.
    """

    logits: NDArray[np.float16]
    state: NDArray[np.uint8]
    cell_px: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the lattice."""
        rows, cols = self.state.shape
        return rows, cols


def class_log_odds(logits: NDArray[np.floating], class_name: str) -> NDArray[np.float32]:
    """Log odds that ground is of a class: the mean of both views.

    Args:
        logits: `(2 * covers, ...)`, see `CoverLogits`.
        class_name: A class that consists of certain land covers.
    """
    members = [LAND_COVER.index(cover) for cover in sorted(COVERS[class_name])]
    others = [number for number in range(COVERS_A_VIEW) if number not in members]
    views = np.asarray(logits, np.float32).reshape(2, COVERS_A_VIEW, *logits.shape[1:])
    odds = np.logaddexp.reduce(views[:, members], axis=1)
    odds -= np.logaddexp.reduce(views[:, others], axis=1)
    mean: NDArray[np.float32] = odds.mean(axis=0)
    return mean


def read_evidence(
    pair: RasterPair,
    model: ChangeModel,
    folder: Path,
    listener: Listener,
    stop_if_cancelled: Callable[[], None],
) -> Evidence:
    """Shows a model an image, tile by tile.

    Args:
        pair: The image as a pair that is read once.
        model: A model that tells logits of land covers.
        folder: A folder for the file of the evidence.
        listener: Hears of the progress.
        stop_if_cancelled: Raises where the run was cancelled.

    Raises:
        InputError: If nothing of the image is valid.
        RunError: If a part of it cannot be read, or the model fails.
    """
    layout, plan = _layout(pair), _display_plan(pair)
    threads = min(4, processors())
    sample_windows = layout.spread_tiles(_SAMPLE_TILES)
    sample = [tile for tile in _tiles(plan, sample_windows, threads) if tile.valid.any()]
    draft: _Draft | None = None
    listener(Progress("tiles", 0, len(layout)))
    pending: list[Tile] = []
    with closing(_tiles(plan, layout, threads)) as tiles:
        for number, tile in enumerate(tiles, 1):
            stop_if_cancelled()
            if tile.valid.any():
                pending.append(tile)
                sample = sample or [tile]
            if len(pending) == _BATCH_TILES or (pending and number == len(layout)):
                draft = _keep(pair, model, sample, pending, draft or _Draft(layout, folder))
                pending = []
            listener(Progress("tiles", number, len(layout)))
    if draft is None or draft.evidence is None:
        raise nothing_valid(pair)
    return draft.evidence


@dataclass
class _Draft:
    """The evidence while it is made; its lattice is known with the first answer."""

    layout: Layout
    folder: Path
    evidence: Evidence | None = None

    def keep(self, tile: Tile, answer: CoverLogits) -> None:
        """Keeps what lies in the core of a tile."""
        evidence = self.evidence or self._begin(answer)
        cell_px, core, read = answer.cell_px, tile.window.core, tile.window.read
        rows, cols = (
            slice(start // cell_px, math.ceil(stop / cell_px))
            for start, stop in ((core.row_start, core.row_stop), (core.col_start, core.col_stop))
        )
        own_rows, own_cols = (
            slice(part.start - start // cell_px, part.stop - start // cell_px)
            for part, start in ((rows, read.row_start), (cols, read.col_start))
        )
        evidence.logits[:, rows, cols] = answer.logits[:, own_rows, own_cols]
        blocks = tile.valid.reshape(
            tile.valid.shape[0] // cell_px, cell_px, tile.valid.shape[1] // cell_px, cell_px
        )
        valid = blocks.mean(axis=(1, 3))[own_rows, own_cols] > 0.5
        hidden = answer.hidden[own_rows, own_cols]
        evidence.state[rows, cols] = np.where(valid, np.where(hidden, HIDDEN, SEEN), NOTHING)

    def _begin(self, answer: CoverLogits) -> Evidence:
        rows = self.layout.height_px // answer.cell_px
        cols = self.layout.width_px // answer.cell_px
        count = len(answer.logits)
        file = self.folder / "logits.dat"
        logits = np.memmap(file, np.float16, "w+", shape=(count, rows, cols))
        self.evidence = Evidence(logits, np.zeros((rows, cols), _STATES), answer.cell_px)
        return self.evidence


def _keep(
    pair: RasterPair, model: ChangeModel, sample: list[Tile], tiles: list[Tile], draft: _Draft
) -> _Draft:
    assert isinstance(model, CoverLogitsModel)
    with backend_errors(model):
        answers = list(model.cover_logits(pair.facts, sample, tiles))
    for tile, answer in zip(tiles, answers, strict=True):
        draft.keep(tile, answer)
    return draft


def _layout(pair: RasterPair) -> Layout:
    """The tiles of the image; its sides are filled up to whole cells."""
    height_px, width_px = (math.ceil(side / _LATTICE_PX) * _LATTICE_PX for side in pair.grid.shape)
    longest_px = max(height_px, width_px)
    side_px = min(TILE_PX, longest_px)
    return Layout(height_px, width_px, side_px, OVERLAP_PX if side_px < longest_px else 0)


def _display_plan(pair: RasterPair) -> ReadPlan:
    """How display values of the image are read."""
    if set(pair.dtypes) != {"uint8"} and not sample_values(pair.plan())[0].size:
        raise nothing_valid(pair)
    return prepare(pair, AlignMode.OFF, pixels="display").plan(pair)


def _tiles(
    plan: ReadPlan, windows: Sequence[TileWindow], threads: int
) -> Generator[Tile, None, None]:
    with closing(read_ahead(plan, windows, threads)) as tiles:
        for tile in tiles:
            if isinstance(tile, TileFailure):
                raise RunError(
                    f"a part of the image cannot be read: {tile.reason}", "repair the image"
                )
            yield tile
