"""The contract of models that tell the land cover of single dates, apart from any change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from geochg.records import PairFacts, Tile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DateCover(NamedTuple):
    """The land cover of a tile at one date.

    Attributes:
        cover: `(height, width)` uint8, indices into `LAND_COVER`, or `CANNOT_TELL`.
        hidden: `(height, width)` bool: cloud, shadow or snow, under which the ground is not seen.
    """

    cover: NDArray[np.uint8]
    hidden: NDArray[np.bool_]


class CoverLogits(NamedTuple):
    """How likely each land cover is in a tile at one date, on the coarser lattice of the model.

    Attributes:
        logits: `(2 * covers, rows, columns)` float32: of `LAND_COVER` and last of what hides the
            ground, first for the view in full size, then for that of half the size. The shares of
            a view are the softmax of its logits.
        hidden: `(rows, columns)` bool: cloud, shadow or snow.
        features: `(channels, rows, columns)` float32: what the encoder tells of each cell besides,
            by which kinds of ground may be told apart that its land covers do not.
        cell_px: Side of a cell of the lattice, in pixels of the tile.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    hidden: NDArray[np.bool_]
    cell_px: int


@runtime_checkable
class CoverLogitsModel(Protocol):
    """A model that tells how likely each land cover is in one image."""

    def cover_logits(
        self, facts: PairFacts, sample: Sequence[Tile], tiles: Iterable[Tile]
    ) -> Iterator[CoverLogits]:
        """Tells the logits of land covers; arguments as `LandCoverModel.date_covers`."""


@runtime_checkable
class LandCoverModel(Protocol):
    """A change model that can also tell the land cover of one image."""

    def date_covers(
        self, facts: PairFacts, sample: Sequence[Tile], tiles: Iterable[Tile]
    ) -> Iterator[DateCover]:
        """Tells the land cover of tiles of one image.

        Args:
            facts: Facts that hold for every tile.
            sample: Some tiles of the image, spread over it, by which it is measured.
            tiles: The tiles, each of one date, with the pixels and bands of the capabilities.

        Returns:
            One entry a tile, in order.
        """
