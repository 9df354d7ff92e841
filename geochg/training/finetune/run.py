"""A fine-tuning run, from rows and a base to an adapter or a model."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from transformers import set_seed
from transformers.trainer_callback import PrinterCallback

from geochg.errors import CancelledRunError, RunError
from geochg.events import Listener, Notice, ignore
from geochg.models.memory import is_out_of_memory
from geochg.training.checkpoints import step_of
from geochg.training.finetune.adapters import make_trainable
from geochg.training.finetune.base_loading import open_pupil
from geochg.training.finetune.callbacks import Stopping, Telling, Watching
from geochg.training.finetune.card import write_card
from geochg.training.finetune.memory import check_learning, check_weights
from geochg.training.finetune.metrics import Share, examined
from geochg.training.finetune.no_change_sentence import no_change_sentence
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.output import as_it_comes_out, finished, write_tuned
from geochg.training.finetune.plan import Plan
from geochg.training.finetune.preflight import remarks
from geochg.training.finetune.processes import is_first, world_size
from geochg.training.finetune.pruning import Masks
from geochg.training.finetune.run_folder import BEST, drop_all
from geochg.training.finetune.run_state import begun, refusals_undone
from geochg.training.finetune.trainable_model import Pupil
from geochg.training.finetune.trainer import (
    TuningTrainer,
    arguments,
    load_trained,
    save_trained,
)
from geochg.training.storage import writing_told


def tune(what: Plan, work: Path, output: Path, listener: Listener = ignore) -> dict[str, Any]:
    """Tunes a model.

    Args:
        what: The plan.
        work: For checkpoints and logs; a run that stopped goes on from what is there. The last
            checkpoint stays until `forget`, for what may still go wrong with the output.
        output: The folder to make; not loaded by anything before it is whole.
        listener: Told how far it is.

    Returns:
        What the card holds; empty in all processes but the first.

    Raises:
        InputError: If the folder holds another run's checkpoints, or one that was not to go on.
        OptionError: If what is to go on was begun otherwise.
        ModelError: If the base lacks a part or memory is too small.
        CancelledRunError: If the user stopped it; a checkpoint is kept.
        RunError: If it fails on the way.
    """
    facts = what.facts()
    with refusals_undone(work):
        checkpoint = begun(work, facts, what.options.resume)
        for remark in remarks(what):
            listener(remark)
        pupil, masks = ready_pupil(what, work)
    started = time.monotonic()
    learned = _learned(pupil, masks, what, work, checkpoint, listener)
    seconds = time.monotonic() - started
    if not is_first():
        return {}
    if learned.best_step is not None:
        load_trained(pupil, work / BEST)
    results: dict[str, Any] = {"steps": learned.steps, "seconds": round(seconds, 1)}
    listener(Notice("scoring and writing what came out"))
    with writing_told(output):
        found, told = _written(pupil, masks, what, work, output)
        results |= found
        if learned.best_step is not None:
            results["best_step"] = learned.best_step
        results |= told
        card = write_card(
            output, what.base, what.options, facts["training"], facts["validation"], results
        )
        finished(output)
    return card


def forget(work: Path) -> None:
    """Removes what a run has left whose output is in its place; its logs stay."""
    if is_first():
        drop_all(work)


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


class _Learned(NamedTuple):
    """How training ended: after how many steps, and which of them was the best.

    The best is None where nothing was evaluated on the way.
    """

    steps: int
    best_step: int | None


def _learned(
    pupil: Pupil,
    masks: Masks,
    what: Plan,
    work: Path,
    checkpoint: Path | None,
    listener: Listener,
) -> _Learned:
    """Trains in place."""
    options = what.options
    dense = bool(options.seeing) and what.base.kind == "deltavlm"
    trainer = TuningTrainer(
        pupil,
        masks,
        options.keep,
        args=arguments(options, work, what.steps, what.device, dense),
        train_dataset=what.course(pupil.wants_masks),
    )
    trainer.remove_callback(PrinterCallback)
    stopping = Stopping()
    watching = _watching(pupil, what, work, trainer, listener)
    if watching is not None and checkpoint is not None:
        watching.take_up(step_of(checkpoint))
        if watching.is_over:
            # It had stopped early already, and ended before its output was in its place.
            return _Learned(step_of(checkpoint), watching.best_step)
    for callback in (Telling(listener), watching, stopping):
        if callback is not None:
            trainer.add_callback(callback)
    if world_size() > 1:
        listener(Notice(f"training in {world_size()} processes"))
    # On a CPU it tells of each layer in each batch that it rounds.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    with stopping.heard(), failures_told(options, work):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if stopping.stopped_at is not None:
        raise CancelledRunError(
            f"stopped after step {stopping.stopped_at} of {what.steps}; {work} keeps a checkpoint",
            "go on with the same command and --resume",
        )
    return _Learned(trainer.state.global_step, None if watching is None else watching.best_step)


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
        share = Share(trainer.accelerator.process_index, world_size(), gather)
        found = examined(pupil, what.exam, options.batch_size, share)
        trainer.log_beside({f"eval_{name}": value for name, value in found.items()})
        return found

    return Watching(
        work,
        options.metric,
        options.evaluate_steps,
        options.patience,
        evaluate,
        lambda file: save_trained(pupil, file),
        listener,
    )


def _written(
    pupil: Pupil, masks: Masks, what: Plan, work: Path, output: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Writes what comes out; its scores on what was held out, and what else is told of it.

    What comes out is scored, not what was trained: cutting again after a merge costs something.
    Only where weights were quantised it is scored with these, since a whole model in full
    precision may be too large for the device it was trained on.
    """
    options = what.options
    if options.bits is not None:
        scores = _validated(pupil, what)
        if scores and not options.gives_adapter:
            scores["validated_in_bits"] = options.bits
        whole = as_it_comes_out(pupil, what.base, options, masks, work)
    else:
        whole = as_it_comes_out(pupil, what.base, options, masks, work)
        scores = _validated(whole, what)
    return scores, write_tuned(whole, options, masks, output)


def _validated(pupil: Pupil, what: Plan) -> dict[str, float]:
    """The metrics on what was held out."""
    if not what.parts.validation:
        return {}
    found = examined(pupil, what.exam, what.options.batch_size)
    return {f"validation_{name}": round(value, 6) for name, value in found.items()}


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


__all__ = ["failures_told", "forget", "ready_pupil", "tune"]
