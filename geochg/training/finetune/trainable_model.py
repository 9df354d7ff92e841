"""The model that is trained: its inputs from samples, and its losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from geochg.errors import InputError
from geochg.models.base import ChangeModel
from geochg.models.deltavlm.processing import IGNORED
from geochg.models.memory import memory_errors
from geochg.models.pretrained import FirstUse
from geochg.training.finetune.sample import Sample


class TrainableModel(nn.Module, ABC):
    """Holds the network that is trained, with adapters in place.

    Args:
        network: The base model's network; adapters change it in place.
        folder: Folder of the base model, which also holds what is not weights.

    Attributes:
        adapter: PEFT's view of the network; None while it has no adapters.
        folder: As given.
        wants_masks: Whether it learns from masks; known once the trained parameters are marked.
    """

    adapter: Any
    folder: Path
    wants_masks: bool = False

    def __init__(self, network: Any, folder: Path) -> None:  # noqa: ANN401
        super().__init__()
        self.network = network
        self.folder = folder
        self.adapter = None
        self._first_use = FirstUse(str(folder))

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401
        # The adapter stays outside the module tree, where all weights would come twice.
        if name == "adapter":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def inputs(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Arguments of `forward` for a batch of samples; `labels` is `(rows, tokens)` int64.

        The labels are `IGNORED` but on the answers, all of them where there are several turns.
        """

    @abstractmethod
    def losses(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """See `forward`."""

    @abstractmethod
    def change_model(self) -> ChangeModel:
        """The network as it is now, as a change model that can be asked."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the whole network, without adapters, as a model folder."""

    def set_no_change_sentence(self, sentence: str) -> None:
        """Sets the sentence for pairs without change, where the network's own is not asked for."""

    def save_no_change_sentence(self, folder: Path) -> None:
        """Keeps beside an adapter what `set_no_change_sentence` changed."""

    def learns_from_masks(self) -> bool:
        """Whether a module is trained that masks teach."""
        return False

    def export_runtime(self, folder: Path) -> None:
        """Adds to a saved folder what makes it run faster; the network is of no use afterwards."""

    def batch(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """See `inputs`.

        Raises:
            InputError: If the model cannot take a sample.
            ModelError: If the base model's files do not fit each other.
        """
        with self._first_use.guard("inputs"):
            return self.inputs(samples)

    def forward(self, **inputs: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """The losses on a batch.

        Returns:
            `text`, the sum of the cross-entropy over the tokens of the answers, and where the
            network also learns from masks `seeing`, a mean over the batch.

        Raises:
            ModelError: If the base model's files do not fit each other.
            RunError: If memory is too small for the batch.
        """
        with self._first_use.guard("losses"), batch_memory_errors():
            return self.losses(inputs)

    def train(self, mode: bool = True) -> TrainableModel:
        """Sets training mode, but not of batch norms: few pairs give no statistics of their own."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""
        return {name: part for name, part in self.named_parameters() if part.requires_grad}


def batch_memory_errors() -> AbstractContextManager[None]:
    """See `memory_errors`; of a batch that is trained on."""
    return memory_errors(
        "a batch",
        "halve --batch-size and double --accumulate, or add --checkpointing or --quantize 4bit",
    )


def text_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum of the cross-entropy, float32.

    Args:
        logits: `(rows, tokens, vocabulary)`.
        labels: `(rows, tokens)`: the token that each of the logits should have led to.
    """
    return functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )


def check_answer_room(
    labels: Iterable[Sequence[int]], questions: Sequence[str], max_tokens: int
) -> None:
    """Refuses rows that lost all of their answer, from which nothing could be learned.

    Args:
        labels: Labels of each row as it was cut.
        questions: Last question of each row.
        max_tokens: Most tokens of a row.

    Raises:
        InputError: If there is such a row.
    """
    for row, question in zip(labels, questions, strict=True):
        if all(label == IGNORED for label in row):
            raise InputError(
                f"a question takes more than {max_tokens} tokens: {question[:40]!r}",
                "raise --max-tokens",
            )


def has_trained_parameters(module: nn.Module | None) -> bool:
    """Whether anything in a module is trained."""
    return module is not None and any(part.requires_grad for part in module.parameters())


def padded_rows(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """`(rows, longest)` int64, padded on the right."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
