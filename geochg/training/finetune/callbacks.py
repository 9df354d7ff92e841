"""What happens between steps: progress, evaluation, early stopping, Ctrl-C."""

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
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from geochg.events import Listener, Notice, Progress
from geochg.files.new_files import write_text_aside
from geochg.training.finetune.metrics import LOWER_IS_BETTER
from geochg.training.finetune.options import Metric
from geochg.training.finetune.run_folder import BEST, HISTORY


class Telling(TrainerCallback):
    """Tells a listener how far training is."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Tells the step."""
        self.listener(Progress("training", state.global_step, state.max_steps))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Tells the loss."""
        if logs and "loss" in logs:
            self.listener(Notice(f"step {state.global_step}: loss {float(logs['loss']):.4g}"))


class Watching(TrainerCallback):
    """Evaluates now and then, keeps the best weights, and stops when they no longer get better.

    What was found lies in the run's folder, so that a run that goes on knows it.

    Args:
        folder: Of the run.
        metric: What is watched.
        every: Steps between evaluations.
        patience: Evaluations without a better one before it stops; 0 for never.
        evaluate: Gives the metrics by name.
        keep_best: Writes the weights to a file.
        listener: Told what was found.
    """

    def __init__(
        self,
        folder: Path,
        metric: Metric,
        every: int,
        patience: int,
        evaluate: Callable[[], dict[str, float]],
        keep_best: Callable[[Path], None],
        listener: Listener,
    ) -> None:
        self.folder = folder
        self.metric = metric
        self.every = every
        self.patience = patience
        self.evaluate = evaluate
        self.keep_best = keep_best
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
        return 0 < self.patience <= sum(step > best for step in self.history)

    def take_up(self, step: int) -> None:
        """Takes up what was found until a step from which a run goes on; the rest comes again."""
        file = self.folder / HISTORY
        if not file.is_file():
            return
        try:
            saved = _history(file)
        except ValueError:
            self.listener(Notice(f"{file} cannot be read: evaluations begin anew", warning=True))
            return
        self.history = {at: found for at, found in saved.items() if at <= step}

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Evaluates when it is time."""
        step = state.global_step
        if step % self.every and step != state.max_steps:
            return
        found = self.evaluate()
        self.history[step] = found
        told = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
        self.listener(Notice(f"step {step}: held-out {told}"))
        if state.is_world_process_zero:
            text = json.dumps({str(at): each for at, each in self.history.items()}, indent=1)
            write_text_aside(self.folder / HISTORY, text)
            if self.best_step == step:
                self.keep_best(self.folder / BEST)
        if self.is_over:
            self.listener(
                Notice(f"stopping: {self.metric} has not got better since step {self.best_step}")
            )
            control.should_save = True
            control.should_training_stop = True

    def _badness(self, found: dict[str, float]) -> float:
        # Without rows of its task a metric is never found; then the loss decides.
        metric = self.metric if str(self.metric) in found else Metric.LOSS
        value = found.get(str(metric), math.inf)
        if math.isnan(value):
            return math.inf
        return value if metric in LOWER_IS_BETTER else -value


def _history(file: Path) -> dict[int, dict[str, float]]:
    """What evaluations found, by step.

    Raises:
        ValueError: If the file holds anything else.
    """
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        return {
            int(step): {str(name): float(value) for name, value in found.items()}
            for step, found in saved.items()
        }
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} holds no evaluations") from error


class Stopping(TrainerCallback):
    """Saves a checkpoint and ends training after the step in which Ctrl-C came."""

    def __init__(self) -> None:
        self.asked = False
        self.stopped_at: int | None = None

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Stops all processes at the same step."""
        if self._anyone_asked(args) and state.global_step < state.max_steps:
            self.stopped_at = state.global_step
            control.should_save = True
            control.should_training_stop = True

    def _anyone_asked(self, args: TrainingArguments) -> bool:
        if args.world_size == 1:
            return self.asked
        asked = torch.tensor([int(self.asked)], device=args.device)
        torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
        return bool(asked.item())

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Within the block Ctrl-C, or a request to end, asks to stop; a second one ends at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def ask(number: int, frame: FrameType | None) -> None:
            self.asked = True
            for which, handler in former.items():
                signal.signal(which, handler)

        for number in former:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
