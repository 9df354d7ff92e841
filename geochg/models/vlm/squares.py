"""Images for models that take squares of one size: resized and normalised, nothing else.

The video processors of transformers need torchvision, and not all image processors match the
sizes that models were made for; a square tile needs neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor

from geochg.models.model_files import saved_json

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class SquareTransform:
    """Turns images into tensors.

    Attributes:
        side_px: Side of the square that images are resized to.
        mean: Mean of each band, 0-1.
        std: Standard deviation of each band.
    """

    side_px: int
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    @classmethod
    def of(cls, side_px: int, folder: Path) -> Self:
        """The transform of a folder's image settings; CLIP's values where it has none."""
        settings = _image_settings(folder)
        return cls(
            side_px,
            _by_band(settings.get("image_mean"), CLIP_MEAN),
            _by_band(settings.get("image_std"), CLIP_STD),
        )

    def tensor(self, images: Sequence[Image]) -> Tensor:
        """`(images, 3, side, side)` float32, normalised."""
        size = (self.side_px, self.side_px)
        resized = [np.asarray(image.resize(size, Resampling.BICUBIC)) for image in images]
        values = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (self.mean, self.std))
        return (values - mean) / std


def _by_band(value: float | Sequence[float] | None, usual: tuple[float, ...]) -> tuple[float, ...]:
    """A number for each band: three, or one for all of them, as `check_normalisation` lets pass."""
    if value is None:
        return usual
    values = tuple(value) if isinstance(value, list) else (value,)
    return values if len(values) == len(usual) else values * len(usual)


def _image_settings(folder: Path) -> dict[str, Any]:
    """A folder's image settings, in one of the files that transformers has used."""
    shared_settings = saved_json(folder / "processor_config.json")
    for settings in (
        saved_json(folder / "video_preprocessor_config.json"),
        saved_json(folder / "preprocessor_config.json"),
        shared_settings.get("video_processor"),
        shared_settings.get("image_processor"),
    ):
        if isinstance(settings, dict) and settings:
            return settings
    return {}
