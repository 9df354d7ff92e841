"""A fine-tuning run, from rows and a base model to an adapter or a model with its card."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from transformers.trainer_callback import PrinterCallback

from geochg.errors import CancelledRunError
from geochg.events import Listener, Notice, ignore
from geochg.models.library_guards import quiet_libraries
from geochg.models.model_files import UNFINISHED
from geochg.training.checkpoints import explain_write_errors, step_of
from geochg.training.finetune import CARD
from geochg.training.finetune.adapters import merge_adapter, merge_saved_adapter, save_adapter
from geochg.training.finetune.base import BaseModel, explain_failures, open_whole_base
from geochg.training.finetune.metrics import ProcessShare, evaluate
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.plan import TrainingPlan, preflight_warnings, prepare_model
from geochg.training.finetune.pruning import (
    PruningMasks,
    apply_masks,
    check_sparsity,
    save_pruning_masks,
)
from geochg.training.finetune.run_state import ADAPTER, BEST_WEIGHTS, begin_run, undo_on_refusal
from geochg.training.finetune.trainable_model import TrainableModel
from geochg.training.finetune.trainer import (
    EvaluationCallback,
    InterruptCallback,
    ProgressCallback,
    TuningTrainer,
    load_trained_weights,
    read_trained_weights,
    save_trained_weights,
    trainer_arguments,
)
from geochg.training.processes import is_first, world_size

CARD_TEXT = "README.md"
"""The card of a tuned model or adapter, for people."""


def tune(
    plan: TrainingPlan, work_dir: Path, output: Path, listener: Listener = ignore
) -> dict[str, Any]:
    """Tunes a model.

    Args:
        plan: The plan.
        work_dir: Folder for checkpoints and logs; a run that stopped goes on from what is there.
            The last checkpoint stays until `remove_work_files`, for what may still go wrong with
            the output.
        output: The folder to make; not loaded by anything before it is whole.
        listener: Gets progress and notices.

    Returns:
        The card; empty in all processes but the first.

    Raises:
        InputError: If the folder holds another run's checkpoints, or one that was not to go on.
        OptionError: If the run that is to go on was begun with something else.
        ModelError: If the base lacks a module group or memory is too small.
        CancelledRunError: If the user stopped it; a checkpoint is kept.
        RunError: If it fails on the way.
    """
    state = plan.run_state()
    with undo_on_refusal(work_dir):
        checkpoint = begin_run(work_dir, state, plan.options.resume)
        for notice in preflight_warnings(plan):
            listener(notice)
        model, masks = prepare_model(plan, work_dir)
        started = time.monotonic()
        steps, best_step = train(model, masks, plan, work_dir, checkpoint, listener)
    seconds = time.monotonic() - started
    if not is_first():
        return {}
    if best_step is not None:
        load_trained_weights(model, work_dir / BEST_WEIGHTS)
    listener(Notice("scoring and writing what came out"))
    with explain_write_errors(output):
        scores, sparsity = _write_output(model, masks, plan, work_dir, output)
        results = {"steps": steps, "seconds": round(seconds, 1), **scores}
        if best_step is not None:
            results["best_step"] = best_step
        card = write_card(output, plan.base, plan.options, state, results | sparsity)
        (output / UNFINISHED).unlink(missing_ok=True)
    return card


# --- training ------------------------------------------------------------------------------------


class TrainingEnd(NamedTuple):
    """The steps that training took, and the best of them; None where nothing was evaluated."""

    steps: int
    best_step: int | None


def train(
    model: TrainableModel,
    masks: PruningMasks,
    plan: TrainingPlan,
    work_dir: Path,
    checkpoint: Path | None,
    listener: Listener,
) -> TrainingEnd:
    """Trains a model in place, from a checkpoint where there is one; see `tune`."""
    options = plan.options
    has_dense_head = bool(options.seeing) and plan.base.kind == "deltavlm"
    trainer = TuningTrainer(
        model,
        masks,
        options.keep,
        args=trainer_arguments(options, work_dir, plan.steps, plan.device, has_dense_head),
        train_dataset=plan.training_set(model.wants_masks),
    )
    trainer.remove_callback(PrinterCallback)
    interrupt = InterruptCallback()
    evaluation = None
    if options.evaluate_steps:
        evaluation = _evaluation_callback(model, plan, work_dir, trainer, listener)
    if evaluation is not None and checkpoint is not None:
        evaluation.restore(step_of(checkpoint))
        if evaluation.best_step is not None:
            read_trained_weights(model, work_dir / BEST_WEIGHTS)
        if evaluation.is_over:
            # It had stopped early already, and ended before its output was in its place.
            return TrainingEnd(step_of(checkpoint), evaluation.best_step)
    for callback in (ProgressCallback(listener), evaluation, interrupt):
        if callback is not None:
            trainer.add_callback(callback)
    if world_size() > 1:
        listener(Notice(f"training in {world_size()} processes"))
    # On a CPU it reports each layer in each batch that it rounds.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    with interrupt.listen(), explain_failures(work_dir):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if interrupt.stopped_at is not None:
        raise CancelledRunError(
            f"stopped after step {interrupt.stopped_at} of {plan.steps}; {work_dir} keeps a "
            "checkpoint",
            "go on with the same command and --resume",
        )
    return TrainingEnd(
        trainer.state.global_step, None if evaluation is None else evaluation.best_step
    )


def _evaluation_callback(
    model: TrainableModel,
    plan: TrainingPlan,
    work_dir: Path,
    trainer: TuningTrainer,
    listener: Listener,
) -> EvaluationCallback:
    def gather(values: list[Any]) -> list[Any]:
        from accelerate.utils import gather_object

        return list(gather_object(values)) if world_size() > 1 else values

    def evaluate_and_log() -> dict[str, float]:
        share = ProcessShare(trainer.accelerator.process_index, world_size(), gather)
        metrics = evaluate(model, plan.validation_set, plan.options.batch_size, share)
        trainer.log_beside({f"eval_{name}": value for name, value in metrics.items()})
        return metrics

    return EvaluationCallback(
        work_dir,
        plan.options,
        evaluate_and_log,
        lambda file: save_trained_weights(model, file),
        listener,
    )


# --- the output ----------------------------------------------------------------------------------


def _write_output(
    model: TrainableModel, masks: PruningMasks, plan: TrainingPlan, work_dir: Path, output: Path
) -> tuple[dict[str, Any], dict[str, float]]:
    """Writes the adapter or model; its scores on the held-out rows, and its sparsity.

    What comes out is scored, not what was trained: pruning again after a merge costs something.
    Only where weights were quantised it is scored with these, since a whole model in full
    precision may be too large for the device it was trained on.
    """
    options = plan.options
    scores: dict[str, Any] = {}
    if options.bits is not None:
        scores = _validation_scores(model, plan)
        if scores and not options.gives_adapter:
            scores["validated_in_bits"] = options.bits
    output_model = _output_model(model, plan.base, options, masks, work_dir)
    if options.bits is None:
        scores = _validation_scores(output_model, plan)
    return scores, write_model(output_model, options, masks, output)


def _validation_scores(model: TrainableModel, plan: TrainingPlan) -> dict[str, Any]:
    if not plan.splits.validation:
        return {}
    metrics = evaluate(model, plan.validation_set, plan.options.batch_size)
    return {f"validation_{name}": round(value, 6) for name, value in metrics.items()}


def _output_model(
    model: TrainableModel,
    base: BaseModel,
    options: TuneOptions,
    masks: PruningMasks,
    work_dir: Path,
) -> TrainableModel:
    """The model as it is written: with its adapter, or merged and pruned again.

    Quantised weights cannot take an adapter without loss, so it is merged into the base in full
    precision, on the CPU. A model whose weights are whole is changed in place.
    """
    if options.gives_adapter:
        return model
    if options.bits is None:
        merge_adapter(model)
    else:
        shutil.rmtree(work_dir / ADAPTER, ignore_errors=True)
        save_adapter(model, work_dir / ADAPTER)
        model = open_whole_base(base, options, work_dir)
        merge_saved_adapter(model, work_dir / ADAPTER)
    model.eval()
    apply_masks(model.network, masks)
    return model


def write_model(
    model: TrainableModel, options: TuneOptions, masks: PruningMasks, folder: Path
) -> dict[str, float]:
    """Writes an adapter or a whole model; gives its `sparsity` where it was pruned.

    Args:
        model: The model as it is to be written; not to be used afterwards.
        options: Options of the run.
        masks: Pruning masks of the model.
        folder: The folder to make; it carries a mark, so that nobody loads it before its card is
            written.

    Raises:
        RunError: If pruned weights grew back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED).touch()
    if options.gives_adapter:
        save_adapter(model, folder)
        return {}
    sparsity = {}
    if masks:
        sparsity["sparsity"] = check_sparsity(model.network, masks, options.prune)
        save_pruning_masks(masks, folder)
    with quiet_libraries():
        model.save(folder)
    model.export_runtime(folder)
    return sparsity


def write_card(
    folder: Path,
    base: BaseModel,
    options: TuneOptions,
    state: Mapping[str, Any],
    results: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the card into the folder of a tuned model or adapter.

    Args:
        folder: The folder.
        base: The model that was tuned.
        options: Options of the run.
        state: See `TrainingPlan.run_state`.
        results: Results of the run by name.

    Returns:
        The content of `card.json`.
    """
    from geochg import __version__

    card = {
        "geochg_version": __version__,
        "kind": "adapter" if options.gives_adapter else "model",
        "base": {"model": base.source, "revision": base.revision, "checksum": base.checksum},
        "training": state["training"],
        "validation": state["validation"],
        "options": options.shaping(),
        "results": dict(results),
    }
    (folder / CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
    (folder / CARD_TEXT).write_text(_card_text(card, base), encoding="utf-8")
    return card


def _card_text(card: Mapping[str, Any], base: BaseModel) -> str:
    flags = f"--model {base.source} --adapter FOLDER"
    if card["kind"] == "model":
        flags = f"--model {base.kind}:FOLDER"
    sections = {
        "Base": card["base"],
        "Learned from": card["training"],
        "Held out": card["validation"],
        "Options": card["options"],
        "Results": card["results"],
    }
    tables = "\n".join(f"## {title}\n\n{_table(rows)}" for title, rows in sections.items() if rows)
    return (
        f"# A change {card['kind']} tuned with geochg {card['geochg_version']}\n\n"
        f"```sh\ngeochg analyze before.tif after.tif -o changes.geojson {flags}\n```\n\n"
        f"FOLDER stands for this folder. `{CARD}` holds the same for programs.\n\n{tables}"
    )


def _table(values: Mapping[str, Any]) -> str:
    rows = [f"| {_cell(name)} | {_cell(value)} |\n" for name, value in values.items()]
    return f"| | |\n|---|---|\n{''.join(rows)}"


def _cell(value: object) -> str:
    """A value that cannot break out of its cell."""
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.replace("|", "\\|").split())
