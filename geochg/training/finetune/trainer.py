"""transformers' Trainer for a trainable model, and its callbacks: progress, evaluation, Ctrl-C."""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from geochg.errors import GeochgError, InputError, RunError
from geochg.events import Listener, Notice, Progress
from geochg.files.new_files import write_aside, write_text_aside
from geochg.models.deltavlm.processing import IGNORED
from geochg.models.model_files import first_line
from geochg.models.pretrained import refuse_broken_weights
from geochg.training.checkpoints import WholeTrainer
from geochg.training.finetune.metrics import LOWER_IS_BETTER
from geochg.training.finetune.options import Metric, Schedule, TuneOptions
from geochg.training.finetune.pruning import PruningMasks, keep_masks_applied
from geochg.training.finetune.run_state import BEST_WEIGHTS, EVALUATIONS, TRAINED_WEIGHTS
from geochg.training.finetune.trainable_model import TrainableModel
from geochg.training.processes import fast_bf16, world_size

_SCHEDULES = {
    Schedule.COSINE: "cosine",
    Schedule.LINEAR: "linear",
    Schedule.CONSTANT: "constant_with_warmup",
}


class TuningTrainer(WholeTrainer):
    """Trains a model.

    The loss is the mean over the answers' tokens of a whole step, however many batches and
    processes share it, so that a batch can be split without changing what is learned.

    Args:
        model: The model, with its trained parameters marked.
        masks: Pruning masks of the weights that stay zero; empty for none.
        keep: Checkpoints to keep.
        **settings: Arguments of `transformers.Trainer`.
    """

    def __init__(
        self,
        model: TrainableModel,
        masks: PruningMasks,
        keep: int,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(keep, model=model, data_collator=model.batch, **settings)
        self.trainable = model
        self.masks = masks
        # The Trainer counts the labels of a whole step for us, and leaves the mean to us.
        self.model_accepts_loss_kwargs = True
        self._mask_losses: list[Tensor] = []

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
        loss = losses["text"] / tokens * self.accelerator.num_processes
        if "seeing" in losses:
            loss = loss + losses["seeing"] / self.current_gradient_accumulation_steps
            self._mask_losses.append(losses["seeing"].detach())
        if not torch.isfinite(loss):
            raise RunError(
                f"the loss is {loss.item()} at step {self.state.global_step}",
                "lower --learning-rate, or check the data with geochg dataset check",
            )
        return (loss, losses) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Adds the mean loss on masks since the last time."""
        if "loss" in logs and self._mask_losses:
            logs |= {"seeing": float(torch.stack(self._mask_losses).mean())}
            self._mask_losses.clear()
        super().log(logs, *args, **kwargs)

    def log_beside(self, logs: dict[str, float]) -> None:
        """Logs other values, for TensorBoard; the step's loss is logged too where it is due."""
        due = self.control.should_log
        self.log(logs)
        self.control.should_log = due

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """As the Trainer does; pruned weights stay zero."""
        optimizer = super().create_optimizer(model)
        keep_masks_applied(self.trainable.network, self.masks, optimizer)
        return optimizer

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ANN401
        if self.args.should_save and output_dir is not None:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            save_trained_weights(self.trainable, Path(output_dir) / TRAINED_WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:  # noqa: ANN401
        load_trained_weights(self.trainable, Path(resume_from_checkpoint) / TRAINED_WEIGHTS)


def save_trained_weights(model: TrainableModel, file: Path) -> None:
    """Writes the parameters that are trained."""
    parameters = model.trained_parameters()
    with write_aside(file) as new_file:
        save_file({name: p.detach().cpu().contiguous() for name, p in parameters.items()}, new_file)


@torch.no_grad()
def load_trained_weights(model: TrainableModel, file: Path) -> None:
    """Reads what `save_trained_weights` wrote, in place.

    Raises:
        InputError: As `read_trained_weights`.
    """
    saved_weights = read_trained_weights(model, file)
    for name, parameter in model.trained_parameters().items():
        parameter.copy_(saved_weights[name])


def read_trained_weights(model: TrainableModel, file: Path) -> dict[str, Tensor]:
    """The weights that `save_trained_weights` wrote, by the names of a model's parameters.

    Raises:
        InputError: If the file is damaged, or holds other parameters.
    """
    hint = f"remove {file.parent}, and start anew without --resume"
    try:
        saved_weights = load_file(file)
        refuse_broken_weights(saved_weights.items(), file)
    except (OSError, SafetensorError, GeochgError) as error:
        raise InputError(f"{file} cannot be used: {first_line(error)}", hint) from error
    shapes = {name: parameter.shape for name, parameter in model.trained_parameters().items()}
    if (
        others := {name: part.shape for name, part in saved_weights.items()}.items()
        ^ shapes.items()
    ):
        name, _ = min(others)
        raise InputError(f"{file} is of another run: it has another {name}", hint)
    return saved_weights


def trainer_arguments(
    options: TuneOptions, folder: Path, steps: int, device: str, has_dense_head: bool
) -> TrainingArguments:
    """Arguments of the Trainer.

    Args:
        options: Options of the run.
        folder: Folder for checkpoints and logs.
        steps: Optimizer steps in all.
        device: Torch device of the model.
        has_dense_head: Whether some parameters get no gradient in batches without masks.
    """
    warmup_steps = options.warmup * steps if options.warmup < 1 else options.warmup
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.accumulate,
        # Samples come by their numbers.
        train_sampling_strategy="sequential",
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        warmup_steps=min(round(warmup_steps), steps),
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
        ddp_find_unused_parameters=has_dense_head,
        disable_tqdm=True,
        log_level="error",
    )
    # One device a process: several at once would split batches behind our back.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


# --- callbacks -----------------------------------------------------------------------------------


class ProgressCallback(TrainerCallback):
    """Reports to a listener how far training is."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Reports the step."""
        self.listener(Progress("training", state.global_step, state.max_steps))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        """Reports the loss."""
        if logs and "loss" in logs:
            self.listener(Notice(f"step {state.global_step}: loss {float(logs['loss']):.4g}"))


class EvaluationCallback(TrainerCallback):
    """Evaluates now and then, keeps the best weights, and stops when they no longer get better.

    The metrics lie in the run's folder, so that a run that goes on knows them.

    Args:
        folder: The run's folder.
        options: Options of the run: its metric, the steps between evaluations, and patience.
        evaluate: Gives the metrics by name.
        save_best: Writes the weights to a file.
        listener: Gets the metrics as notices.
    """

    def __init__(
        self,
        folder: Path,
        options: TuneOptions,
        evaluate: Callable[[], dict[str, float]],
        save_best: Callable[[Path], None],
        listener: Listener,
    ) -> None:
        self.folder = folder
        self.options = options
        self.evaluate = evaluate
        self.save_best = save_best
        self.listener = listener
        self.history: dict[int, dict[str, float]] = {}

    @property
    def best_step(self) -> int | None:
        """The step of the best evaluation, the first of equal ones; None before the first."""
        if not self.history:
            return None
        return min(self.history, key=lambda step: (self._badness(self.history[step]), step))

    @property
    def is_over(self) -> bool:
        """Whether patience is at its end."""
        best = self.best_step or 0
        return 0 < self.options.patience <= sum(step > best for step in self.history)

    def restore(self, step: int) -> None:
        """Reads the metrics up to a step from which a run goes on; later ones come again."""
        file = self.folder / EVALUATIONS
        if not file.is_file() and step < self.options.evaluate_steps:
            return
        try:
            saved_history = _read_history(file)
        except (OSError, ValueError):
            self.listener(Notice(f"{file} cannot be read: evaluations begin anew", warning=True))
            return
        self.history = {
            saved_step: metrics
            for saved_step, metrics in saved_history.items()
            if saved_step <= step
        }

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Evaluates when it is time."""
        step = state.global_step
        if step % self.options.evaluate_steps and step != state.max_steps:
            return
        metrics = self.evaluate()
        self.history[step] = metrics
        text = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        self.listener(Notice(f"step {step}: held-out {text}"))
        if state.is_world_process_zero:
            history = {str(saved_step): metrics for saved_step, metrics in self.history.items()}
            write_text_aside(self.folder / EVALUATIONS, json.dumps(history, indent=1))
            if self.best_step == step:
                self.save_best(self.folder / BEST_WEIGHTS)
        if self.is_over:
            metric = self.options.metric
            self.listener(
                Notice(f"stopping: {metric} has not got better since step {self.best_step}")
            )
            control.should_save = True
            control.should_training_stop = True

    def _badness(self, metrics: dict[str, float]) -> float:
        # Without rows of its task a metric has no value; then the loss decides.
        wanted_metric = self.options.metric
        metric = wanted_metric if str(wanted_metric) in metrics else Metric.LOSS
        value = metrics.get(str(metric), math.inf)
        if math.isnan(value):
            return math.inf
        return value if metric in LOWER_IS_BETTER else -value


def _read_history(file: Path) -> dict[int, dict[str, float]]:
    """The metrics of evaluations, by step; a ValueError where the file holds anything else."""
    try:
        saved_history = json.loads(file.read_text(encoding="utf-8"))
        return {
            int(step): {str(name): float(value) for name, value in metrics.items()}
            for step, metrics in saved_history.items()
        }
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} holds no evaluations") from error


class InterruptCallback(TrainerCallback):
    """Saves a checkpoint and ends training after the step in which Ctrl-C came."""

    def __init__(self) -> None:
        self.is_requested = False
        self.stopped_at: int | None = None

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Stops all processes at the same step."""
        if self._is_requested_anywhere(args) and state.global_step < state.max_steps:
            self.stopped_at = state.global_step
            control.should_save = True
            control.should_training_stop = True

    def _is_requested_anywhere(self, args: TrainingArguments) -> bool:
        if args.world_size == 1:
            return self.is_requested
        requested = torch.tensor([int(self.is_requested)], device=args.device)
        torch.distributed.all_reduce(requested, torch.distributed.ReduceOp.MAX)
        return bool(requested.item())

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Within the block Ctrl-C or a request to end is noted; a second one ends at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, handler in former.items():
                signal.signal(number, handler)

        def note_request(number: int, frame: FrameType | None) -> None:
            self.is_requested = True
            restore()

        for number in former:
            signal.signal(number, note_request)
        try:
            yield
        finally:
            restore()
