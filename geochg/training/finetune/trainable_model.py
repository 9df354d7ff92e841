"""A model that is being tuned: how lessons become its inputs, and what it loses on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from geochg.errors import InputError
from geochg.models.deltavlm.processing import IGNORED
from geochg.training.finetune.sample import Lesson

if TYPE_CHECKING:
    from geochg.models.base import ChangeModel


class Pupil(nn.Module, ABC):
    """Holds the network that is trained, with adapters in place.

    Args:
        network: The base, changed in place by whoever adapts it.

    Attributes:
        adapter: PEFT's view of the network; None while it has no adapters.
        folder: Of the base: what is not weights lies there.
        wants_masks: Whether it learns to see by masks; known once it is marked what is trained.
    """

    adapter: Any
    folder: Path
    wants_masks: bool = False

    def __init__(self, network: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.network = network
        self.adapter = None

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401
        # The adapter stays outside the module tree, where all weights would come twice.
        if name == "adapter":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def inputs(self, lessons: Sequence[Lesson]) -> dict[str, Any]:
        """Arguments of `forward` for some lessons; `labels` is `(rows, tokens)` int64.

        The labels are `IGNORED` but on the answers, all of them where there are several turns.
        """

    @abstractmethod
    def losses(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """See `forward`."""

    @abstractmethod
    def model(self) -> ChangeModel:
        """The network as it is now, as a change model that can be asked."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the whole network, without adapters, as a model folder."""

    def reword(self, sentence: str) -> None:
        """Says this of pairs without change, where the network's own words are not asked for."""

    def save_wording(self, folder: Path) -> None:
        """Keeps beside an adapter what `reword` changed."""

    def learns_to_see(self) -> bool:
        """Whether a part is trained that masks teach."""
        return False

    def finish(self, folder: Path) -> None:
        """Adds to a saved folder what makes it run faster; the network is of no use afterwards."""

    def forward(self, **inputs: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """What is lost on some lessons.

        Returns:
            `words`, the sum of the cross-entropy over the tokens of the answers, and where the
            network also learns to see `seeing`, a mean over the batch.
        """
        return self.losses(inputs)

    def train(self, mode: bool = True) -> Pupil:
        """Into training mode, but for batch norms: few pairs give no statistics of their own."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""
        return {name: part for name, part in self.named_parameters() if part.requires_grad}


def words_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum of the cross-entropy, float32.

    Args:
        logits: `(rows, tokens, vocabulary)`.
        labels: `(rows, tokens)`: the token that each of the logits should have led to.
    """
    return functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )


def check_room(labels: Iterable[Sequence[int]], asked: Sequence[str], room: int) -> None:
    """Refuses rows that lost all of their answer, from which nothing could be learned.

    Args:
        labels: Of each row as it was cut.
        asked: The last question of each row.
        room: Most tokens of a row.

    Raises:
        InputError: If there is one.
    """
    for row, question in zip(labels, asked, strict=True):
        if all(label == IGNORED for label in row):
            raise InputError(
                f"a question takes more than {room} tokens: {question[:40]!r}", "raise --max-tokens"
            )


def learns(module: nn.Module | None) -> bool:
    """Whether anything in a module is trained."""
    return module is not None and any(part.requires_grad for part in module.parameters())


def padded(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """`(rows, longest)` int64, filled up on the right."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
