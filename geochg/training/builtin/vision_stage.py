"""The first stage of the built-in model: encoder and dense head learn from labelled ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers.utils import SAFE_WEIGHTS_NAME

from geochg.datasets.ground.labelled import LabelledGround
from geochg.errors import ModelError
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration, measure_scenes
from geochg.training.builtin.losses import vision_losses
from geochg.training.builtin.pairs import PairMaker, pair_batch
from geochg.training.builtin.stage_arguments import only_batch, stage_arguments
from geochg.training.checkpoints import (
    REPEAT,
    WholeTrainer,
    check_checkpoint,
    step_of,
    whole_checkpoints,
)

FIRST_OPEN_STAGE = 3
"""Place of the first encoder stage that learns when the encoder is opened: behind stride 8."""

_GUARD = 1e-2
"""Weight of the squared distance of the encoder's opened weights from their start."""

_RESOLUTION_SHOWN = 0.8
"""Share of the pairs whose resolution is an input of the head."""


@dataclass(frozen=True, slots=True)
class VisionOptions:
    """Options of the vision stage.

    Attributes:
        steps: Batches in all.
        batch_size: Pairs in a batch.
        learning_rate: Highest rate of the head, after the warm-up; it falls along a cosine.
        encoder_rate: Highest rate of the encoder's deep half; 0 leaves the encoder as it is.
        save_steps: Batches between checkpoints.
        averaged_from: Share of the steps, 0-1, from which on the checkpoints are averaged into the
            weights that the stage leaves: while the pyramid gets better at some kinds of change
            it gets worse at others, and the mean is good at both.
        workers: Processes that make pairs; 0 for none beside the one that trains.
        seed: Seed of the pairs.
    """

    steps: int
    batch_size: int = 8
    learning_rate: float = 2e-3
    encoder_rate: float = 0.0
    save_steps: int = 50
    averaged_from: float = 0.5
    workers: int = 0
    seed: int = 0


class PairBatches(Dataset[dict[str, Tensor]]):
    """Batches of pairs by their number, so that a run that goes on sees the same ones.

    Args:
        grounds: See `PairMaker`.
        options: Options of the stage.
    """

    def __init__(self, grounds: Sequence[LabelledGround], options: VisionOptions) -> None:
        self.maker = PairMaker(grounds)
        self.options = options

    def __len__(self) -> int:
        return self.options.steps

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.options.seed, number))
        return pair_batch([self.maker.pair(rng) for _ in range(self.options.batch_size)])


class VisionStage(nn.Module):
    """The parts of a model that learn in this stage, and their loss.

    Args:
        model: A model with a dense head.
        open_encoder: Whether the deep half of the encoder learns too.
    """

    def __init__(self, model: DeltaVLMForConditionalGeneration, open_encoder: bool) -> None:
        super().__init__()
        if model.dense is None:
            raise ValueError("this model has no dense head to train")
        self.vision, self.dense = model.vision, model.dense
        self.vision.requires_grad_(False)
        self.opened = open_encoder
        deep = [*self.vision.model.stages[FIRST_OPEN_STAGE:].parameters()] if open_encoder else []
        for parameter in deep:
            parameter.requires_grad_(True)
        self._deep = deep
        self._start = [parameter.detach().clone() for parameter in deep]

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """The parts of the loss by name; arguments as `pairs.pair_batch` gives them."""
        before, after = (normalised_images(batch[name]) for name in ("before", "after"))
        with torch.set_grad_enabled(self.opened and self.training):
            maps = self.vision.maps(before, after)
        scene, comparison = measure_scenes(self.dense, maps, batch["resolution_m"].tolist())
        if self.training:
            hidden = torch.rand(len(scene)) > _RESOLUTION_SHOWN
            scene[hidden, self.dense.layout.resolution_slice] = 0
        losses = vision_losses(self.dense(maps, scene, comparison), batch)
        if self._deep:
            weight_drifts = [
                (weight - start_weight).square().sum()
                for weight, start_weight in zip(self._deep, self._start, strict=True)
            ]
            losses["total"] = losses["total"] + _GUARD * torch.stack(weight_drifts).sum()
        return losses


def normalised_images(images: Tensor) -> Tensor:
    """Images 0-1 as the processor of the compact model gives them; see `pairs.pair_batch`."""
    from geochg.models.deltavlm.vision import NO_INFRARED

    color, infrared = images[:, :3], images[:, 3:]
    infrared = torch.where(infrared < 0, torch.full_like(infrared, NO_INFRARED), infrared)
    return (torch.cat((color, infrared), dim=1) - 0.5) / 0.5


class VisionTrainer(WholeTrainer):
    """Trains a `VisionStage` and logs the parts of its loss."""

    def __init__(self, options: VisionOptions, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(next_step=REPEAT, **settings)
        self.options = options
        self._sums: dict[str, Tensor] = {}
        self._batches = 0

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW; the encoder learns more slowly and is not decayed."""
        stage: Any = self.model
        groups = [
            {"params": list(stage.dense.parameters()), "lr": self.options.learning_rate},
            {
                "params": [p for p in stage.vision.parameters() if p.requires_grad],
                "lr": self.options.encoder_rate,
                "weight_decay": 0.0,
            },
        ]
        used_groups = [group for group in groups if group["params"]]
        self.optimizer = torch.optim.AdamW(used_groups, weight_decay=self.args.weight_decay)
        return self.optimizer

    def compute_loss(  # type: ignore[override]
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **_: object
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses."""
        parts = model(**inputs)
        self._batches += 1
        for name, part in parts.items():
            # Values are asked for where they are logged: each would wait for the device.
            self._sums[name] = self._sums.get(name, 0) + part.detach()
        return (parts["total"], parts) if return_outputs else parts["total"]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Adds the mean of each part since the last time."""
        if "loss" in logs and self._batches:
            means = {name: float(total) / self._batches for name, total in self._sums.items()}
            logs, self._sums, self._batches = {**logs, **means}, {}, 0
        super().log(logs, *args, **kwargs)


def train_vision(
    model: DeltaVLMForConditionalGeneration,
    grounds: Sequence[LabelledGround],
    folder: Path,
    options: VisionOptions,
) -> None:
    """Trains the vision part and the dense head, in place.

    Checkpoints and TensorBoard logs go into `folder`; a run that stopped goes on from its last
    checkpoint.

    Args:
        model: A model with a dense head.
        grounds: Grounds to learn from.
        folder: Folder of this stage's checkpoints.
        options: Options of the stage.
    """
    arguments = stage_arguments(
        folder,
        options.steps,
        most_warmup_steps=50,
        learning_rate=options.learning_rate,
        weight_decay=1e-2,
        save_steps=options.save_steps,
        logging_steps=25,
        dataloader_num_workers=options.workers,
        seed=options.seed,
    )
    stage = VisionStage(model, options.encoder_rate > 0)
    trainer = VisionTrainer(
        options,
        model=stage,
        args=arguments,
        train_dataset=PairBatches(grounds, options),
        data_collator=only_batch,
        keep=options.steps,
    )
    trainer.train_on()
    average_checkpoints(stage, folder, round(options.steps * options.averaged_from))


def average_checkpoints(stage: nn.Module, folder: Path, first_step: int) -> None:
    """Gives a module the mean weights of its checkpoints.

    Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization".

    Args:
        stage: The module that was trained; its weights are replaced.
        folder: Folder that holds the checkpoints, one of `first_step` or later at least.
        first_step: Earlier checkpoints do not count.

    Raises:
        InputError: If one is damaged.
        ModelError: If there is none of that step or a later one.
    """
    used_paths = [path for path in whole_checkpoints(folder) if step_of(path) >= first_step]
    for path in used_paths:
        check_checkpoint(path)
    weights = [load_file(path / SAFE_WEIGHTS_NAME) for path in used_paths]
    if not weights:
        raise ModelError(f"{folder} has no checkpoint to go on from", f"remove {folder}")
    mean_state = stage.state_dict()
    for name in weights[0]:
        if mean_state[name].is_floating_point():
            mean_state[name].copy_(torch.stack([state[name] for state in weights]).mean(dim=0))
