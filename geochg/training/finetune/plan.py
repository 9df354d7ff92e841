"""What a run is to do, worked out before anything heavy is opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from geochg.errors import InputError, ModelError
from geochg.models.devices import torch_device
from geochg.training.finetune.augmentation import Framing
from geochg.training.finetune.base import Base
from geochg.training.finetune.metrics import Exam
from geochg.training.finetune.options import Metric, TuneOptions
from geochg.training.finetune.processes import local_device
from geochg.training.finetune.run_facts import data_facts
from geochg.training.finetune.training_set import Course, Parts, balanced, parts_of, passes

if TYPE_CHECKING:
    from geochg.datasets.examples import Example


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        base: What is tuned.
        parts: Rows to learn from and rows held out.
        options: How.
        processes: That train together.
        steps: Optimizer steps in all.
        device: Where this process computes.
    """

    base: Base
    parts: Parts
    options: TuneOptions
    processes: int
    steps: int
    device: str

    @property
    def step_rows(self) -> int:
        """Rows in a step, of all processes together."""
        return self.options.batch_size * self.options.accumulate * self.processes

    @property
    def framing(self) -> Framing:
        """How pictures are framed anew."""
        return Framing(self.options.crop, self.options.rotate_deg)

    @cached_property
    def exam(self) -> Exam:
        """What evaluations ask."""
        return Exam.of(self.parts.validation, self.options.metric)

    def course(self, seeing: bool) -> Course:
        """The lessons of the run.

        Args:
            seeing: Whether masks are learned from.
        """
        examples = self.parts.training
        order = passes(len(examples), self.steps * self.step_rows, self.options.seed)
        masks = seeing or not self.framing.is_off
        return Course(examples, order, self.framing, self.options.seed, masks)

    def facts(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        return {
            "base": {"model": self.base.source, "checksum": self.base.checksum},
            "training": data_facts(self.parts.training),
            "validation": data_facts(self.parts.validation),
            "options": self.options.shaping(),
            "processes": self.processes,
        }


def plan(
    examples: Sequence[Example],
    own_validation: Sequence[Example],
    base: Base,
    options: TuneOptions,
    processes: int = 1,
) -> Plan:
    """What a run would do.

    Args:
        examples: Rows to learn from.
        own_validation: Rows to validate on; may be empty.
        base: What is tuned.
        options: How.
        processes: That train together.

    Raises:
        InputError: If there is nothing to learn from, or nothing to evaluate on.
        OptionError: If the metric needs a package that is missing.
        ModelError: If the device is not there, or is one that cannot be chosen.
    """
    if options.metric is Metric.BLEU_4:
        from geochg.evaluation.optional_metrics import check_metrics

        check_metrics(("sacrebleu",))
    parts = parts_of(examples, own_validation, options.validation_share, options.seed)
    training = balanced(parts.training, options.samples, options.seed)
    if options.evaluate_steps and not parts.validation:
        raise InputError("there are no rows to evaluate on", "add --validation FILE")
    rows = options.batch_size * options.accumulate * processes
    steps = options.steps or math.ceil(options.epochs * len(training) / rows)
    parts = parts._replace(training=training)
    return Plan(base, parts, options, processes, steps, _device(options.device))


def _device(wanted: str) -> str:
    if wanted.startswith("cuda:"):
        raise ModelError(
            f"training takes the first GPU it sees, not {wanted!r}",
            f"write --device cuda, and CUDA_VISIBLE_DEVICES={wanted.removeprefix('cuda:')} before "
            "the command",
        )
    return local_device(torch_device(wanted))
