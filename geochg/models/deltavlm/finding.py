"""What the dense head found in a tile: whether it changed, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch.nn import functional

from geochg.models.deltavlm.dense import DenseOutput, channel_probability
from geochg.models.deltavlm.resample import enlarged
from geochg.records import Change, Channel, Outlines, Presence

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from geochg.models.deltavlm.configuration import DeltaVLMDenseConfig
    from geochg.records import Tile


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What the dense head found in one tile.

    Attributes:
        presence: Whether the tile changed.
        probability: `(channels, rows, columns)` float32 on the head's grid.
    """

    presence: Presence
    probability: Tensor


@dataclass(frozen=True, slots=True)
class Finder:
    """Reads the dense head's output.

    Attributes:
        config: Of the head.
        threshold: Least probability of a changed pixel.
        presence_threshold: Least presence probability of a changed tile.
        resized: Whether tiles were resized for the head; else they were padded.
    """

    config: DeltaVLMDenseConfig
    threshold: float
    presence_threshold: float
    resized: bool

    def findings(self, output: DenseOutput, tiles: Sequence[Tile]) -> list[Finding]:
        """What was found in each tile."""
        probability = channel_probability(output, self.config.temperature).float().cpu()
        present = output.presence_logits.float().sigmoid().tolist()
        return [
            Finding(self._presence(layers, likely, tile.valid), layers)
            for layers, likely, tile in zip(probability, present, tiles, strict=True)
        ]

    def outlines(self, finding: Finding, tile: Tile) -> Outlines:
        """The probability of each channel at each pixel of the tile."""
        layers = self._at_tile_size(finding.probability, *tile.valid.shape)
        if not tile.valid.all():
            layers *= tile.valid
        channels = tuple(Channel(name, Change(how)) for name, how in self.config.channels)
        return Outlines(channels, layers, self.threshold)

    def _presence(self, layers: Tensor, likely: float, valid: NDArray[np.bool_]) -> Presence:
        """A tile changed when the presence head says so and enough of its pixels do."""
        strongest = layers.amax(dim=0).numpy()
        seen = strongest[self._head_pixels(strongest.shape, valid)]
        changed_px = np.count_nonzero(seen >= self.threshold) * self.config.stride_px**2
        changed = likely >= self.presence_threshold and changed_px >= self.config.min_changed_px
        return Presence(bool(changed), likely)

    def _head_pixels(self, shape: tuple[int, ...], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`(rows, columns)`: which of the head's pixels lie on a valid pixel of the tile."""
        found = np.zeros(shape, bool)
        if self.resized:
            rows, cols = (
                np.arange(count) * size // count
                for count, size in zip(shape, valid.shape, strict=True)
            )
            return valid[np.ix_(rows, cols)]
        half = self.config.stride_px // 2
        centres = valid[half :: self.config.stride_px, half :: self.config.stride_px]
        found[: centres.shape[0], : centres.shape[1]] = centres
        return found

    def _at_tile_size(self, layers: Tensor, height_px: int, width_px: int) -> NDArray[np.float32]:
        if self.resized:
            size = (height_px, width_px)
            whole = functional.interpolate(
                layers[None], size=size, mode="bilinear", align_corners=False
            )[0]
        else:
            whole = enlarged(layers, self.config.stride_px)[:, :height_px, :width_px]
        # A copy where it was cropped, so that no larger array is kept alive.
        return np.ascontiguousarray(whole.numpy())
