"""The LLaVA families: LLaVA 1.5, LLaVA-NeXT-Video, Video-LLaVA, LLaVA-OneVision."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geochg.errors import ModelError
from geochg.models.vlm.chat import VICUNA
from geochg.models.vlm.family import Family, Shown, all_dates
from geochg.models.vlm.squares import Squares

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from geochg.records import Tile


_CLASS_TOKENS = {"clip_vision_model": 1, "siglip_vision_model": 0}
"""How many features stand before those of the patches, by the vision part of a LLaVA 1.5."""


class _Llava(Family):
    """What they share: square pictures, and the chat template of Vicuna.

    Args:
        model: See `Family`.
        tokenizer: See `Family`.
        squares: How its pictures are made ready.
    """

    usual_template = VICUNA

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        tokenizer: PreTrainedTokenizerBase,
        squares: Squares,
    ) -> None:
        super().__init__(model, tokenizer)
        self.squares = squares

    @classmethod
    def open(cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Self:  # noqa: ANN401
        """See `Family.open`."""
        return cls(model, tokenizer, Squares.of(model.config.vision_config.image_size, folder))

    @property
    def _side(self) -> int:
        """Patches along each side of a picture."""
        vision = self.model.config.vision_config
        return int(vision.image_size) // int(vision.patch_size)


class Llava(_Llava):
    """LLaVA 1.5: each date is a picture."""

    model_classes: ClassVar[Mapping[str, str]] = {"llava": "LlavaForConditionalGeneration"}

    @classmethod
    def open(cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Self:  # noqa: ANN401
        """See `Family.open`; other models than LLaVA 1.5 go by its name."""
        tower = model.config.vision_config.model_type
        if tower not in _CLASS_TOKENS:
            raise ModelError(
                f"{folder} holds a LLaVA with an unknown vision part, {tower!r}",
                f"known: {', '.join(_CLASS_TOKENS)}",
            )
        return super().open(model, tokenizer, folder)

    def show(self, tiles: Sequence[Tile]) -> Shown:
        """Before and after of each tile, one after the other."""
        config = self.model.config
        features = self._side**2
        if config.vision_feature_select_strategy == "full":
            features += _CLASS_TOKENS[config.vision_config.model_type]
        return Shown({"pixel_values": self.squares.tensor(all_dates(tiles))}, (features,) * 2)


class _TwoFrames(_Llava):
    """A pair is a video of two frames, as Elgendi et al. (GeoLLaVA) tune these models."""

    content = ({"type": "video"},)
    placeholder = "video_token_id"

    def show(self, tiles: Sequence[Tile]) -> Shown:
        """`(tiles, 2, 3, side, side)`."""
        frames = self.squares.tensor(all_dates(tiles))
        frames = frames.view(len(tiles), 2, *frames.shape[1:])
        return Shown({"pixel_values_videos": frames}, (self._features(),))

    @abstractmethod
    def _features(self) -> int:
        """How many of both frames together."""


class LlavaNextVideo(_TwoFrames):
    """LLaVA-NeXT-Video, whose frames are pooled."""

    model_classes: ClassVar[Mapping[str, str]] = {
        "llava_next_video": "LlavaNextVideoForConditionalGeneration"
    }

    def _features(self) -> int:
        return 2 * _halved(self._side, self.model.config.spatial_pool_stride) ** 2


class VideoLlava(_TwoFrames):
    """Video-LLaVA, whose frames keep their class token."""

    model_classes: ClassVar[Mapping[str, str]] = {
        "video_llava": "VideoLlavaForConditionalGeneration"
    }
    vision_parts = (".*video_tower.*", ".*image_tower.*", ".*multi_modal_projector.*")

    def _features(self) -> int:
        return 2 * (self._side**2 + 1)


class LlavaOnevision(_TwoFrames):
    """LLaVA-OneVision, whose frames are pooled, and a line end follows them."""

    model_classes: ClassVar[Mapping[str, str]] = {
        "llava_onevision": "LlavaOnevisionForConditionalGeneration"
    }

    def _features(self) -> int:
        return 2 * _halved(self._side, 2) ** 2 + 1


def _halved(side: int, stride: int) -> int:
    """Rounded up."""
    return -(-side // stride)
