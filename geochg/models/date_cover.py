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
