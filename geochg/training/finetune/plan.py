"""The plan of a run, its preflight warnings, and the dry run that measures it."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from geochg.datasets.examples import Example
from geochg.datasets.splits import SPLITS
from geochg.errors import InputError, ModelError
from geochg.events import Notice
from geochg.extras import require_packages
from geochg.models.devices import torch_device
from geochg.records import Task
from geochg.training.finetune.adapters import make_trainable
from geochg.training.finetune.augmentation import Augmentation
from geochg.training.finetune.base import (
    BaseModel,
    available_bytes,
    check_learning_fits,
    check_weights_fit,
    explain_failures,
    learning_bytes,
    open_base,
    weight_bytes,
)
from geochg.training.finetune.metrics import ValidationSet
from geochg.training.finetune.options import Metric, TuneOptions
from geochg.training.finetune.pruning import PruningMasks
from geochg.training.finetune.run_state import data_checksums
from geochg.training.finetune.sample import has_masks
from geochg.training.finetune.trainable_model import TrainableModel
from geochg.training.finetune.training_set import (
    Splits,
    TrainingSet,
    balanced_subset,
    count_leaks,
    example_order,
    split_examples,
)
from geochg.training.processes import fast_bf16, local_device

_TRIED_BATCHES = 3
"""Batches of a dry run; the first one does not count, since much is set up in it."""

_SAMPLING_S = 0.005
"""Seconds between looks at the memory of devices that keep no account of it."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a run is to do, worked out before anything heavy is opened.

    Attributes:
        base: The model that is tuned.
        splits: Rows to learn from and rows held out.
        options: Options of the run.
        processes: Processes that train together.
        steps: Optimizer steps in all.
        device: Torch device of this process.
    """

    base: BaseModel
    splits: Splits
    options: TuneOptions
    processes: int
    steps: int
    device: str

    @property
    def step_rows(self) -> int:
        """Rows in a step, of all processes together."""
        return self.options.batch_size * self.options.accumulate * self.processes

    @property
    def augmentation(self) -> Augmentation:
        """The range of crops and rotations."""
        return Augmentation(self.options.crop, self.options.rotate_deg)

    @cached_property
    def validation_set(self) -> ValidationSet:
        """The rows and questions of evaluations."""
        return ValidationSet.of(self.splits.validation, self.options.metric)

    def training_set(self, wants_masks: bool) -> TrainingSet:
        """The samples of the run.

        Args:
            wants_masks: Whether the model learns from masks.
        """
        examples = self.splits.training
        order = example_order(len(examples), self.steps * self.step_rows, self.options.seed)
        masks = wants_masks or not self.augmentation.is_off
        return TrainingSet(examples, order, self.augmentation, self.options.seed, masks)

    def run_state(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        return {
            "base": {"model": self.base.source, "checksum": self.base.checksum},
            "training": data_checksums(self.splits.training),
            "validation": data_checksums(self.splits.validation),
            "options": self.options.shaping(),
            "processes": self.processes,
        }


def plan_run(
    examples: Sequence[Example],
    own_validation: Sequence[Example],
    base: BaseModel,
    options: TuneOptions,
    processes: int = 1,
) -> TrainingPlan:
    """The plan of a run.

    Args:
        examples: Rows to learn from.
        own_validation: The user's own rows to validate on; may be empty.
        base: The model that is tuned.
        options: Options of the run.
        processes: Processes that train together.

    Raises:
        InputError: If there is nothing to learn from, or nothing to evaluate on.
        MissingExtraError: If the metric needs a package that is missing.
        ModelError: If the device is not there, or is one that cannot be chosen.
    """
    if options.metric is Metric.BLEU_4:
        require_packages("evaluate", "sacrebleu")
    splits = split_examples(examples, own_validation, options.validation_share, options.seed)
    training = balanced_subset(splits.training, options.samples, options.seed)
    if options.evaluate_steps and not splits.validation:
        raise InputError("there are no rows to evaluate on", "add --validation FILE")
    rows = options.batch_size * options.accumulate * processes
    steps = options.steps or math.ceil(options.epochs * len(training) / rows)
    splits = splits._replace(training=training)
    return TrainingPlan(base, splits, options, processes, steps, _device(options.device))


def _device(name: str) -> str:
    if name.startswith("cuda:"):
        raise ModelError(
            f"training takes the first GPU it sees, not {name!r}",
            f"write --device cuda, and CUDA_VISIBLE_DEVICES={name.removeprefix('cuda:')} before "
            "the command",
        )
    return local_device(torch_device(name))


def prepare_model(plan: TrainingPlan, work_dir: Path) -> tuple[TrainableModel, PruningMasks]:
    """Opens the base on its device, with adapters in place, and the pruning masks.

    Raises:
        ModelError: If it cannot be opened, lacks a module group, or memory is too small.
    """
    check_weights_fit(plan.base, plan.options, plan.device)
    work_dir.mkdir(parents=True, exist_ok=True)
    # Adapters begin with random numbers, the same in each process and each time.
    set_seed(plan.options.seed)
    model, masks = open_base(plan.base, plan.options, plan.device, work_dir)
    if sentence := no_change_sentence(plan.splits.training):
        model.set_no_change_sentence(sentence)
    make_trainable(model, plan.base, plan.options)
    check_learning_fits(model, plan.options, plan.device)
    return model, masks


def no_change_sentence(examples: Iterable[Example]) -> str | None:
    """The commonest caption of pairs that have not changed; None where there is none."""
    captions = Counter(
        example.turns[0].answer
        for example in examples
        if example.task is Task.CAPTION and example.changed is False and example.turns
    )
    return captions.most_common(1)[0][0] if captions else None


# --- preflight warnings --------------------------------------------------------------------------


def preflight_warnings(plan: TrainingPlan) -> Iterator[Notice]:
    """What the user may not expect of a run; warnings where it spoils the run."""
    splits, options = plan.splits, plan.options
    if splits.left_out:
        numbers = sorted(splits.left_out.items())
        text = ", ".join(f"{number} of {split!r}" for split, number in numbers)
        yield Notice(
            f"rows of splits that are neither learned from nor held out: {text}",
            warning=not splits.left_out.keys() <= set(SPLITS),
        )
    if leaks := count_leaks(splits):
        yield Notice(
            f"{leaks} of {len(splits.validation)} validation rows show a picture or a location "
            "that is learned from, which flatters their scores; leave such rows out of either file",
            warning=True,
        )
    if options.metric is not Metric.LOSS and splits.validation and not plan.validation_set.items:
        yield Notice(
            f"no held-out row asks for what --metric {options.metric} scores, so the loss decides",
            warning=True,
        )
    uses_of_masks = ["the dense head"] if "dense" in (*options.lora, *options.full) else []
    uses_of_masks += [] if plan.augmentation.is_off else ["crops and rotations"]
    if uses_of_masks and not any(map(has_masks, splits.training)):
        yield Notice(
            f"no row has masks, which {' and '.join(uses_of_masks)} would need: they belong into "
            "label/ beside the folder of the earlier pictures, under their names",
            warning=True,
        )


# --- dry run -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DryRunReport:
    """What a run would take.

    Attributes:
        rows: Rows to learn from.
        validation_rows: Rows held out.
        steps: Optimizer steps.
        step_rows: Rows in a step, of all processes.
        parameters: Parameters of the network.
        trained_parameters: Parameters of these, or beside them, that are trained.
        weights_bytes: Bytes of the network.
        learning_bytes: Bytes of gradients and optimizer.
        batch_bytes: Most bytes of activations, measured on whole batches.
        free_bytes: Bytes free on the device with the network on it.
        step_seconds: Seconds of a step, measured.
        seconds: Seconds of all steps, without evaluations.
        device: The device, and the processes where there are several.
        remarks: Preflight warnings.
    """

    rows: int
    validation_rows: int
    steps: int
    step_rows: int
    parameters: int
    trained_parameters: int
    weights_bytes: int
    learning_bytes: int
    batch_bytes: int
    free_bytes: int
    step_seconds: float
    seconds: float
    device: str
    remarks: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether memory is enough."""
        return self.learning_bytes + self.batch_bytes <= self.free_bytes

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "fits": self.fits}


def dry_run(plan: TrainingPlan, work_dir: Path) -> DryRunReport:
    """Runs a few batches forward and back without learning from them.

    Args:
        plan: The plan.
        work_dir: A folder for what a pruned and quantised base needs.

    Raises:
        ModelError: If the base lacks a module group, or memory is too small for it.
        RunError: If memory is too small for a batch.
    """
    model, _ = prepare_model(plan, work_dir)
    model.to(plan.device).train()
    samples = plan.training_set(model.wants_masks)
    free = available_bytes(plan.device)
    seconds, peak = [], 0
    with explain_failures(work_dir):
        for number in range(min(_TRIED_BATCHES, plan.steps)):
            with _measure_peak(plan.device) as highest:
                started = time.monotonic()
                _run_batch(model, plan, samples, number)
                seconds.append(time.monotonic() - started)
            peak = max(peak, highest[0])
    step = min(seconds[1:] or seconds) * plan.options.accumulate
    together = f", {plan.processes} processes" if plan.processes > 1 else ""
    return DryRunReport(
        rows=len(plan.splits.training),
        validation_rows=len(plan.splits.validation),
        steps=plan.steps,
        step_rows=plan.step_rows,
        parameters=sum(part.numel() for part in model.parameters()),
        trained_parameters=sum(part.numel() for part in model.trained_parameters().values()),
        weights_bytes=weight_bytes(model),
        learning_bytes=learning_bytes(model),
        batch_bytes=peak,
        free_bytes=free,
        step_seconds=round(step, 4),
        seconds=round(step * plan.steps, 1),
        device=f"{plan.device}{together}",
        remarks=tuple(notice.message for notice in preflight_warnings(plan)),
    )


def _run_batch(
    model: TrainableModel, plan: TrainingPlan, samples: TrainingSet, number: int
) -> None:
    size = plan.options.batch_size
    batch = [samples[(number * size + index) % len(samples)] for index in range(size)]
    inputs = {name: part.to(plan.device) for name, part in model.batch(batch).items()}
    bf16 = fast_bf16() if plan.options.bf16 is None else plan.options.bf16
    with torch.autocast(torch.device(plan.device).type, torch.bfloat16, enabled=bf16):
        losses = model(**inputs)
    sum(losses.values(), torch.zeros((), device=plan.device)).backward()
    model.zero_grad(set_to_none=True)


@contextmanager
def _measure_peak(device: str) -> Iterator[list[int]]:
    """The most bytes in use within the block above those at its start, as the list's only item."""
    highest = [0]
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield highest
        torch.cuda.synchronize()
        highest[0] = torch.cuda.max_memory_allocated() - before
        return
    import psutil

    process, is_over = psutil.Process(), threading.Event()
    before = process.memory_info().rss

    def sample() -> None:
        while not is_over.wait(_SAMPLING_S):
            highest[0] = max(highest[0], process.memory_info().rss - before)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield highest
    finally:
        is_over.set()
        thread.join()
