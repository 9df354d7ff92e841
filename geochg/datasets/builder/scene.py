"""A pair with a mask, to be cut into tiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.records import PairFacts, PixelWindow, Tile, TileWindow
from geochg.tiling.layout import Layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True, slots=True, eq=False)
class MaskedTile:
    """A tile and what its mask says.

    Attributes:
        tile: Display pixels, `(3, height, width)` uint8 a date; `valid` where both dates and the
            mask have something.
        classes: `(height, width)` uint8 index into `CLASS_NAMES`.
        directions: `(height, width)` uint8 index into `DIRECTIONS`.
    """

    tile: Tile
    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]


@dataclass(frozen=True)
class MaskedScene(ABC):
    """A pair that was opened, but not read.

    Attributes:
        name: Unlike that of any other scene; letters, digits, `-`, `_` and `.` only.
        shape_px: Rows and columns.
        known: The classes that its mask can show.
        facts: What holds for every tile.
        grid: Where it lies; None for pictures without a place.
        split: The part it belongs to as a whole; empty where that is to be drawn.
        notes: What its user should know of it.
    """

    name: str
    shape_px: tuple[int, int]
    known: tuple[str, ...]
    facts: PairFacts
    grid: GeoBox | None = None
    split: str = ""
    notes: tuple[str, ...] = ()

    def windows(self, tile_size_px: int, overlap_px: int) -> list[TileWindow]:
        """Its tiles, cut as `analyze` cuts; those of a smaller picture end with it."""
        height_px, width_px = self.shape_px
        cut = Layout(height_px, width_px, tile_size_px, overlap_px)
        return [_within(tile, height_px, width_px) for tile in cut]

    @abstractmethod
    def tiles(self, windows: Sequence[TileWindow]) -> Iterator[MaskedTile]:
        """The tiles of some windows, in order.

        Raises:
            InputError: If they cannot be read, or a mask holds a value that is not coded.
        """


def coded_classes(coding: dict[str, int]) -> tuple[str, ...]:
    """The classes of a coding, in the order of `CLASS_NAMES`."""
    return tuple(name for i, name in enumerate(CLASS_NAMES) if i in coding.values())


def _within(tile: TileWindow, height_px: int, width_px: int) -> TileWindow:
    read = tile.read
    cut = PixelWindow(
        read.row_start,
        min(read.row_stop, height_px),
        read.col_start,
        min(read.col_stop, width_px),
    )
    return TileWindow(tile.index, tile.row, tile.col, cut, tile.core)
