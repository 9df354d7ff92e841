"""The base of families of vision-language models, which differ in how they take images."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from transformers import AutoImageProcessor, PreTrainedTokenizerBase

from geochg.models.pretrained import open_part
from geochg.records import Tile


@dataclass(frozen=True, slots=True)
class ImageInputs:
    """The images of some tiles as a model takes them.

    Attributes:
        inputs: Arguments of the model's `forward`.
        features: Number of visual features for each item of `Family.content`; the same for every
            tile, since all are of one size.
    """

    inputs: Mapping[str, Tensor]
    features: tuple[int, ...]


class Family(ABC):
    """Turns the dates of tiles into inputs of a loaded model of one family."""

    content: ClassVar[tuple[Mapping[str, str], ...]] = ({"type": "image"}, {"type": "image"})
    """The pair within a chat message, as chat templates know it."""
    most_dates: ClassVar[int] = 2
    """Most dates that it is shown at once: two, unless it was made for several images."""
    placeholder: ClassVar[str] = "image_token_id"
    """Key of the configuration for the token that stands for visual features."""
    marks_images: ClassVar[bool] = False
    """Whether `forward` takes `mm_token_type_ids`, which mark the tokens of images."""
    usual_template: ClassVar[str] = ""
    """The chat template for folders that bring none; empty where all do."""
    vision_modules: ClassVar[tuple[str, ...]] = (".*vision_tower.*", ".*multi_modal_projector.*")
    """Regular expressions of the modules that quantisation leaves alone."""

    state: Any = None
    """State that the model itself keeps of the images of its last call, for any batch.

    It must be set again before a prompt about earlier images. Most models keep nothing.
    """

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer

    @classmethod
    @abstractmethod
    def open(cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Self:
        """The family with a loaded model and the image settings of its folder.

        Raises:
            ModelError: If the folder lacks image settings.
        """

    @abstractmethod
    def image_inputs(self, tiles: Sequence[Tile]) -> ImageInputs:
        """The images of tiles of one size."""

    def join_inputs(self, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The inputs of several tiles, which may be of different sizes, as one batch."""
        return {name: torch.cat([inputs[name] for inputs in parts]) for name in parts[0]}

    def content_of(self, dates: int) -> tuple[Mapping[str, str], ...]:
        """So many dates within a chat message: as many images, or one video."""
        first = self.content[0]
        return self.content if first["type"] == "video" else (first,) * dates

    @property
    def token(self) -> int:
        """The token that stands for visual features."""
        return int(getattr(self.model.config, self.placeholder))

    def image_tokens(self, number: int, features: int) -> list[int]:
        """The tokens of an image with so many visual features.

        `number` is that of the image within the message, from 0.
        """
        return [self.token] * features


def image_processor(folder: Path) -> Any:
    """The image processor of a model folder, which works without torchvision.

    Raises:
        ModelError: If there is none.
    """
    hint = "it needs a preprocessor_config.json; download it again"
    return open_part(
        "image processor", folder, AutoImageProcessor.from_pretrained, hint, backend="pil"
    )
