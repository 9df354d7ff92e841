"""Families whose own image processors do without torchvision: Qwen-VL, Idefics3, MiniCPM-V."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geochg.models.vlm.family import Family, Shown, all_dates, dates, image_processor

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from geochg.records import Tile


class _OwnProcessor(Family):
    """What they share.

    Args:
        model: See `Family`.
        tokenizer: See `Family`.
        processor: Makes its pictures ready.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        tokenizer: PreTrainedTokenizerBase,
        processor: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(model, tokenizer)
        self.processor = processor

    @classmethod
    def open(cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Self:  # noqa: ANN401
        """See `Family.open`."""
        return cls(model, tokenizer, image_processor(folder))

    def _tokens(self, *texts: str) -> list[int]:
        """Token ids of texts that the tokenizer has a token for each."""
        ids = self.tokenizer.convert_tokens_to_ids(list(texts))
        assert isinstance(ids, list)
        return ids


class _OwnPositions(_OwnProcessor):
    """Families whose models reckon positions from pictures, and remember how."""

    marks_pictures = True

    @property
    def state(self) -> Any:  # noqa: ANN401
        """How far positions run behind tokens, since a picture takes fewer positions."""
        deltas = self.model.model.rope_deltas
        return None if deltas is None else deltas[:1]

    @state.setter
    def state(self, state: Any) -> None:  # noqa: ANN401
        self.model.model.rope_deltas = state


class QwenVL(_OwnPositions):
    """Qwen2-VL, Qwen2.5-VL and Qwen3-VL: each date is a picture.

    As a video of two frames they would become one patch in time, and the difference be lost.
    """

    model_classes: ClassVar[Mapping[str, str]] = {
        "qwen2_vl": "Qwen2VLForConditionalGeneration",
        "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
        "qwen3_vl": "Qwen3VLForConditionalGeneration",
    }
    vision_parts = (".*visual.*",)

    def show(self, tiles: Sequence[Tile]) -> Shown:
        """Before and after of each tile, one after the other, in patches."""
        made = self.processor(images=all_dates(tiles), return_tensors="pt")
        merged = self.model.config.vision_config.spatial_merge_size**2
        counts = (made["image_grid_thw"].prod(dim=1) // merged).tolist()
        return Shown(dict(made), tuple(counts[:2]))


class Idefics(_OwnProcessor):
    """Idefics3 and SmolVLM: each date is a picture, shown whole and not in parts."""

    model_classes: ClassVar[Mapping[str, str]] = {
        "idefics3": "Idefics3ForConditionalGeneration",
        "smolvlm": "SmolVLMForConditionalGeneration",
    }
    vision_parts = (".*vision_model.*", ".*connector.*")

    def show(self, tiles: Sequence[Tile]) -> Shown:
        """`(tiles, 2, 3, side, side)` and which pixels are real."""
        vision = self.model.config.vision_config
        side = {"longest_edge": vision.image_size}
        made = self.processor(
            images=[list(dates(tile)) for tile in tiles],
            do_image_splitting=False,
            size=side,
            max_image_size=side,
            return_tensors="pt",
        )
        patches = (vision.image_size // vision.patch_size) ** 2
        features = patches // self.model.config.scale_factor**2
        return Shown(dict(made), (features,) * 2)

    def surrounded(self, number: int, features: int) -> list[int]:
        """With the marks of a picture that is shown whole."""
        around, whole = self._tokens("<fake_token_around_image>", "<global-img>")
        return [around, whole, *[self.token] * features, around]


class MiniCPMV(_OwnProcessor):
    """MiniCPM-V 4.6: each date is a picture, numbered."""

    model_classes: ClassVar[Mapping[str, str]] = {
        "minicpmv4_6": "MiniCPMV4_6ForConditionalGeneration"
    }
    vision_parts = (".*vision_tower.*", ".*merger.*")

    def show(self, tiles: Sequence[Tile]) -> Shown:
        """Before and after of each tile, one after the other, in patches."""
        mode = self.model.config.downsample_mode
        made = self.processor(
            images=all_dates(tiles), slice_mode=False, downsample_mode=mode, return_tensors="pt"
        )
        merged = 4 if mode == "4x" else 16
        counts = (made["target_sizes"].prod(dim=1) // merged).tolist()
        inputs = {name: made[name] for name in ("pixel_values", "target_sizes")}
        return Shown(inputs, tuple(counts[:2]))

    def joined(self, shown: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """See `Family.joined`; the patches of all pictures lie side by side in one long strip."""
        import torch

        strips = torch.cat([inputs["pixel_values"] for inputs in shown], dim=-1)
        sizes = torch.cat([inputs["target_sizes"] for inputs in shown])
        return {"pixel_values": strips, "target_sizes": sizes}

    def surrounded(self, number: int, features: int) -> list[int]:
        """With its number and the marks of a picture."""
        known: Any = self.tokenizer
        before, after = self._tokens(known.image_id_start_token, known.image_id_end_token)
        start, end = self._tokens(known.image_start_token, known.image_end_token)
        name = known(str(number), add_special_tokens=False)["input_ids"]
        return [before, *name, after, start, *[self.token] * features, end]


class MiniCPMV47(MiniCPMV, _OwnPositions):
    """MiniCPM-V 4.7, which is shown pictures as 4.6 is."""

    model_classes: ClassVar[Mapping[str, str]] = {
        "minicpmv4_7": "MiniCPMV4_7ForConditionalGeneration"
    }
