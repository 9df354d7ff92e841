"""transformers' Trainer, told what a pupil loses and what of it belongs into a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import TrainingArguments

from geochg.errors import RunError
from geochg.models.deltavlm.processing import IGNORED
from geochg.training.checkpoints import WholeTrainer
from geochg.training.finetune.options import Schedule, TuneOptions
from geochg.training.finetune.processes import world_size
from geochg.training.finetune.pruning import Masks, keep_cut
from geochg.training.finetune.run_folder import WEIGHTS
from geochg.training.finetune.trainable_model import Pupil
from geochg.training.precision import fast_bf16


class TuningTrainer(WholeTrainer):
    """Trains a pupil.

    The loss is the mean over the answers' tokens of a whole step, however many batches and
    processes share it, so that a batch can be split without changing what is learned.

    Args:
        pupil: With all that is trained marked so.
        masks: What stays cut; empty for nothing.
        keep: Checkpoints kept.
        **settings: As of `transformers.Trainer`.
    """

    def __init__(self, pupil: Pupil, masks: Masks, keep: int, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(keep, model=pupil, data_collator=pupil.inputs, **settings)
        self.pupil = pupil
        self.masks = masks
        # The Trainer counts the labels of a whole step for us, and leaves the mean to us.
        self.model_accepts_loss_kwargs = True
        self._parts: dict[str, list[float]] = {}

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The batch's share in the mean over a step."""
        losses = model(**inputs)
        tokens = num_items_in_batch
        if tokens is None:
            tokens = (inputs["labels"] != IGNORED).sum()
        # The mean that torch takes over processes becomes a sum.
        loss = losses["words"] / tokens * self.accelerator.num_processes
        if "seeing" in losses:
            loss = loss + losses["seeing"] / self.current_gradient_accumulation_steps
            self._parts.setdefault("seeing", []).append(losses["seeing"].item())
        if not torch.isfinite(loss):
            raise RunError(
                f"the loss is {loss.item()} at step {self.state.global_step}",
                "lower --learning-rate, or check the data with geochg dataset check",
            )
        return (loss, losses) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Adds the mean of each further part of the loss since the last time."""
        if "loss" in logs:
            logs |= {name: sum(parts) / len(parts) for name, parts in self._parts.items()}
            self._parts.clear()
        super().log(logs, *args, **kwargs)

    def log_beside(self, logs: dict[str, float]) -> None:
        """Logs other values, for TensorBoard; the step's loss is logged too where it is due."""
        due = self.control.should_log
        self.log(logs)
        self.control.should_log = due

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """As the Trainer does, and what was cut stays cut."""
        optimizer = super().create_optimizer(model)
        keep_cut(self.pupil.network, self.masks, optimizer)
        return optimizer

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ANN401
        if self.args.should_save and output_dir is not None:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            save_trained(self.pupil, Path(output_dir) / WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:  # noqa: ANN401
        load_trained(self.pupil, Path(resume_from_checkpoint) / WEIGHTS)


def save_trained(pupil: Pupil, file: Path) -> None:
    """Writes the parameters that are trained."""
    parts = {name: part.detach().cpu().contiguous() for name, part in pupil.trained().items()}
    save_file(parts, file)


@torch.no_grad()
def load_trained(pupil: Pupil, file: Path) -> None:
    """Reads what `save_trained` wrote, in place.

    Raises:
        RunError: If it is of other parameters.
    """
    saved, wanted = load_file(file), pupil.trained()
    if saved.keys() != wanted.keys():
        odd = min(saved.keys() ^ wanted.keys())
        raise RunError(f"{file} is of another run: {odd}", "start anew, without --resume")
    for name, part in wanted.items():
        part.copy_(saved[name])


def arguments(
    options: TuneOptions, folder: Path, steps: int, device: str, dense: bool
) -> TrainingArguments:
    """What the Trainer is told.

    Args:
        options: Of the run.
        folder: For checkpoints and logs.
        steps: Optimizer steps in all.
        device: Where the pupil is.
        dense: Whether some parameters get no gradient in batches without masks.
    """
    made = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.accumulate,
        # Lessons come by their numbers.
        train_sampling_strategy="sequential",
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        warmup_steps=warmup_steps(options, steps),
        lr_scheduler_type=_SCHEDULES[options.schedule],
        max_grad_norm=options.clip,
        optim="adamw_torch",
        save_strategy="steps",
        save_steps=options.save_steps,
        logging_steps=min(10, max(1, steps // 20)),
        report_to=["tensorboard"],
        remove_unused_columns=False,
        dataloader_num_workers=0,
        bf16=fast_bf16() if options.bf16 is None else options.bf16,
        seed=options.seed,
        use_cpu=device == "cpu",
        ddp_backend="gloo" if device == "cpu" and world_size() > 1 else None,
        ddp_find_unused_parameters=dense,
        disable_tqdm=True,
        log_level="error",
    )
    # One device a process: several at once would split batches behind our back.
    made._n_gpu = min(1, made.n_gpu)
    return made


def warmup_steps(options: TuneOptions, steps: int) -> int:
    """Steps in which the learning rate rises."""
    wanted = options.warmup * steps if options.warmup < 1 else options.warmup
    return min(round(wanted), steps)


_SCHEDULES = {
    Schedule.COSINE: "cosine",
    Schedule.LINEAR: "linear",
    Schedule.CONSTANT: "constant_with_warmup",
}
