"""A pair with a mask, to be cut into tiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.errors import InputError
from geochg.records import PairFacts, PixelWindow, Tile, TileWindow
from geochg.tiling.layout import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True, slots=True, eq=False)
class MaskedTile:
    """A tile with its masks.

    Attributes:
        tile: Display pixels, `(3, height, width)` uint8 a date; `valid` where both dates and the
            mask have data.
        classes: `(height, width)` uint8 index into `CLASS_NAMES`.
        directions: `(height, width)` uint8 index into `DIRECTIONS`.
        known: `(height, width)` bool, where it is known whether something changed; None for
            everywhere.
        is_settled: Whether all that was found in it was decided on; then it has not changed where
            nothing else is known of it, as far as can be told.
    """

    tile: Tile
    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]
    known: NDArray[np.bool_] | None = None
    is_settled: bool = True


@dataclass(frozen=True)
class MaskedScene(ABC):
    """A pair that was opened, but not read.

    Attributes:
        name: Name, unlike that of any other scene; letters, digits, `-`, `_` and `.` only.
        shape_px: Rows and columns.
        known: Classes that its mask can show.
        facts: Facts that hold for every tile.
        grid: Grid on the ground; None for pictures without a place.
        split: Split that it belongs to as a whole; empty where that is to be drawn.
        verdicts: Number of changes by what was decided on them; empty where nobody reviewed any.
        notes: Sentences that its user should know.
    """

    name: str
    shape_px: tuple[int, int]
    known: tuple[str, ...]
    facts: PairFacts
    grid: GeoBox | None = None
    split: str = ""
    notes: tuple[str, ...] = ()
    verdicts: Mapping[str, int] = field(default_factory=dict)

    def windows(self, tile_size_px: int, overlap_px: int) -> list[TileWindow]:
        """The tiles of the scene, cut as by `analyze`; those of a smaller picture end with it."""
        height_px, width_px = self.shape_px
        layout = Layout(height_px, width_px, tile_size_px, overlap_px)
        full_window = PixelWindow(0, height_px, 0, width_px)
        return [replace(tile, read=tile.read.cut_to(full_window) or tile.read) for tile in layout]

    def shows_change(self, window: TileWindow) -> bool:
        """Whether a tile is known to have changed before it is read; False where that is unknown.

        Args:
            window: The tile.
        """
        return False

    def count_untold(self, tile_size_px: int, overlap_px: int) -> int:
        """Number of tiles that `windows` leaves out, as nothing is known of what changed there."""
        return 0

    @abstractmethod
    def tiles(self, windows: Sequence[TileWindow]) -> Iterator[MaskedTile]:
        """The tiles of some windows, in order.

        Raises:
            InputError: If they cannot be read, or a mask holds a value that is not coded.
        """


def coded_classes(coding: Mapping[str, int]) -> tuple[str, ...]:
    """The classes of a coding, in the order of `CLASS_NAMES`."""
    return tuple(name for i, name in enumerate(CLASS_NAMES) if i in coding.values())


def class_indexes(
    values: NDArray[np.generic], coding: Mapping[str, int], name: str
) -> NDArray[np.uint8]:
    """Index into `CLASS_NAMES` of each value of a mask; 0 stays 0.

    Args:
        values: `(height, width)`, whole numbers.
        coding: Class indexes by value, as `options.class_coding` gives them.
        name: Name of the mask's file, for errors.

    Raises:
        InputError: If a value is not coded.
    """
    indexes = np.zeros(values.shape, np.uint8)
    for value in np.unique(values).tolist():
        if value == 0:
            continue
        index = coding.get(f"{value:g}" if isinstance(value, float) else str(value))
        if index is None:
            raise InputError(
                f"{name} has the value {value}, which stands for no class",
                f"say which with --classes; now: {', '.join(coding)} and 0 for no change",
            )
        indexes[values == value] = index
    return indexes
