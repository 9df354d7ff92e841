"""The first stage of the compact model: its vision part and dense head learn to see change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import TrainingArguments

from geochg.models.deltavlm.configuration import DeltaVLMDenseConfig
from geochg.models.deltavlm.losses import DenseTargets, DenseWeights, dense_losses
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.training.augment import Augmentation, Batch, varied
from geochg.training.checkpoints import AGAIN, WholeTrainer
from geochg.training.drawn import DrawnPair, DrawnPairs
from geochg.training.land import LandHead, land_loss

LAND_WEIGHT = 2.0
"""Share of the ground cover in the loss; the dense head's parts together begin near 5."""


@dataclass(frozen=True, slots=True)
class SeeingOptions:
    """How the stage is run.

    Attributes:
        steps: Batches in all.
        batch_size: Pairs in a batch.
        learning_rate: Highest, reached after the warm-up; it falls along a cosine.
        save_steps: Batches between checkpoints.
        seed: Of the order and the variation of the pairs.
        weights: Of the parts of the dense head's loss.
    """

    steps: int = 6000
    batch_size: int = 16
    learning_rate: float = 2e-3
    save_steps: int = 500
    seed: int = 0
    weights: DenseWeights = field(default_factory=DenseWeights)


class PairDataset(Dataset[DrawnPair]):
    """Drawn pairs as torch wants them."""

    def __init__(self, pairs: DrawnPairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> DrawnPair:
        return self.pairs[index]


class Seer(nn.Module):
    """What this stage trains: the parts of a model that see, and a head that only training uses."""

    def __init__(self, model: DeltaVLMForConditionalGeneration, weights: DenseWeights) -> None:
        super().__init__()
        if model.dense is None:
            raise ValueError("this model has no dense head to train")
        self.head = model.config.dense_config
        self.weights = weights
        self.vision = model.vision
        self.dense = model.dense
        self.land = LandHead(model.vision.channels)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The parts of the loss by name, and their weighted sum as `total`."""
        dense = self.head
        maps = self.vision.maps(inputs["before"], inputs["after"])
        targets = DenseTargets(
            channel_masks(inputs["classes"], inputs["directions"], dense),
            counts=inputs["counts"].flatten(1),
        )
        parts = dense_losses(self.dense(maps), targets, len(dense.directions), self.weights)
        land = land_loss(
            self.land(maps), inputs["land_before"], inputs["land_after"], dense.stride_px
        )
        return {**parts, "land": land, "total": parts["total"] + LAND_WEIGHT * land}


class SeeingTrainer(WholeTrainer):
    """Trains only what `detect` uses, and notes the parts of the loss."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(resumed=AGAIN, **settings)
        self._sums: dict[str, float] = {}
        self._batches = 0

    def compute_loss(  # type: ignore[override]
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        **_: Any,  # noqa: ANN401
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses; its parts are logged."""
        parts = model(inputs)
        self._note(parts)
        return (parts["total"], parts) if return_outputs else parts["total"]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Adds the mean of each part since the last time."""
        if "loss" in logs and self._batches:
            logs = {**logs, **{name: s / self._batches for name, s in self._sums.items()}}
            self._sums, self._batches = {}, 0
        super().log(logs, *args, **kwargs)

    def _note(self, parts: dict[str, Tensor]) -> None:
        self._batches += 1
        for name, part in parts.items():
            if name != "total":
                self._sums[name] = self._sums.get(name, 0.0) + part.detach().item()


def learn_to_see(
    model: DeltaVLMForConditionalGeneration,
    pairs: DrawnPairs,
    folder: Path,
    options: SeeingOptions,
    augmentation: Augmentation | None = None,
) -> None:
    """Trains the vision part and the dense head in place.

    Checkpoints and TensorBoard logs go into `folder`; a run that stopped goes on from its last
    checkpoint.

    Args:
        model: With a dense head.
        pairs: To learn from.
        folder: Of this stage's checkpoints.
        options: How long and how fast.
        augmentation: How pairs are varied; the defaults when None.
    """
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=0.02,
        warmup_steps=min(100, options.steps // 10),
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        save_steps=options.save_steps,
        logging_steps=50,
        report_to=["tensorboard"],
        remove_unused_columns=False,
        dataloader_num_workers=1,
        dataloader_persistent_workers=True,
        bf16=_fast_bf16(),
        seed=options.seed,
        disable_tqdm=True,
    )
    trainer = SeeingTrainer(
        model=Seer(model, options.weights),
        args=arguments,
        train_dataset=PairDataset(pairs),
        data_collator=_Collator(model.config, augmentation or Augmentation()),
    )
    trainer.go_on()


class _Collator:
    """Pairs to a varied, normalised batch."""

    def __init__(self, config: Any, augmentation: Augmentation) -> None:  # noqa: ANN401
        self.dense = config.dense_config
        self.mean = torch.tensor(config.image_mean).view(1, 3, 1, 1)
        self.std = torch.tensor(config.image_std).view(1, 3, 1, 1)
        self.augmentation = augmentation
        self.generator: torch.Generator | None = None

    def __call__(self, pairs: Sequence[DrawnPair]) -> dict[str, Tensor]:
        def stacked(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(pair, name) for pair in pairs]))

        batch = Batch(
            stacked("before").float() / 255,
            stacked("after").float() / 255,
            stacked("classes"),
            stacked("directions"),
            stacked("land_before"),
            stacked("land_after"),
            torch.stack([self._counted(pair) for pair in pairs]),
        )
        if self.generator is None:
            # Not before: each worker process has a seed of its own, and each run that goes on.
            self.generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        batch = varied(batch, self.augmentation, self.generator)
        return {
            "before": self._normalised(batch.before),
            "after": self._normalised(batch.after),
            "classes": batch.classes,
            "directions": batch.directions,
            "land_before": batch.land_before,
            "land_after": batch.land_after,
            "counts": batch.counts,
        }

    def _counted(self, pair: DrawnPair) -> Tensor:
        """`(classes, directions)`: how many objects of each kind changed."""
        counts = torch.zeros(len(self.dense.classes), len(self.dense.directions))
        for class_name, direction, number in pair.counts:
            row = self.dense.classes.index(class_name)
            counts[row, self.dense.directions.index(direction)] = number
        return counts

    def _normalised(self, images: Tensor) -> Tensor:
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def channel_masks(classes: Tensor, directions: Tensor, dense: DeltaVLMDenseConfig) -> Tensor:
    """What each pixel of the head should say.

    Args:
        classes: `(batch, height, width)` uint8, 0 for no change.
        directions: As `classes`.
        dense: The head, whose channels are classes by directions, classes outermost.

    Returns:
        `(batch, channels, height / stride, width / stride)` float32: the share of each channel.
    """
    count, turns = len(dense.channels), len(dense.directions)
    channel = torch.where(classes > 0, (classes - 1) * turns + directions, 0)
    each = torch.arange(1, count + 1, dtype=torch.uint8, device=classes.device)
    masks = channel[:, None] == each[:, None, None]
    return nn.functional.avg_pool2d(masks.float(), dense.stride_px)


def _fast_bf16() -> bool:
    """Whether bfloat16 is faster here than float32: on GPUs, and CPUs with AVX512-BF16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return "avx512_bf16" in torch.backends.cpu.get_cpu_capability().lower()
