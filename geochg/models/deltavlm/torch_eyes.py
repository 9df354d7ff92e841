"""Vision part and dense head run by torch, on any device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from geochg.models.deltavlm.dense import DenseOutput, channel_probability
from geochg.models.deltavlm.sight import HeadFacts, Seen, Sight, batches
from geochg.models.deltavlm.vision import split_dates
from geochg.models.pictures import rgb

if TYPE_CHECKING:
    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor
    from geochg.records import Tile


@dataclass(frozen=True, slots=True)
class TorchEyes:
    """Runs the vision part and the dense head of a model; see `Eyes`.

    Attributes:
        model: The whole model.
        processor: For pictures.
    """

    model: DeltaVLMForConditionalGeneration
    processor: DeltaVLMProcessor

    @property
    def head(self) -> HeadFacts | None:
        """Of the dense head; None without one."""
        config = self.model.config
        if config.dense_config is None:
            return None
        return HeadFacts.of(config.dense_config, config.resize, config.no_change_sentence)

    @torch.inference_mode()
    def look(self, tiles: Sequence[Tile]) -> Sight:
        """Encodes tiles of one size, each once."""
        before, after, dense = [], [], []
        for part in batches(tiles):
            valid = [tile.valid for tile in part]
            dates = (
                self.processor.pixels([rgb(tile.before) for tile in part], valid),
                self.processor.pixels([rgb(tile.after) for tile in part], valid),
            )
            place, dtype = self.model.device, self.model.dtype
            features = self.model.vision(*(date.to(place, dtype) for date in dates))
            first, second = split_dates(features.tokens)
            before.append(first)
            after.append(second)
            if self.model.dense is not None:
                dense.append(self.model.look(features.maps))
        count = len(tiles)
        joined = [torch.cat(parts)[:count] for parts in zip(*dense, strict=True)]
        output = DenseOutput(*joined) if joined else None
        return Sight(
            torch.cat(before)[:count],
            torch.cat(after)[:count],
            output,
            None if output is None else self._seen(output),
        )

    def _seen(self, output: DenseOutput) -> Seen:
        probability = channel_probability(output, self.model.config.dense_config.temperature)
        presence = output.presence_logits.float().sigmoid()
        return Seen(probability.float().cpu().numpy(), presence.cpu().numpy())
