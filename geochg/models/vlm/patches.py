"""Families whose own image processors do without torchvision: Qwen-VL, Idefics3, MiniCPM-V."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from geochg.models.images import all_date_images, date_images
from geochg.models.vlm.family import Family, ImageInputs, image_processor
from geochg.records import Tile


class _OwnProcessor(Family):
    """The base of these families, with the model's image processor."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, processor: Any) -> None:
        super().__init__(model, tokenizer)
        self.processor = processor

    @classmethod
    def open(cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Self:
        """See `Family.open`."""
        return cls(model, tokenizer, image_processor(folder))

    def _tokens(self, *texts: str) -> list[int]:
        """The token id of each text."""
        ids = self.tokenizer.convert_tokens_to_ids(list(texts))
        assert isinstance(ids, list)
        return ids


class _OwnPositions(_OwnProcessor):
    """Families whose models compute positions from images, and keep them."""

    marks_images = True

    @property
    def state(self) -> Any:
        """Difference of positions and tokens, since an image takes fewer positions."""
        deltas = self.model.model.rope_deltas
        return None if deltas is None else deltas[:1]

    @state.setter
    def state(self, state: Any) -> None:
        self.model.model.rope_deltas = state


class QwenVL(_OwnPositions):
    """Qwen2-VL, Qwen2.5-VL and Qwen3-VL: each date is an image.

    As frames of a video, two dates would become one patch in time, and the difference be lost.
    """

    most_dates = 16
    vision_modules = (".*visual.*",)

    def image_inputs(self, tiles: Sequence[Tile]) -> ImageInputs:
        """The dates of each tile, one after the other, in patches."""
        images = self.processor(images=all_date_images(tiles), return_tensors="pt")
        merged = self.model.config.vision_config.spatial_merge_size**2
        counts = (images["image_grid_thw"].prod(dim=1) // merged).tolist()
        return ImageInputs(dict(images), tuple(counts[: len(tiles[0].dates)]))


class Idefics(_OwnProcessor):
    """Idefics3 and SmolVLM: each date is an image, shown whole and not in parts."""

    most_dates = 16
    vision_modules = (".*vision_model.*", ".*connector.*")

    def image_inputs(self, tiles: Sequence[Tile]) -> ImageInputs:
        """`(tiles, dates, 3, side, side)` and which pixels are no padding."""
        vision = self.model.config.vision_config
        side = {"longest_edge": vision.image_size}
        images = self.processor(
            images=[list(date_images(tile)) for tile in tiles],
            do_image_splitting=False,
            size=side,
            max_image_size=side,
            return_tensors="pt",
        )
        patches = (vision.image_size // vision.patch_size) ** 2
        features = patches // self.model.config.scale_factor**2
        return ImageInputs(dict(images), (features,) * len(tiles[0].dates))

    def image_tokens(self, number: int, features: int) -> list[int]:
        """The tokens of an image that is not split, with its marks."""
        around, whole_token = self._tokens("<fake_token_around_image>", "<global-img>")
        return [around, whole_token, *[self.token] * features, around]


class MiniCPMV(_OwnProcessor):
    """MiniCPM-V 4.6: each date is an image, numbered."""

    most_dates = 16
    vision_modules = (".*vision_tower.*", ".*merger.*")

    def image_inputs(self, tiles: Sequence[Tile]) -> ImageInputs:
        """The dates of each tile, one after the other, in patches."""
        mode = self.model.config.downsample_mode
        images = self.processor(
            images=all_date_images(tiles),
            slice_mode=False,
            downsample_mode=mode,
            return_tensors="pt",
        )
        merged = 4 if mode == "4x" else 16
        counts = (images["target_sizes"].prod(dim=1) // merged).tolist()
        inputs = {name: images[name] for name in ("pixel_values", "target_sizes")}
        return ImageInputs(inputs, tuple(counts[: len(tiles[0].dates)]))

    def join_inputs(self, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """See `Family.join_inputs`; the patches of all images lie side by side in one strip."""
        strips = torch.cat([inputs["pixel_values"] for inputs in parts], dim=-1)
        sizes = torch.cat([inputs["target_sizes"] for inputs in parts])
        return {"pixel_values": strips, "target_sizes": sizes}

    def image_tokens(self, number: int, features: int) -> list[int]:
        """The tokens of an image, with its number and marks."""
        own_tokenizer: Any = self.tokenizer
        before, after = self._tokens(
            own_tokenizer.image_id_start_token, own_tokenizer.image_id_end_token
        )
        start, end = self._tokens(own_tokenizer.image_start_token, own_tokenizer.image_end_token)
        name = own_tokenizer(str(number), add_special_tokens=False)["input_ids"]
        return [before, *name, after, start, *[self.token] * features, end]


class MiniCPMV47(MiniCPMV, _OwnPositions):
    """MiniCPM-V 4.7, which takes images as 4.6 does."""
