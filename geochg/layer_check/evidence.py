"""What a model sees of an image: read tile by tile, on the coarse lattice of the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.errors import RunError
from geochg.events import Listener, Progress
from geochg.land_cover import COVERS
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.date_cover import CoverLogits, CoverLogitsModel
from geochg.models.devices import processors
from geochg.options import AlignMode
from geochg.records import LAND_COVER, PixelWindow, Tile, TileFailure, TileWindow
from geochg.tiling.layout import Layout, evenly
from geochg.tiling.pair import RasterPair, nothing_valid
from geochg.tiling.preparation import prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.sample import sample_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE_PX, OVERLAP_PX = 256, 32
"""Tiles that the model sees, as those of `analyze` are."""

SAMPLE_TILES = 64
"""Most tiles on which a layer is first held against the image; they stay in memory."""

NOTHING, SEEN, HIDDEN = 0, 1, 2
"""States of a cell: no data, ground that is seen, cloud or shadow or snow."""

COVERS_A_VIEW = len(LAND_COVER) + 1
"""Logits of a view: those of `LAND_COVER`, and last that of what hides the ground."""

_COLOR_TILES = 16
_BATCH_TILES = 16
_LATTICE_PX = 32
"""The lattice of a tile starts at a multiple of its cells wherever sides are multiples of this."""


class SeenTile(NamedTuple):
    """What a model sees in the core of a tile.

    Attributes:
        number: Number of the tile.
        window: The cells of the core.
        channels: `(channels, rows, columns)` float16: the logits of land covers, see
            `CoverLogits`, then its features.
        state: `(rows, columns)` uint8: `NOTHING`, `SEEN` or `HIDDEN`.
        cell_px: Side of a cell, in pixels of the image.
    """

    number: int
    window: PixelWindow
    channels: NDArray[np.float16]
    state: NDArray[np.uint8]
    cell_px: int


def class_log_odds(channels: NDArray[np.floating], class_name: str) -> NDArray[np.float32]:
    """Log odds that ground is of a class: the mean of both views.

    Args:
        channels: `(channels, ...)`, the first of which are logits; see `CoverLogits`.
        class_name: A class that consists of certain land covers.
    """
    members = [LAND_COVER.index(cover) for cover in sorted(COVERS[class_name])]
    others = [number for number in range(COVERS_A_VIEW) if number not in members]
    logits = np.asarray(channels[: 2 * COVERS_A_VIEW], np.float32)
    views = logits.reshape(2, COVERS_A_VIEW, *channels.shape[1:])
    odds = np.logaddexp.reduce(views[:, members], axis=1)
    odds -= np.logaddexp.reduce(views[:, others], axis=1)
    mean: NDArray[np.float32] = odds.mean(axis=0)
    return mean


@dataclass(frozen=True)
class EvidenceReader:
    """Shows a model an image, tile by tile.

    Attributes:
        pair: The image as a pair that is read once.
        model: A model that tells logits of land covers.
        listener: Hears of the progress.
        stop_if_cancelled: Raises where the run was cancelled.
    """

    pair: RasterPair
    model: ChangeModel
    listener: Listener
    stop_if_cancelled: Callable[[], None]

    @cached_property
    def layout(self) -> Layout:
        """The tiles of the image; its sides are filled up to whole cells."""
        height_px, width_px = (
            math.ceil(side / _LATTICE_PX) * _LATTICE_PX for side in self.pair.grid.shape
        )
        longest_px = max(height_px, width_px)
        side_px = min(TILE_PX, longest_px)
        return Layout(height_px, width_px, side_px, OVERLAP_PX if side_px < longest_px else 0)

    def sample(self, touched: Sequence[int]) -> list[SeenTile]:
        """What is seen in some tiles, spread evenly over those that polygons touch.

        Args:
            touched: Numbers of those tiles, ascending.

        Raises:
            InputError: If nothing of the image is valid.
        """
        numbers = [touched[index] for index in evenly(len(touched), SAMPLE_TILES)]
        return list(self._seen_tiles([self.layout[number] for number in numbers], "survey"))

    def others(
        self, known_tiles: Sequence[SeenTile], indices: Sequence[int] | None = None
    ) -> Iterator[SeenTile]:
        """What is seen in all tiles, or in some, those that are known before the others.

        Args:
            known_tiles: What is seen in a sample.
            indices: Numbers of the tiles; None for all.

        Raises:
            InputError: If nothing of the image is valid.
            RunError: If a part of it cannot be read, or the model fails.
        """
        numbers = {tile.number for tile in known_tiles}
        indices = range(len(self.layout)) if indices is None else indices
        windows = [self.layout[index] for index in indices if index not in numbers]
        return chain(known_tiles, self._seen_tiles(windows, "tiles"))

    @cached_property
    def _plan(self) -> ReadPlan:
        """How display values of the image are read."""
        if set(self.pair.dtypes) != {"uint8"} and not sample_values(self.pair.plan())[0].size:
            raise nothing_valid(self.pair)
        return prepare(self.pair, AlignMode.OFF, pixels="display").plan(self.pair)

    @cached_property
    def _colors(self) -> list[Tile]:
        """Tiles by whose colours all are stretched."""
        tiles = [t for t in self._read(self.layout.spread_tiles(_COLOR_TILES)) if t.valid.any()]
        # The data may lie between these; some tile has them.
        tiles = tiles or [t for t in self._read(self.layout) if t.valid.any()][:_COLOR_TILES]
        if not tiles:
            raise nothing_valid(self.pair)
        return tiles

    def _seen_tiles(self, windows: Sequence[TileWindow], stage: str) -> Iterator[SeenTile]:
        """What is seen in tiles that have data."""
        colors = self._colors
        self.listener(Progress(stage, 0, len(windows)))
        pending: list[Tile] = []
        with closing(self._read(windows)) as tiles:
            for number, tile in enumerate(tiles, 1):
                self.stop_if_cancelled()
                if tile.valid.any():
                    pending.append(tile)
                if len(pending) == _BATCH_TILES or (pending and number == len(windows)):
                    yield from self._tiles_asked(colors, pending)
                    pending = []
                self.listener(Progress(stage, number, len(windows)))
        if pending:
            yield from self._tiles_asked(colors, pending)

    def _tiles_asked(self, colors: Sequence[Tile], tiles: Sequence[Tile]) -> Iterator[SeenTile]:
        assert isinstance(self.model, CoverLogitsModel)
        with backend_errors(self.model):
            answers = list(self.model.cover_logits(self.pair.facts, colors, tiles))
        for tile, answer in zip(tiles, answers, strict=True):
            yield _of_core(tile, answer)

    def _read(self, windows: Sequence[TileWindow]) -> Generator[Tile, None, None]:
        with closing(read_ahead(self._plan, windows, min(4, processors()))) as tiles:
            for tile in tiles:
                if isinstance(tile, TileFailure):
                    raise RunError(
                        f"a part of the image cannot be read: {tile.reason}", "repair the image"
                    )
                yield tile


def _of_core(tile: Tile, answer: CoverLogits) -> SeenTile:
    """What lies in the core of a tile, of what a model says about the whole of it."""
    cell_px, core, read = answer.cell_px, tile.window.core, tile.window.read
    window = PixelWindow(*(side // cell_px for side in _sides(core)))
    read_cells = PixelWindow(*(side // cell_px for side in _sides(read)))
    part = window.slices_within(read_cells)
    rows, cols = (side // cell_px for side in tile.valid.shape)
    blocks = tile.valid[: rows * cell_px, : cols * cell_px].reshape(rows, cell_px, cols, cell_px)
    is_valid = blocks.mean(axis=(1, 3))[part] > 0.5
    state = np.where(is_valid, np.where(answer.hidden[part], HIDDEN, SEEN), NOTHING)
    channels = np.concatenate([answer.logits[:, *part], answer.features[:, *part]])
    return SeenTile(
        tile.window.index,
        window,
        channels.astype(np.float16),
        state.astype(np.uint8),
        cell_px,
    )


def _sides(window: PixelWindow) -> tuple[int, int, int, int]:
    return window.row_start, window.row_stop, window.col_start, window.col_stop
