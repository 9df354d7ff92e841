"""Arguments of transformers' Trainer that both stages of the built-in model share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import TrainingArguments

_Batch = TypeVar("_Batch")


def stage_arguments(
    folder: Path,
    steps: int,
    most_warmup_steps: int,
    **settings: Any,  # noqa: ANN401
) -> TrainingArguments:
    """Arguments of a stage whose data set gives whole batches by their numbers.

    The learning rate rises for a tenth of the steps, then falls along a cosine.

    Args:
        folder: Folder for checkpoints and TensorBoard logs.
        steps: Batches in all.
        most_warmup_steps: Greatest number of steps for which the learning rate rises.
        **settings: What else the stage sets, such as `learning_rate`.
    """
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        # A sample is a whole batch, and they come by their numbers.
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        warmup_steps=min(most_warmup_steps, steps // 10),
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        report_to=["tensorboard"],
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        **settings,
    )


def only_batch(batches: list[_Batch]) -> _Batch:
    """The collate function of a data set whose samples are batches."""
    (batch,) = batches
    return batch
