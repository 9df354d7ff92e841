"""The bi-temporal vision encoder: one set of weights, both dates in one batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoBackbone
from transformers.models.instructblip.modeling_instructblip import InstructBlipVisionModel

from geochg.models.deltavlm import efficientnet_lite  # noqa: F401  Registers the backbone.
from geochg.models.deltavlm.configuration import DeltaVLMConfig


class DateFeatures(NamedTuple):
    """The encoder's features of both dates; the first half of the batch is the before date.

    Attributes:
        tokens: `(2 * batch, tokens, width)`.
        maps: The colours (`colors_of`), then per level, the finest first:
            `(2 * batch, channels, rows, columns)`.
    """

    tokens: Tensor
    maps: tuple[Tensor, ...]


def colors_of(pixels: Tensor, config: DeltaVLMConfig, stride_px: int) -> Tensor:
    """Colours and vegetation indices at the size of the finest level.

    Args:
        pixels: `(batch, 3 or 4, height, width)`: red, green, blue and, where there is one, the
            near infrared, normalised by the processor.
        config: The model's configuration.
        stride_px: Pixels per pixel of the finest level.

    Returns:
        `(batch, 7, rows, columns)`: red, green, blue 0-1, then NDVI and NDWI (McFeeters 1996) -1
        to 1, the near infrared 0-1, and 1; the last four are 0 without a near infrared.
    """
    mean, std = (
        pixels.new_tensor(values).view(3, 1, 1) for values in (config.image_mean, config.image_std)
    )
    pooled = functional.avg_pool2d(pixels, stride_px)
    colors = pooled[:, :3] * std + mean
    if pixels.shape[1] == 3:
        return torch.cat((colors, torch.zeros_like(pooled[:, :1]).expand(-1, 4, -1, -1)), dim=1)
    infrared = pooled[:, 3:] * std[:1] + mean[:1]
    # Without one the processor leaves a value that no normalised pixel reaches.
    present = (infrared > NO_INFRARED / 2).to(pixels.dtype)
    red, green = colors[:, :1], colors[:, 1:2]
    vegetation = (infrared - red) / (infrared.abs() + red.abs() + 0.1)
    water = (green - infrared) / (green.abs() + infrared.abs() + 0.1)
    return torch.cat(
        (colors, vegetation * present, water * present, infrared * present, present), dim=1
    )


NO_INFRARED = -100.0
"""Stands for a missing near infrared, in units of pixels 0-1."""


def split_dates(both_dates: Tensor) -> tuple[Tensor, Tensor]:
    """The halves of a batch that holds the before dates and then the after dates."""
    # `chunk` would fix the batch size in an exported program.
    pairs = both_dates.shape[0] // 2
    return both_dates[:pairs], both_dates[pairs:]


def vision_encoder(config: DeltaVLMConfig) -> VitEncoder | BackboneEncoder:
    """The encoder that a configuration asks for."""
    return VitEncoder(config) if config.uses_vit else BackboneEncoder(config)


class VitEncoder(nn.Module):
    """InstructBLIP's vision model (EVA-ViT-g at full size), as released."""

    def __init__(self, config: DeltaVLMConfig) -> None:
        super().__init__()
        self.config = config
        self.model = InstructBlipVisionModel._from_config(  # type: ignore[no-untyped-call]
            config.vision_config
        )
        self.model.post_layernorm.eps = config.vision_norm_eps
        self.width: int = config.vision_config.hidden_size
        self.channels = [self.width]

    def forward(self, before: Tensor, after: Tensor) -> DateFeatures:
        """Encodes both dates, `(batch, 3 or 4, image_size, image_size)` float each, normalised."""
        pixels = torch.cat((before, after))
        tokens = self.model(pixels[:, :3]).last_hidden_state
        patches = tokens[:, 1:].transpose(1, 2)
        side = int(patches.shape[-1] ** 0.5)
        colors = colors_of(pixels, self.config, self.config.vision_config.patch_size)
        return DateFeatures(tokens, (colors, patches.unflatten(2, (side, side))))

    def maps(self, before: Tensor, after: Tensor) -> tuple[Tensor, ...]:
        """Only the feature maps."""
        return self.forward(before, after).maps


class BackboneEncoder(nn.Module):
    """A convolutional multi-scale backbone; its coarsest level becomes the visual tokens."""

    def __init__(self, config: DeltaVLMConfig) -> None:
        super().__init__()
        self.config = config
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
        return self.levels(torch.cat((before, after)))

    def levels(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The colours and the feature maps of images; `(images, 3 or 4, height, width)`."""
        # Depthwise convolutions are fast forward, and slow backward, where channels come last.
        order = torch.contiguous_format if torch.is_grad_enabled() else torch.channels_last
        levels = self.model(pixels[:, :3].contiguous(memory_format=order)).feature_maps
        stride_px = pixels.shape[-1] // levels[0].shape[-1]
        colors = colors_of(pixels, self.config, stride_px)
        return (colors, *(level.contiguous() for level in levels))

    def tokens(self, coarsest: Tensor) -> Tensor:
        """`(2 * batch, rows * columns, width)` of the coarsest map, with positions added."""
        position: Tensor = self.position
        # An exported program takes images of every size, so it must not rely on one.
        if torch.compiler.is_exporting() or position.shape[2:] != coarsest.shape[2:]:
            position = functional.interpolate(
                position, size=coarsest.shape[2:], mode="bilinear", align_corners=False
            )
        tokens: Tensor = self.norm(coarsest.flatten(2).transpose(1, 2))
        return tokens + position.flatten(2).transpose(1, 2)
