"""What differs between families of vision-language models: how they take two pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from geochg.models.pictures import picture

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from geochg.records import Tile

Inputs = dict[str, "Tensor"]
"""Arguments of a model's `forward` that hold the pictures of a batch of tiles."""

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """How pictures are made ready where a family leaves that to us.

    Attributes:
        side_px: Of the square they are resized to.
        mean: Of each band, 0-1.
        std: Of each band.
    """

    side_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, side_px: int, saved: Mapping[str, Any]) -> PictureSettings:
        """From what a model folder's processor configuration says; CLIP's where it says nothing."""
        return cls(
            side_px,
            tuple(saved.get("image_mean") or CLIP_MEAN),
            tuple(saved.get("image_std") or CLIP_STD),
        )

    def tensor(self, pictures: Sequence[Image]) -> Tensor:
        """`(pictures, 3, side, side)` float32, normalised."""
        from PIL.Image import Resampling

        size = (self.side_px, self.side_px)
        resized = [np.asarray(p.resize(size, Resampling.BICUBIC)) for p in pictures]
        values = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (self.mean, self.std))
        return (values - mean) / std


class Family(ABC):
    """Takes pairs of pictures to a model of one family.

    Args:
        model: Of the family, loaded.
        settings: How its pictures are made ready.
    """

    model_types: ClassVar[tuple[str, ...]]
    """The `model_type` of its configurations."""
    model_class: ClassVar[str]
    """Name of its class in transformers."""
    content: ClassVar[tuple[Mapping[str, str], ...]] = ({"type": "image"}, {"type": "image"})
    """The pair within a chat message, as chat templates know it."""
    placeholder: ClassVar[str] = "image_token_id"
    """Where the configuration names the token that stands for visual features."""

    def __init__(self, model: Any, settings: PictureSettings) -> None:  # noqa: ANN401
        self.model = model
        self.settings = settings

    @abstractmethod
    def inputs(self, tiles: Sequence[Tile]) -> Inputs:
        """The pictures of tiles of one size."""

    @abstractmethod
    def features(self, tile: Tile) -> list[int]:
        """How many visual features stand for each picture token of `content`."""

    @property
    def token(self) -> int:
        """The token that stands for visual features."""
        return int(getattr(self.model.config, self.placeholder))

    def expanded(self, ids: Sequence[int], tile: Tile) -> list[int]:
        """Token ids with as many picture tokens as there are visual features."""
        counts = iter(self.features(tile))
        found: list[int] = []
        for token in ids:
            found += [token] * next(counts) if token == self.token else [token]
        return found


def dates(tile: Tile) -> tuple[Image, Image]:
    """Both dates as pictures."""
    return picture(tile.before), picture(tile.after)


class Llava(Family):
    """LLaVA 1.5: each date is a picture."""

    model_types = ("llava",)
    model_class = "LlavaForConditionalGeneration"

    def inputs(self, tiles: Sequence[Tile]) -> Inputs:
        """Before and after of each tile, one after the other."""
        shown = [date for tile in tiles for date in dates(tile)]
        return {"pixel_values": self.settings.tensor(shown)}

    def features(self, tile: Tile) -> list[int]:
        """As many for each date."""
        config = self.model.config
        vision = config.vision_config
        count = (vision.image_size // vision.patch_size) ** 2
        return [count + (config.vision_feature_select_strategy == "full")] * 2


class TwoFrames(Family):
    """A pair is a video of two frames, as GeoLLaVA tunes these models."""

    content = ({"type": "video"},)
    placeholder = "video_token_id"

    def inputs(self, tiles: Sequence[Tile]) -> Inputs:
        """`(tiles, 2, 3, side, side)`."""
        frames = torch.stack([self.settings.tensor(dates(tile)) for tile in tiles])
        return {"pixel_values_videos": frames}


class LlavaNextVideo(TwoFrames):
    """LLaVA-NeXT-Video, whose frames are pooled."""

    model_types = ("llava_next_video",)
    model_class = "LlavaNextVideoForConditionalGeneration"

    def features(self, tile: Tile) -> list[int]:
        """Of both frames, side by side."""
        config = self.model.config
        vision = config.vision_config
        side = vision.image_size // vision.patch_size
        return [2 * (-(-side // config.spatial_pool_stride)) ** 2]


class VideoLlava(TwoFrames):
    """Video-LLaVA, whose frames keep their class token."""

    model_types = ("video_llava",)
    model_class = "VideoLlavaForConditionalGeneration"

    def features(self, tile: Tile) -> list[int]:
        """Of both frames, side by side."""
        vision = self.model.config.vision_config
        count = (vision.image_size // vision.patch_size) ** 2 + 1
        return [2 * count]


class LlavaOnevision(TwoFrames):
    """LLaVA-OneVision, whose frames are pooled, and a line end follows them."""

    model_types = ("llava_onevision",)
    model_class = "LlavaOnevisionForConditionalGeneration"

    def features(self, tile: Tile) -> list[int]:
        """Of both frames, and one for the line end."""
        vision = self.model.config.vision_config
        side = vision.image_size // vision.patch_size
        return [2 * (-(-side // 2)) ** 2 + 1]


FAMILIES: tuple[type[Family], ...] = (Llava, LlavaNextVideo, VideoLlava, LlavaOnevision)
"""All that can be loaded."""
