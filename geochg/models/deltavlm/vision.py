"""The bi-temporal vision encoder: one set of weights, both dates in one batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoBackbone
from transformers.models.instructblip.modeling_instructblip import InstructBlipVisionModel

from geochg.models.deltavlm.configuration import DeltaVLMConfig


class DateFeatures(NamedTuple):
    """What the encoder sees in both dates; the first half of the batch is the before date.

    Attributes:
        tokens: `(2 * batch, tokens, width)`.
        maps: Per level, the finest first: `(2 * batch, channels, rows, columns)`.
    """

    tokens: Tensor
    maps: tuple[Tensor, ...]


def split_dates(both: Tensor) -> tuple[Tensor, Tensor]:
    """The halves of a batch that holds the before dates and then the after dates."""
    # `chunk` would fix the batch size in an exported program.
    pairs = both.shape[0] // 2
    return both[:pairs], both[pairs:]


def vision_encoder(config: DeltaVLMConfig) -> VitEncoder | BackboneEncoder:
    """The encoder that a configuration asks for."""
    return VitEncoder(config) if config.uses_vit else BackboneEncoder(config)


class VitEncoder(nn.Module):
    """InstructBLIP's vision model (EVA-ViT-g at full size), as released."""

    def __init__(self, config: DeltaVLMConfig) -> None:
        super().__init__()
        self.model = InstructBlipVisionModel._from_config(  # type: ignore[no-untyped-call]
            config.vision_config
        )
        self.model.post_layernorm.eps = config.vision_norm_eps
        self.width: int = config.vision_config.hidden_size
        self.channels = [self.width]

    def forward(self, before: Tensor, after: Tensor) -> DateFeatures:
        """Encodes both dates.

        Args:
            before: `(batch, 3, image_size, image_size)` float, normalised.
            after: As `before`.
        """
        tokens = self.model(torch.cat((before, after))).last_hidden_state
        patches = tokens[:, 1:].transpose(1, 2)
        side = int(patches.shape[-1] ** 0.5)
        return DateFeatures(tokens, (patches.unflatten(2, (side, side)),))

    def maps(self, before: Tensor, after: Tensor) -> tuple[Tensor, ...]:
        """Only the feature maps."""
        return self.forward(before, after).maps


class BackboneEncoder(nn.Module):
    """A convolutional multi-scale backbone; its coarsest level becomes the visual tokens."""

    def __init__(self, config: DeltaVLMConfig) -> None:
        super().__init__()
        self.model = AutoBackbone.from_config(config.vision_config)  # type: ignore[no-untyped-call]
        self.channels = [int(channels) for channels in self.model.channels]
        self.width = self.channels[-1]
        self.norm = nn.LayerNorm(self.width, eps=config.vision_norm_eps)
        grid = config.token_grid
        self.position = nn.Parameter(torch.zeros(1, self.width, grid, grid))

    def forward(self, before: Tensor, after: Tensor) -> DateFeatures:
        """Encodes both dates; see `VitEncoder.forward`. Sides are multiples of the last stride."""
        maps = self.maps(before, after)
        return DateFeatures(self.tokens(maps[-1]), maps)

    def maps(self, before: Tensor, after: Tensor) -> tuple[Tensor, ...]:
        """Only the feature maps."""
        pixels = torch.cat((before, after)).contiguous(memory_format=torch.channels_last)
        return tuple(self.model(pixels).feature_maps)

    def tokens(self, coarsest: Tensor) -> Tensor:
        """`(2 * batch, rows * columns, width)` of the coarsest map, with positions added."""
        position: Tensor = self.position
        # An exported program takes images of every size, so it must not rely on one.
        if torch.compiler.is_exporting() or position.shape[2:] != coarsest.shape[2:]:
            position = functional.interpolate(
                position, size=coarsest.shape[2:], mode="bilinear", align_corners=False
            )
        found: Tensor = self.norm(coarsest.flatten(2).transpose(1, 2))
        return found + position.flatten(2).transpose(1, 2)
