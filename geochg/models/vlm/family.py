"""What differs between families of vision-language models: how they take two pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geochg.errors import ModelError
from geochg.models.images import picture
from geochg.models.pretrained import broken_errors

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from geochg.records import Tile


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures of some tiles as a model takes them.

    Attributes:
        inputs: Arguments of the model's `forward`.
        features: How many visual features stand for each picture of `Family.content`; the same
            for every tile, since all are of one size.
    """

    inputs: Mapping[str, Tensor]
    features: tuple[int, ...]


class Family(ABC):
    """Takes pairs of pictures to a model of one family.

    Args:
        model: Of the family, loaded.
        tokenizer: The model's.
    """

    model_classes: ClassVar[Mapping[str, str]]
    """Name of the class in transformers for each `model_type` of a configuration."""
    content: ClassVar[tuple[Mapping[str, str], ...]] = ({"type": "image"}, {"type": "image"})
    """The pair within a chat message, as chat templates know it."""
    placeholder: ClassVar[str] = "image_token_id"
    """Where the configuration names the token that stands for visual features."""
    marks_pictures: ClassVar[bool] = False
    """Whether `forward` is told by `mm_token_type_ids` which tokens are pictures."""
    usual_template: ClassVar[str] = ""
    """The chat template for folders that bring none; empty where all do."""
    vision_parts: ClassVar[tuple[str, ...]] = (".*vision_tower.*", ".*multi_modal_projector.*")
    """Regular expressions of the modules that quantisation leaves alone."""

    state: Any = None
    """What the model itself remembers of the pictures it saw last, for the rows of any batch.

    Set it again before the model goes on about pictures that were not the last. Most models
    remember nothing.
    """

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:  # noqa: ANN401
        self.model = model
        self.tokenizer = tokenizer

    @classmethod
    @abstractmethod
    def open(cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Self:  # noqa: ANN401
        """The family with a loaded model, and how its folder says that pictures are made ready.

        Raises:
            ModelError: If the folder does not say it.
        """

    @abstractmethod
    def show(self, tiles: Sequence[Tile]) -> Shown:
        """The pictures of tiles of one size."""

    def joined(self, shown: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What `show` made of several tiles, which may be of different sizes, as one batch."""
        import torch

        return {name: torch.cat([inputs[name] for inputs in shown]) for name in shown[0]}

    @property
    def token(self) -> int:
        """The token that stands for visual features."""
        return int(getattr(self.model.config, self.placeholder))

    def surrounded(self, number: int, features: int) -> list[int]:
        """The tokens of one picture.

        Args:
            number: Of the picture within the message, from 0.
            features: How many visual features stand for it.
        """
        return [self.token] * features


def dates(tile: Tile) -> tuple[Image, Image]:
    """Both dates as pictures."""
    return picture(tile.before), picture(tile.after)


def all_dates(tiles: Iterable[Tile]) -> list[Image]:
    """Before and after of each tile, one after the other."""
    return [date for tile in tiles for date in dates(tile)]


def image_processor(folder: Path) -> Any:  # noqa: ANN401
    """The image processor of a model folder, which works without torchvision.

    Raises:
        ModelError: If there is none.
    """
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
    except broken_errors() as error:
        raise ModelError(
            f"{folder} does not say how its pictures are made ready",
            "it needs a preprocessor_config.json; download it again",
        ) from error
