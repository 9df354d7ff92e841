"""What a model made of a tile on the way to its answer, for a head that learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class DenseFeatures:
    """What a model made of a tile on the way to its outlines; a head learns from means of it.

    Values are comparable between pairs: relative to what is usual in the pair.

    Attributes:
        surfaces: `(channels, rows, columns)` float32, of which means are taken within a change and
            around it.
        encoding: `(channels, rows, columns)` float32, of which means are taken within it.
        surfaces_px: Side of a pixel of `surfaces`, in pixels of the tile.
        encoding_px: Side of a pixel of `encoding`, in pixels of the tile.
    """

    surfaces: NDArray[np.float32]
    encoding: NDArray[np.float32]
    surfaces_px: float
    encoding_px: float
