"""The first stage of the compact model: its vision part and dense head learn to see change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from geochg.models.deltavlm.losses import DenseTargets, dense_losses
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.training.augment import Augmentation, Batch, varied
from geochg.training.drawn import DrawnPair, DrawnPairs


@dataclass(frozen=True, slots=True)
class SeeingOptions:
    """How the stage is run.

    Attributes:
        steps: Batches in all.
        batch_size: Pairs in a batch.
        learning_rate: Highest, reached after the warm-up; it falls along a cosine.
        save_steps: Batches between checkpoints.
        seed: Of the order and the variation of the pairs.
    """

    steps: int = 6000
    batch_size: int = 16
    learning_rate: float = 2e-3
    save_steps: int = 500
    seed: int = 0


class PairDataset(Dataset[DrawnPair]):
    """Drawn pairs as torch wants them."""

    def __init__(self, pairs: DrawnPairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> DrawnPair:
        return self.pairs[index]


class SeeingTrainer(Trainer):
    """Trains only what `detect` uses, with the losses of the dense head."""

    def compute_loss(  # type: ignore[override]
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        **_: Any,  # noqa: ANN401
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the dense head's losses; its parts are logged."""
        network: Any = self.accelerator.unwrap_model(model)
        output = network.look(network._maps(inputs["before"], inputs["after"]))
        dense = network.config.dense_config
        targets = DenseTargets(_channel_masks(inputs, len(dense.channels), len(dense.directions)))
        parts = dense_losses(output, targets, len(dense.directions))
        return (parts["total"], parts) if return_outputs else parts["total"]


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
    _freeze_language(model)
    network: nn.Module = model
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=0.02,
        warmup_steps=min(300, options.steps // 10),
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        save_steps=options.save_steps,
        save_total_limit=2,
        logging_steps=50,
        report_to=["tensorboard"],
        remove_unused_columns=False,
        dataloader_num_workers=0,
        bf16=_fast_bf16(),
        seed=options.seed,
        disable_tqdm=True,
    )
    trainer = SeeingTrainer(
        model=model,
        args=arguments,
        train_dataset=PairDataset(pairs),
        data_collator=_Collator(model.config, augmentation or Augmentation(), options.seed),
    )
    there = sorted(folder.glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=bool(there))


class _Collator:
    """Pairs to a varied, normalised batch."""

    def __init__(self, config: Any, augmentation: Augmentation, seed: int) -> None:  # noqa: ANN401
        self.mean = torch.tensor(config.image_mean).view(1, 3, 1, 1)
        self.std = torch.tensor(config.image_std).view(1, 3, 1, 1)
        self.augmentation = augmentation
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, pairs: Sequence[DrawnPair]) -> dict[str, Tensor]:
        def stacked(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(pair, name) for pair in pairs]))

        batch = Batch(
            stacked("before").float() / 255,
            stacked("after").float() / 255,
            stacked("classes"),
            stacked("directions"),
        )
        batch = varied(batch, self.augmentation, self.generator)
        return {
            "before": self._normalised(batch.before),
            "after": self._normalised(batch.after),
            "classes": batch.classes,
            "directions": batch.directions,
        }

    def _normalised(self, images: Tensor) -> Tensor:
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def _channel_masks(inputs: dict[str, Tensor], channels: int, directions: int) -> Tensor:
    """`(batch, channels, height, width)` bool: classes outermost, as the head orders them."""
    classes, turned = inputs["classes"].long(), inputs["directions"].long()
    channel = torch.where(classes > 0, (classes - 1) * directions + turned, 0)
    return nn.functional.one_hot(channel, channels + 1)[..., 1:].permute(0, 3, 1, 2).bool()


def _freeze_language(model: DeltaVLMForConditionalGeneration) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(("vision.", "dense."))


def _fast_bf16() -> bool:
    """Whether bfloat16 is faster here than float32: on GPUs, and CPUs with AVX512-BF16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return "avx512_bf16" in torch.backends.cpu.get_cpu_capability().lower()
