"""What the vision part sees in a batch of tiles, before any question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from geochg.models.deltavlm.dense import DenseOutput
from geochg.models.deltavlm.vision import DateFeatures, split_dates

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration, PairEncoding
    from geochg.models.deltavlm.processing import DeltaVLMProcessor
    from geochg.records import Tile

VISION_BATCH = 4
"""Pairs encoded at once: their feature maps stay in a processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What is seen in some tiles.

    Attributes:
        before: Visual tokens, `(tiles, tokens, width)`.
        after: As `before`.
        dense: What the dense head says; None without a head.
    """

    before: Tensor
    after: Tensor
    dense: DenseOutput | None

    def encode(self, model: DeltaVLMForConditionalGeneration, index: Sequence[int]) -> PairEncoding:
        """The encoding of the tiles at some places, for the language model."""
        chosen = torch.tensor(index, device=self.before.device)
        tokens = torch.cat((self.before[chosen], self.after[chosen]))
        dense = None if self.dense is None else self.dense.select(chosen)
        return model.relate(DateFeatures(tokens, ()), dense)


def look(
    model: DeltaVLMForConditionalGeneration, processor: DeltaVLMProcessor, tiles: Sequence[Tile]
) -> Sight:
    """Encodes tiles of one size, each once."""
    before, after, dense = [], [], []
    for start in range(0, len(tiles), VISION_BATCH):
        part = tiles[start : start + VISION_BATCH]
        # Always as many, because sums are rounded differently in batches of other sizes and the
        # same tile must give the same whatever its neighbours and however often a run resumed.
        part = [*part, *[part[-1]] * (VISION_BATCH - len(part))]
        valid = [tile.valid for tile in part]
        dates = (
            processor.pixels([_rgb(tile.before) for tile in part], valid),
            processor.pixels([_rgb(tile.after) for tile in part], valid),
        )
        features = model.vision(*(date.to(model.device, model.dtype) for date in dates))
        first, second = split_dates(features.tokens)
        before.append(first)
        after.append(second)
        if model.dense is not None:
            dense.append(model.look(features.maps))
    count = len(tiles)
    joined = [torch.cat(parts)[:count] for parts in zip(*dense, strict=True)]
    return Sight(
        torch.cat(before)[:count],
        torch.cat(after)[:count],
        DenseOutput(*joined) if joined else None,
    )


def _rgb(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three bands; one band is shown as grey."""
    return values if len(values) == 3 else np.repeat(values[:1], 3, axis=0)
