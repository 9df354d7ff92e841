"""The tiles a model sees before the first is answered."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

from geochg.errors import RunError
from geochg.events import Listener, Progress
from geochg.pipeline.batching import has_core
from geochg.pipeline.journal import Journal
from geochg.records import Tile, TileFailure, TileWindow
from geochg.tiling.layout import Layout, evenly
from geochg.tiling.pair import RasterPair, nothing_valid

SURVEY_BATCH_TILES = 16
"""Further tiles tried at once where those chosen show nothing."""

Read = Callable[[Iterable[TileWindow]], Generator[Tile | TileFailure, None, None]]


class SurveyTiles:
    """The tiles a model surveys, read as it asks for them.

    Args:
        pair: The pair.
        layout: All tiles of the pair.
        read: Reads the tiles of some windows.
        listener: Called with progress.
        known: Indexes of the tiles of an earlier survey, which must be readable again; None to
            choose.
        limit: Most tiles that are chosen.

    Attributes:
        used: Indexes of the tiles that the model was given so far.

    Raises:
        InputError: If no tile has a valid pixel; raised while the tiles are read.
        RunError: If a tile that is needed cannot be read; raised while the tiles are read.
    """

    def __init__(
        self,
        pair: RasterPair,
        layout: Layout,
        read: Read,
        listener: Listener,
        known_numbers: Sequence[int] | None = None,
        limit: int = 256,
    ) -> None:
        self._pair, self._read, self._listener = pair, read, listener
        self._must_read = known_numbers is not None
        self._first = (
            _spread_tiles(pair, layout, limit)
            if known_numbers is None
            else [layout[i] for i in known_numbers]
        )
        self._others = layout if known_numbers is None else ()
        self._failures: list[TileFailure] = []
        self.used: list[int] = []

    def __iter__(self) -> Iterator[Tile]:
        yield from self._usable(self._first)
        if not self.used:
            # The data lie between the tiles that were looked at; a few that have some will do.
            yield from islice(self._usable(self._others), SURVEY_BATCH_TILES)
        if self._failures and (self._must_read or not self.used):
            failure = self._failures[0]
            raise RunError(
                f"cannot read tile {failure.window.name}: {failure.reason}",
                "the file may be damaged: copy or download it again",
            )
        if not self.used:
            raise nothing_valid(self._pair)

    def _usable(self, windows: Iterable[TileWindow]) -> Iterator[Tile]:
        with closing(self._read(windows)) as read:
            for done_count, tile in enumerate(read):
                self._listener(Progress("survey", done_count, len(self._first)))
                if isinstance(tile, TileFailure):
                    self._failures.append(tile)
                elif has_core(tile):
                    self.used.append(tile.window.index)
                    yield tile


def _spread_tiles(pair: RasterPair, layout: Layout, limit: int) -> list[TileWindow]:
    """Tiles spread evenly over the area of interest."""
    if pair.area is None:
        return layout.spread_tiles(limit)
    inside = [window for window in layout if pair.area.touches(window.core)]
    return [inside[index] for index in evenly(len(inside), limit)]


def tile_numbers(record: Mapping[str, Any], journal: Journal[Any], total: int) -> list[int]:
    """The numbers of the tiles that a model surveyed, as a journal kept them.

    Raises:
        InputError: If the journal is damaged.
    """
    tiles = record.get("tiles")
    if not isinstance(tiles, list) or not all(type(n) is int and 0 <= n < total for n in tiles):
        raise journal.damage("it does not say which tiles were surveyed")
    return tiles
