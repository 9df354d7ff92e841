"""The LLaVA families: LLaVA 1.5, LLaVA-NeXT-Video, Video-LLaVA, LLaVA-OneVision."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from transformers import PreTrainedTokenizerBase

from geochg.errors import ModelError
from geochg.models.images import all_date_images
from geochg.models.vlm.chat_writer import VICUNA
from geochg.models.vlm.family import Family, ImageInputs
from geochg.models.vlm.squares import SquareTransform
from geochg.records import Tile

_CLASS_TOKENS = {"clip_vision_model": 1, "siglip_vision_model": 0}
"""Number of features before those of the patches, by the vision encoder of a LLaVA 1.5."""


class _Llava(Family):
    """The base of the LLaVA families: square images, and the chat template of Vicuna."""

    usual_template = VICUNA

    def __init__(
        self, model: Any, tokenizer: PreTrainedTokenizerBase, squares: SquareTransform
    ) -> None:
        super().__init__(model, tokenizer)
        self.squares = squares

    @classmethod
    def open(cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Self:
        """See `Family.open`."""
        return cls(
            model, tokenizer, SquareTransform.of(model.config.vision_config.image_size, folder)
        )

    @property
    def _side(self) -> int:
        """Patches along each side of an image."""
        vision = self.model.config.vision_config
        return int(vision.image_size) // int(vision.patch_size)


class Llava(_Llava):
    """LLaVA 1.5: each date is an image."""

    @classmethod
    def open(cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Self:
        """See `Family.open`; other models than LLaVA 1.5 go by its name."""
        tower = model.config.vision_config.model_type
        if tower not in _CLASS_TOKENS:
            raise ModelError(
                f"{folder} holds a LLaVA with an unknown vision encoder, {tower!r}",
                f"known: {', '.join(_CLASS_TOKENS)}",
            )
        return super().open(model, tokenizer, folder)

    def image_inputs(self, tiles: Sequence[Tile]) -> ImageInputs:
        """The dates of each tile, one after the other."""
        config = self.model.config
        features = self._side**2
        if config.vision_feature_select_strategy == "full":
            features += _CLASS_TOKENS[config.vision_config.model_type]
        pixels = self.squares.tensor(all_date_images(tiles))
        return ImageInputs({"pixel_values": pixels}, (features,) * len(tiles[0].dates))


class _Frames(_Llava):
    """The dates are frames of a video: a pair has two, as Elgendi et al. (GeoLLaVA) tune models."""

    content = ({"type": "video"},)
    placeholder = "video_token_id"

    def image_inputs(self, tiles: Sequence[Tile]) -> ImageInputs:
        """`(tiles, dates, 3, side, side)`."""
        count = len(tiles[0].dates)
        frames = self.squares.tensor(all_date_images(tiles))
        frames = frames.view(len(tiles), count, *frames.shape[1:])
        return ImageInputs({"pixel_values_videos": frames}, (self._features(count),))

    @abstractmethod
    def _features(self, frames: int) -> int:
        """Number of visual features of all frames together."""


class LlavaNextVideo(_Frames):
    """LLaVA-NeXT-Video, whose frames are pooled."""

    most_dates = 32

    def _features(self, frames: int) -> int:
        return frames * _pooled_side(self._side, self.model.config.spatial_pool_stride) ** 2


class VideoLlava(_Frames):
    """Video-LLaVA, whose frames keep their class token."""

    most_dates = 8
    vision_modules = (".*video_tower.*", ".*image_tower.*", ".*multi_modal_projector.*")

    def _features(self, frames: int) -> int:
        return frames * (self._side**2 + 1)


class LlavaOnevision(_Frames):
    """LLaVA-OneVision, whose frames are pooled, and a line end follows them."""

    most_dates = 32

    def _features(self, frames: int) -> int:
        return frames * _pooled_side(self._side, 2) ** 2 + 1


def _pooled_side(side: int, stride: int) -> int:
    """Features along a side after pooling, rounded up."""
    return -(-side // stride)
