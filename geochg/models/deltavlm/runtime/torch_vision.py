"""Runs vision encoder and dense head by torch, on any device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geochg.models.blind_models import refuse_blind
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.runtime.vision_output import (
    DenseArrays,
    EncodedDates,
    HeadFacts,
    VisionOutput,
    batches,
)
from geochg.models.deltavlm.vision import split_dates
from geochg.models.images import rgb
from geochg.records import Tile


@dataclass(frozen=True, slots=True)
class TorchVision:
    """Runs the vision encoder and the dense head of a model; see `VisionRunner`.

    Attributes:
        model: The whole model.
        processor: Prepares the images of a model without a dense head.
    """

    model: DeltaVLMForConditionalGeneration
    processor: DeltaVLMProcessor

    @property
    def head(self) -> HeadFacts | None:
        """The facts of the dense head; None without one."""
        if self.model.dense is None:
            return None
        return HeadFacts.of(self.model.config, self.model.vision.channels)

    @torch.inference_mode()
    def encode(self, pixels: NDArray[np.float32]) -> EncodedDates:
        """Encodes images of one date; see `VisionRunner.encode`."""
        vision: Any = self.model.vision
        maps = vision.levels(self._tensor(pixels))
        tokens = vision.tokens(maps[-1])
        return EncodedDates(_array(tokens), [_array(level) for level in maps])

    @torch.inference_mode()
    def detect(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> DenseArrays:
        """Predicts change in pairs; see `VisionRunner.detect`."""
        maps = [
            torch.cat((self._tensor(first), self._tensor(second)))
            for first, second in zip(before, after, strict=True)
        ]
        output = self.model.predict_dense(maps, torch.from_numpy(scene))
        return DenseArrays(*(_array(getattr(output, name)) for name in DenseArrays._fields))

    @torch.inference_mode()
    def relative_maps(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The difference maps of the survey; see `VisionRunner.relative_maps`."""
        assert self.model.dense is not None
        first, second = ([self._tensor(level) for level in maps] for maps in (before, after))
        vector = torch.from_numpy(scene).to(self.model.device)
        return _array(self.model.dense.compare(first, second, vector).relative)

    @torch.inference_mode()
    def tokens(self, tiles: Sequence[Tile]) -> VisionOutput:
        """Only the visual tokens; see `VisionRunner.tokens`."""
        before, after = [], []
        for part in batches(tiles):
            valid = [tile.valid for tile in part]
            dates = (
                self.processor.pixels([rgb(tile.before) for tile in part], valid),
                self.processor.pixels([rgb(tile.after) for tile in part], valid),
            )
            device, dtype = self.model.device, self.model.dtype
            features = self.model.vision(*(date.to(device, dtype) for date in dates))
            first, second = split_dates(features.tokens)
            refuse_blind(
                (_array(dates[0]), _array(dates[1])),
                (_array(first)[: len(dates[0])], _array(second)[: len(dates[1])]),
            )
            before.append(first)
            after.append(second)
        first, second = (torch.cat(parts)[: len(tiles)] for parts in (before, after))
        return VisionOutput(first, second, None)

    def _tensor(self, array: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.model.device, self.model.dtype)


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()
