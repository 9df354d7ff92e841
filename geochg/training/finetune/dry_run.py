"""What a run will take, measured before anything is learned."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from geochg.training.finetune.memory import available_bytes, taken
from geochg.training.finetune.plan import Plan
from geochg.training.finetune.preflight import remarks
from geochg.training.finetune.run import failures_told, ready_pupil
from geochg.training.finetune.trainable_model import Pupil
from geochg.training.finetune.training_set import Course
from geochg.training.precision import fast_bf16

_BATCHES = 3
"""Batches that are tried; the first one does not count, since much is set up in it."""

_LOOK_S = 0.005
"""How often memory is looked at on devices that keep no account of it."""


@dataclass(frozen=True)
class Rehearsal:
    """What a run will take.

    Attributes:
        rows: To learn from.
        validation_rows: Held out.
        steps: Optimizer steps.
        step_rows: Rows in a step, of all processes.
        parameters: Of the network.
        trained_parameters: Of these, or beside them, that are trained.
        weights_bytes: Of the network.
        learning_bytes: Of gradients and optimizer.
        batch_bytes: Highest of activations, measured on whole batches.
        free_bytes: Free on the device with the network on it.
        step_seconds: Measured.
        seconds: Of all steps, without evaluations.
        device: Where.
        remarks: What makes the run other than it looks.
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


def rehearsed(what: Plan, work: Path) -> Rehearsal:
    """Runs a few batches forward and back without learning from them.

    Args:
        what: The plan.
        work: A folder for what a pruned and quantised base needs.

    Raises:
        ModelError: If the base lacks a part, or memory is too small for it.
        RunError: If memory is too small for a batch.
    """
    pupil, _ = ready_pupil(what, work)
    pupil.to(what.device).train()
    course = what.course(pupil.wants_masks)
    free = available_bytes(what.device)
    seconds, peak = [], 0
    with failures_told(what.options, work):
        for number in range(min(_BATCHES, what.steps)):
            with _peak(what.device) as highest:
                started = time.monotonic()
                _forward_and_back(pupil, what, course, number)
                seconds.append(time.monotonic() - started)
            peak = max(peak, highest[0])
    step = min(seconds[1:] or seconds) * what.options.accumulate
    memory = taken(pupil)
    return Rehearsal(
        rows=len(what.parts.training),
        validation_rows=len(what.parts.validation),
        steps=what.steps,
        step_rows=what.step_rows,
        parameters=sum(part.numel() for part in pupil.parameters()),
        trained_parameters=sum(part.numel() for part in pupil.trained().values()),
        weights_bytes=memory.weights,
        learning_bytes=memory.learning,
        batch_bytes=peak,
        free_bytes=free,
        step_seconds=round(step, 4),
        seconds=round(step * what.steps, 1),
        device=f"{what.device}, {what.processes} processes" if what.processes > 1 else what.device,
        remarks=tuple(remark.message for remark in remarks(what)),
    )


def _forward_and_back(pupil: Pupil, what: Plan, course: Course, number: int) -> None:
    rows = what.options.batch_size
    lessons = [course[(number * rows + place) % len(course)] for place in range(rows)]
    inputs = {name: part.to(what.device) for name, part in pupil.inputs(lessons).items()}
    bf16 = fast_bf16() if what.options.bf16 is None else what.options.bf16
    kind = torch.device(what.device).type
    with torch.autocast(kind, torch.bfloat16, enabled=bf16):
        losses = pupil(**inputs)
    sum(losses.values(), torch.zeros((), device=what.device)).backward()
    pupil.zero_grad(set_to_none=True)


@contextmanager
def _peak(device: str) -> Iterator[list[int]]:
    """How many bytes more than at the start are in use within the block, at most."""
    found = [0]
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        torch.cuda.synchronize()
        found[0] = torch.cuda.max_memory_allocated() - before
        return
    import psutil

    process, over = psutil.Process(), threading.Event()
    before = process.memory_info().rss

    def look() -> None:
        while not over.wait(_LOOK_S):
            found[0] = max(found[0], process.memory_info().rss - before)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()
