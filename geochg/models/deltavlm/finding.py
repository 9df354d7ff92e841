"""What the dense head found in a tile: whether it changed, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.models.deltavlm.resample import resampled
from geochg.models.deltavlm.sight import HeadFacts, Seen
from geochg.records import Outlines, Presence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import Tile


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What the dense head found in one tile.

    Attributes:
        presence: Whether the tile changed.
        probability: `(channels, rows, columns)` float32 on the head's grid.
    """

    presence: Presence
    probability: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Finder:
    """Reads the dense head's output.

    Attributes:
        head: Of the head.
        threshold: Least probability of a changed pixel.
        presence_threshold: Least presence probability of a changed tile.
    """

    head: HeadFacts
    threshold: float
    presence_threshold: float

    def findings(self, seen: Seen, tiles: Sequence[Tile]) -> list[Finding]:
        """What was found in each tile."""
        return [
            Finding(self._presence(layers, likely, tile.valid), layers)
            for layers, likely, tile in zip(*seen, tiles, strict=True)
        ]

    def outlines(self, finding: Finding, tile: Tile) -> Outlines:
        """The probability of each channel at each pixel of the tile."""
        layers = self._at_tile_size(finding.probability, *tile.valid.shape)
        if not tile.valid.all():
            layers *= tile.valid
        return Outlines(self.head.channels, layers, self.threshold)

    def _presence(
        self, layers: NDArray[np.float32], likely: np.float32, valid: NDArray[np.bool_]
    ) -> Presence:
        """A tile changed when the presence head says so and enough of its pixels do."""
        strongest = layers.max(axis=0)
        seen = strongest[self._head_pixels(strongest.shape, valid)]
        changed_px = np.count_nonzero(seen >= self.threshold) * self.head.stride_px**2
        changed = likely >= self.presence_threshold and changed_px >= self.head.min_changed_px
        return Presence(bool(changed), float(likely))

    def _head_pixels(self, shape: tuple[int, ...], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`(rows, columns)`: which of the head's pixels lie on a valid pixel of the tile."""
        found = np.zeros(shape, bool)
        if self.head.resized:
            rows, cols = (
                np.arange(count) * size // count
                for count, size in zip(shape, valid.shape, strict=True)
            )
            return valid[np.ix_(rows, cols)]
        half, stride = self.head.stride_px // 2, self.head.stride_px
        centres = valid[half::stride, half::stride]
        found[: centres.shape[0], : centres.shape[1]] = centres
        return found

    def _at_tile_size(
        self, layers: NDArray[np.float32], height_px: int, width_px: int
    ) -> NDArray[np.float32]:
        if self.head.resized:
            return resampled(layers, height_px, width_px)
        rows, cols = (size * self.head.stride_px for size in layers.shape[1:])
        # A copy where it was cropped, so that no larger array is kept alive.
        return np.ascontiguousarray(resampled(layers, rows, cols)[:, :height_px, :width_px])
