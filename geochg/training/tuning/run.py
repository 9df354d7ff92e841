"""A fine-tuning run, from rows and a base to an adapter or a model."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import set_seed
from transformers.trainer_callback import PrinterCallback

from geochg.errors import CancelledRunError, InputError, OptionError, RunError
from geochg.events import Listener, Notice, ignore
from geochg.models.devices import torch_device
from geochg.models.memory import is_out_of_memory
from geochg.training.tuning.adapting import make_trainable
from geochg.training.tuning.base import Base
from geochg.training.tuning.callbacks import Stopping, Telling, Watching
from geochg.training.tuning.card import data_facts, write_card
from geochg.training.tuning.checkpoints import BEST, drop_all, drop_former, newest, write_whole
from geochg.training.tuning.course import (
    Course,
    Parts,
    balanced,
    parts_of,
    passes,
    seen_before,
)
from geochg.training.tuning.framing import Framing
from geochg.training.tuning.lesson import Lessons
from geochg.training.tuning.masks import has_masks
from geochg.training.tuning.memory import check_learning, check_weights
from geochg.training.tuning.metrics import evaluated
from geochg.training.tuning.opening import open_pupil
from geochg.training.tuning.options import TuneOptions
from geochg.training.tuning.output import finished, write_tuned
from geochg.training.tuning.processes import (
    check_processes,
    is_first,
    made_by_first,
    world_size,
)
from geochg.training.tuning.pruning import Masks, save_masks
from geochg.training.tuning.pupil import Pupil
from geochg.training.tuning.storage import writing_told
from geochg.training.tuning.trainer import (
    TuningTrainer,
    arguments,
    load_trained,
    save_trained,
)
from geochg.training.tuning.wording import no_change_sentence

if TYPE_CHECKING:
    from geochg.datasets.examples import Example

FACTS = "run.json"
"""What a run's folder was begun with."""


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        base: What is tuned.
        parts: Rows to learn from and rows held out.
        options: How.
        steps: Optimizer steps in all.
        device: Where.
    """

    base: Base
    parts: Parts
    options: TuneOptions
    steps: int
    device: str

    @property
    def step_rows(self) -> int:
        """Rows in a step, of all processes together."""
        return self.options.batch_size * self.options.accumulate * world_size()

    @property
    def course(self) -> Course:
        """The lessons of the run."""
        examples = self.parts.training
        return Course(
            examples,
            passes(len(examples), self.steps * self.step_rows, self.options.seed),
            Framing(self.options.crop, self.options.rotate_deg),
            self.options.seed,
        )

    def facts(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        return {
            "base": {"model": self.base.source, "checksum": self.base.checksum},
            "training": data_facts(self.parts.training),
            "validation": data_facts(self.parts.validation),
            "options": self.options.shaping(),
            "processes": world_size(),
        }


def plan(
    examples: Sequence[Example],
    own_validation: Sequence[Example],
    base: Base,
    options: TuneOptions,
) -> Plan:
    """What a run would do.

    Args:
        examples: Rows to learn from.
        own_validation: Rows to validate on; may be empty.
        base: What is tuned.
        options: How.

    Raises:
        InputError: If there is nothing to learn from.
        OptionError: If another number of processes is expected.
        ModelError: If the device is not there.
    """
    processes = check_processes(options.processes)
    share = options.validation_share
    training, validation = parts_of(examples, own_validation, share, options.seed)
    training = balanced(training, options.samples, options.seed)
    if options.evaluate_steps and not validation:
        raise InputError("there are no rows to evaluate on", "add --validation FILE")
    rows = options.batch_size * options.accumulate * processes
    steps = options.steps or math.ceil(options.epochs * len(training) / rows)
    return Plan(base, Parts(training, validation), options, steps, torch_device(options.device))


def tune(what: Plan, work: Path, output: Path, listener: Listener = ignore) -> dict[str, Any]:
    """Tunes a model.

    Args:
        what: The plan.
        work: For checkpoints and logs; a run that stopped goes on from what is there.
        output: The folder to make; not loaded by anything before it is whole.
        listener: Told how far it is.

    Returns:
        What the card holds; empty in all processes but the first.

    Raises:
        InputError: If the folder holds another run's checkpoints, or one that was not to go on.
        ModelError: If the base lacks a part or memory is too small.
        CancelledRunError: If the user stopped it; a checkpoint is kept.
        RunError: If it fails on the way.
    """
    facts = what.facts()
    checkpoint = _begun(work, facts, what.options.resume)
    if known := seen_before(what.parts):
        listener(Notice(_leak(known, len(what.parts.validation)), warning=True))
    pupil, masks = ready_pupil(what, work)
    if masks and is_first():
        with writing_told(work):
            save_masks(masks, work)
    if is_first():
        _tell_lack_of_masks(what, listener)
    started = time.monotonic()
    watching = _trained(pupil, masks, what, work, checkpoint, listener)
    seconds = time.monotonic() - started
    if not is_first():
        return {}
    if watching is not None and watching.best_step is not None:
        load_trained(pupil, work / BEST)
    results: dict[str, Any] = {
        "steps": what.steps,
        "seconds": round(seconds, 1),
        **_validated(pupil, what),
    }
    if watching is not None:
        results["best_step"] = watching.best_step
    with writing_told(output):
        results |= write_tuned(pupil, what.base, what.options, masks, work, output)
        card = write_card(
            output, what.base, what.options, facts["training"], facts["validation"], results
        )
        finished(output)
    drop_all(work)
    return card


def _leak(known: int, count: int) -> str:
    return (
        f"{known} of {count} validation rows show a picture or a location that is learned from, "
        "which flatters their scores; leave such rows out of either file"
    )


def ready_pupil(what: Plan, work: Path) -> tuple[Pupil, Masks]:
    """The base with what is trained marked so, where it will be trained, and what is cut.

    Raises:
        ModelError: If it cannot be opened, lacks a part, or memory is too small.
    """
    check_weights(what.base, what.options, what.device)
    work.mkdir(parents=True, exist_ok=True)
    # Adapters begin with numbers of chance, the same in each process and each time.
    set_seed(what.options.seed)
    pupil, masks = open_pupil(what.base, what.options, what.device, work)
    if sentence := no_change_sentence(what.parts.training):
        pupil.reword(sentence)
    make_trainable(pupil, what.base, what.options)
    check_learning(pupil, what.options, what.device)
    return pupil, masks


def _trained(
    pupil: Pupil,
    masks: Masks,
    what: Plan,
    work: Path,
    checkpoint: Path | None,
    listener: Listener,
) -> Watching | None:
    """Trains in place; gives what watched over it, where something did."""
    options = what.options
    dense = bool(options.seeing) and what.base.kind == "deltavlm"
    trainer = TuningTrainer(
        pupil,
        masks,
        options.keep,
        args=arguments(options, work, what.steps, what.device, dense),
        train_dataset=what.course,
    )
    trainer.remove_callback(PrinterCallback)
    stopping = Stopping()
    watching = _watching(pupil, what, work, trainer, listener)
    for callback in (Telling(listener), watching, stopping):
        if callback is not None:
            trainer.add_callback(callback)
    if world_size() > 1:
        listener(Notice(f"training in {world_size()} processes"))
    # On a CPU it tells of each layer in each batch that it rounds.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    with stopping.heard(), failures_told(what.options, work):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if stopping.stopped_at is not None:
        raise CancelledRunError(
            f"stopped after step {stopping.stopped_at} of {what.steps}; {work} keeps a checkpoint",
            "go on with the same command and --resume",
        )
    return watching


def _tell_lack_of_masks(what: Plan, listener: Listener) -> None:
    """Says so where something is asked for that only masks can teach, and no row has any."""
    options = what.options
    wanted = [
        name
        for name, asked in (
            ("the dense head", "dense" in (*options.lora, *options.full)),
            ("crops and turns", not what.course.framing.is_off),
        )
        if asked
    ]
    if wanted and not any(map(has_masks, what.parts.training)):
        listener(
            Notice(
                f"no row has masks, which {' and '.join(wanted)} would need: they belong into "
                "label/ beside the folder of the earlier pictures, under their names",
                warning=True,
            )
        )


def _watching(
    pupil: Pupil, what: Plan, work: Path, trainer: TuningTrainer, listener: Listener
) -> Watching | None:
    options = what.options
    if not options.evaluate_steps:
        return None

    def gather(found: list[Any]) -> list[Any]:
        from accelerate.utils import gather_object

        return list(gather_object(found)) if world_size() > 1 else found

    def evaluate() -> dict[str, float]:
        place, count = trainer.accelerator.process_index, world_size()
        lessons = Lessons(what.parts.validation[place::count])
        return evaluated(pupil, lessons, options.metric, options.batch_size, gather)

    return Watching(
        work,
        options.metric,
        options.evaluate_steps,
        options.patience,
        evaluate,
        lambda file: save_trained(pupil, file),
        listener,
    )


def _validated(pupil: Pupil, what: Plan) -> dict[str, float]:
    """The metrics of what came out, on what was held out."""
    if not what.parts.validation:
        return {}
    lessons = Lessons(what.parts.validation)
    found = evaluated(pupil, lessons, what.options.metric, what.options.batch_size)
    return {f"validation_{name}": round(value, 6) for name, value in found.items()}


def _begun(work: Path, facts: dict[str, Any], resume: bool) -> Path | None:
    """The checkpoint to go on from; notes the facts of a run that begins.

    Raises:
        InputError: If the folder holds a run that is not to go on.
        OptionError: If it was begun otherwise.
    """
    checkpoint, file = newest(work), work / FACTS
    if checkpoint is not None and not resume:
        raise InputError(
            f"{work} holds a run that is not finished", "add --resume to go on, or remove it"
        )
    going_on = resume and file.is_file()
    if going_on:
        _check_same(_former_facts(file), facts, work)

    def begin() -> None:
        if going_on:
            return
        with writing_told(work):
            work.mkdir(parents=True, exist_ok=True)
            if checkpoint is None:
                drop_former(work)
            write_whole(file, json.dumps(facts, indent=1))

    made_by_first("begun", begin)
    return checkpoint


def _former_facts(file: Path) -> Any:  # noqa: ANN401
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file} cannot be read: {error}", f"remove {file.parent}, and start anew"
        ) from error


def _check_same(former: Any, facts: dict[str, Any], work: Path) -> None:  # noqa: ANN401
    now = json.loads(json.dumps(facts))
    for name, value in now.items():
        was = former.get(name) if isinstance(former, dict) else None
        if was == value:
            continue
        what = name
        if isinstance(value, dict) and isinstance(was, dict):
            what = next(key for key in value if was.get(key) != value[key])
        raise OptionError(
            f"the run in {work} was begun with another {what.replace('_', ' ')}",
            "give what it was begun with, or leave out --resume and remove it",
        )


@contextmanager
def failures_told(options: TuneOptions, work: Path) -> Iterator[None]:
    """Turns what a device or a disk refuses into an error that says what to do."""
    try:
        with writing_told(work):
            yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(
            f"there is too little memory for {options.batch_size} rows at once",
            "halve --batch-size and double --accumulate, or add --checkpointing or --quantize 4bit",
        ) from error


__all__ = ["Plan", "failures_told", "plan", "ready_pupil", "tune"]
