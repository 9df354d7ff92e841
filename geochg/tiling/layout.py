"""How a grid is cut into tiles: integers only, no pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

from geochg.records import PixelWindow, TileWindow
from geochg.tile_sizes import check_tiles

MOST_TILES = 10**8
"""Most tiles of a run."""


@dataclass(frozen=True)
class Layout(Sequence[TileWindow]):
    """The tiles of a grid, in raster order.

    Read windows are squares of one size that overlap their neighbours by at least `overlap_px`;
    the last of a row or column is moved inwards so that it ends with the grid. Only a grid
    smaller than a tile makes a read window reach past it. Cores meet in the middle of the overlaps
    and cover every grid pixel exactly once.

    Args:
        height_px: Rows of the grid.
        width_px: Columns of the grid.
        tile_size_px: Side of a read window.
        overlap_px: Least overlap of neighbouring read windows.

    Raises:
        OptionError: If the tile size is not above zero or the overlap not within `[0, tile size)`.
    """

    height_px: int
    width_px: int
    tile_size_px: int
    overlap_px: int

    def __post_init__(self) -> None:
        check_tiles(self.tile_size_px, self.overlap_px)

    @property
    def tiles(self) -> int:
        """Number of tiles; `len` takes no number beyond what the machine can address."""
        return self._rows.count * self._cols.count

    @cached_property
    def _rows(self) -> _Axis:
        return _Axis(self.height_px, self.tile_size_px, self.overlap_px)

    @cached_property
    def _cols(self) -> _Axis:
        return _Axis(self.width_px, self.tile_size_px, self.overlap_px)

    def __len__(self) -> int:
        return self.tiles

    @overload
    def __getitem__(self, index: int) -> TileWindow: ...
    @overload
    def __getitem__(self, index: slice) -> list[TileWindow]: ...
    def __getitem__(self, index: int | slice) -> TileWindow | list[TileWindow]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        row, col = divmod(index, self._cols.count)
        return TileWindow(
            index=index,
            row=row,
            col=col,
            read=PixelWindow(*self._rows.read(row), *self._cols.read(col)),
            core=PixelWindow(*self._rows.core(row), *self._cols.core(col)),
        )

    def __iter__(self) -> Iterator[TileWindow]:
        return (self[index] for index in range(len(self)))

    def spread_tiles(self, count: int) -> list[TileWindow]:
        """At most `count` tiles, spread evenly over the grid; the same ones every time."""
        return [self[index] for index in evenly(len(self), count)]


def evenly(total: int, count: int) -> list[int]:
    """At most `count` of the integers `0 ... total - 1`, evenly spaced, ascending."""
    if count >= total:
        return list(range(total))
    return [(2 * i + 1) * total // (2 * count) for i in range(count)]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Half-open ranges of tiles along one axis, computed as asked for, however many there are."""

    length_px: int
    tile_px: int
    overlap_px: int

    @property
    def count(self) -> int:
        stride_px = self.tile_px - self.overlap_px
        return max(1, -(-(self.length_px - self.overlap_px) // stride_px))

    def read(self, number: int) -> tuple[int, int]:
        """What is read of a tile."""
        return self._start(number), self._start(number) + self.tile_px

    def core(self, number: int) -> tuple[int, int]:
        """What of a tile is its own."""
        low = 0 if number == 0 else self._border(number)
        return low, self.length_px if number == self.count - 1 else self._border(number + 1)

    def _start(self, number: int) -> int:
        last = max(self.length_px - self.tile_px, 0)
        return min(number * (self.tile_px - self.overlap_px), last)

    def _border(self, number: int) -> int:
        """Where a tile's core begins: neighbours share the overlap, half of it belongs to each."""
        return (self._start(number - 1) + self.tile_px + self._start(number)) // 2
