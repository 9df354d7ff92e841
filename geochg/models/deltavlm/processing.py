"""Turns tiles and texts into the model's tensors and back; without torchvision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from geochg.models.deltavlm.configuration import DeltaVLMConfig
from geochg.models.deltavlm.detector import ColorRange
from geochg.models.deltavlm.prompts import left_padded, right_padded, shortened_prompt
from geochg.models.deltavlm.runtime.vision_output import SIDE_MULTIPLE_PX
from geochg.models.pretrained import check_tokenizer

QFORMER_TOKENIZER = "qformer_tokenizer"
"""Folder of the Q-Former's tokenizer within a model folder, as InstructBLIP's processor has it."""

IGNORED = -100
"""Label of a token that has no loss."""


class TextInputs(NamedTuple):
    """Questions, and answers when training; all `(rows, tokens)` int64.

    Attributes:
        input_ids: The texts in the language model's vocabulary.
        attention_mask: 1 where there is a token.
        qformer_input_ids: The question in the Q-Former's vocabulary.
        qformer_attention_mask: 1 where there is a token.
        labels: `IGNORED` except on the answer; None without answers.
    """

    input_ids: Tensor
    attention_mask: Tensor
    qformer_input_ids: Tensor
    qformer_attention_mask: Tensor
    labels: Tensor | None = None

    def arguments(self) -> dict[str, Tensor]:
        """The keyword arguments of the model's `forward` and `generate`."""
        return {name: part for name, part in self._asdict().items() if part is not None}


@dataclass(frozen=True)
class DeltaVLMProcessor:
    """The processor of a model folder.

    Attributes:
        config: The model's configuration.
        tokenizer: The language model's tokenizer.
        qformer_tokenizer: The Q-Former's tokenizer; the compact model has one for both.
    """

    config: DeltaVLMConfig
    tokenizer: Any
    qformer_tokenizer: Any

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Reads the tokenizers and the configuration of a model folder.

        Raises:
            OSError: If a file is missing.
            ValueError: If a file makes no sense.
        """
        folder = Path(folder)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        check_tokenizer(tokenizer, ("pad_token", "eos_token"))
        qformer_tokenizer, other = tokenizer, folder / QFORMER_TOKENIZER
        if other.is_dir():
            qformer_tokenizer = PreTrainedTokenizerFast.from_pretrained(
                other, local_files_only=True
            )
            check_tokenizer(qformer_tokenizer)
        config = DeltaVLMConfig.from_pretrained(folder, local_files_only=True)
        return cls(config, tokenizer, qformer_tokenizer)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the tokenizers into a model folder; the model writes the configuration."""
        self.tokenizer.save_pretrained(folder)
        if self.qformer_tokenizer is not self.tokenizer:
            self.qformer_tokenizer.save_pretrained(Path(folder) / QFORMER_TOKENIZER)

    # --- images ----------------------------------------------------------------------------------

    def pixels(
        self, images: Sequence[NDArray[np.uint8]], valid: Sequence[NDArray[np.bool_]] | None = None
    ) -> Tensor:
        """Images as the model takes them.

        Args:
            images: Images of one date and size, each `(3, height, width)` uint8: red, green, blue.
            valid: For each image `(height, width)`; the rest becomes the mean colour. All if None.

        Returns:
            `(images, 3, height, width)` float32, normalised: `image_size` square when the model
            resizes, else padded at the bottom and the right to a multiple of 32.
        """
        if self.config.resize:
            images = [_resized_image(image, self.config.image_size) for image in images]
        if self.config.stretch:
            images = [_stretched_image(image) for image in images]
        stacked = torch.from_numpy(np.stack(images))
        values = stacked.to(torch.float32, memory_format=torch.channels_last)
        mean = torch.tensor(self.config.image_mean).view(3, 1, 1)
        std = torch.tensor(self.config.image_std).view(3, 1, 1)
        values = values.mul_(1 / (255 * std)).sub_(mean / std)
        if self.config.resize:
            return values
        if valid is not None and not all(mask.all() for mask in valid):
            values = values.mul_(torch.from_numpy(np.stack(valid))[:, None])
        return _padded_images(values)

    # --- texts -----------------------------------------------------------------------------------

    def questions(self, prompts: Sequence[str]) -> TextInputs:
        """Prompts for generation, padded on the left."""
        rows = left_padded([self._prompt_ids(prompt) for prompt in prompts], self._pad_id)
        ids, mask = map(torch.from_numpy, rows)
        return TextInputs(ids, mask, *self._qformer(prompts))

    def examples(self, prompts: Sequence[str], answers: Sequence[str]) -> TextInputs:
        """Prompts with their answers and an end token, padded on the right, for training."""
        rows, labels = [], []
        for prompt, answer in zip(prompts, answers, strict=True):
            prompt_ids, answer_ids = self._prompt_ids(prompt), self._answer_ids(answer)
            rows.append(prompt_ids + answer_ids)
            labels.append([IGNORED] * len(prompt_ids) + answer_ids)
        ids, mask = map(torch.from_numpy, right_padded(rows, self._pad_id))
        return TextInputs(
            ids,
            mask,
            *self._qformer(prompts),
            labels=torch.from_numpy(right_padded(labels, IGNORED).ids),
        )

    def answers(self, ids: Tensor) -> list[str]:
        """The texts of generated tokens."""
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    @property
    def _pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)

    def _prompt_ids(self, prompt: str) -> list[int]:
        return shortened_prompt(self.tokenizer(prompt)["input_ids"], self.config.max_prompt_tokens)

    def _answer_ids(self, answer: str) -> list[int]:
        ids = self.tokenizer(answer.strip(), add_special_tokens=False)["input_ids"]
        return [*ids, int(self.tokenizer.eos_token_id)]

    def _qformer(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        room = self.config.max_prompt_tokens
        ids = [list(self.qformer_tokenizer(prompt)["input_ids"])[:room] for prompt in prompts]
        rows = right_padded(ids, int(self.qformer_tokenizer.pad_token_id))
        return torch.from_numpy(rows.ids), torch.from_numpy(rows.mask)


def _resized_image(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Bicubic, by Pillow as in the released code; `(3, size_px, size_px)`."""
    if image.shape[1:] == (size_px, size_px):
        return image
    from PIL import Image

    source = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    resized = source.resize((size_px, size_px), Image.Resampling.BICUBIC)
    return np.asarray(resized).transpose(2, 0, 1)


def _stretched_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretched by the image's own colours, as the survey stretches the tiles of a pair."""
    valid = np.ones(image.shape[1:], bool)
    colors = ColorRange.of_images([(image, valid)])
    return np.rint(255 * colors.stretched_image(image, valid)).astype(np.uint8)


def _padded_images(values: Tensor) -> Tensor:
    bottom_px, right_px = (-size % SIDE_MULTIPLE_PX for size in values.shape[-2:])
    return functional.pad(values, (0, right_px, 0, bottom_px)) if bottom_px or right_px else values
