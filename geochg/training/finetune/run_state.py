"""The folder of a run: what the run was begun with, and what lies beside its checkpoints."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geochg.datasets.examples import Example
from geochg.errors import GeochgError, InputError
from geochg.files.new_files import write_text_aside
from geochg.files.same_run import refuse_another_run
from geochg.files.text_file import parsed_json, read_text
from geochg.training.checkpoints import (
    ASIDE,
    check_checkpoint,
    check_work_dir,
    explain_write_errors,
    newest_checkpoint,
)
from geochg.training.processes import is_first, make_on_first

RUN_STATE = "run.json"
"""What a run's folder was begun with."""

BEST_WEIGHTS = "best.safetensors"
"""The weights of the best evaluation."""

TRAINED_WEIGHTS = "trained.safetensors"
"""The trained weights in a checkpoint, and none of the others."""

EVALUATIONS = "evaluations.json"
"""The metrics of evaluations, by step."""

PRUNING_MASKS = "pruning.safetensors"
"""The pruning masks, in a run's folder or a model's."""

PRUNED_BASE, ADAPTER = "pruned", "adapter"
"""Folders within that of a run: of a pruned base that is to be quantised, and of an adapter that
is merged at the end."""


def begin_run(work_dir: Path, state: Mapping[str, Any], resume: bool) -> Path | None:
    """Notes the state of a run that begins; gives the checkpoint to go on from, None to begin.

    Args:
        work_dir: The run's folder.
        state: See `TrainingPlan.run_state`.
        resume: Whether to go on with what is there.

    Raises:
        InputError: If the folder holds a run that is not to go on, checkpoints of an unknown run,
            a damaged checkpoint, or files that are of no run.
        OptionError: If it was begun with something else.
        RunError: If it cannot be written.
    """
    checkpoint, file = newest_checkpoint(work_dir), work_dir / RUN_STATE
    if checkpoint is not None and not resume:
        raise InputError(
            f"{work_dir} holds a run that is not finished", "add --resume to go on, or remove it"
        )
    if checkpoint is not None and not file.is_file():
        raise InputError(
            f"{work_dir} has no {RUN_STATE}, which says of which run its checkpoints are",
            "remove it, and start anew",
        )
    check_work_dir(work_dir, RUN_STATE)
    goes_on = resume and file.is_file()
    if goes_on:
        _check_same_run(file, state)
    if checkpoint is not None:
        check_checkpoint(checkpoint)

    def write_state() -> None:
        if goes_on:
            return
        with explain_write_errors(work_dir):
            work_dir.mkdir(parents=True, exist_ok=True)
            remove_work_files(work_dir)
            for name in (PRUNING_MASKS, EVALUATIONS):
                (work_dir / name).unlink(missing_ok=True)
            write_text_aside(file, json.dumps(state, indent=1))

    make_on_first("begun", write_state)
    return checkpoint


def remove_work_files(work_dir: Path) -> None:
    """Removes what a run that is over needs no more; its logs stay."""
    for pattern in ("checkpoint-*", f".{PRUNED_BASE}-*", PRUNED_BASE, ADAPTER, ASIDE):
        for folder in work_dir.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
    (work_dir / BEST_WEIGHTS).unlink(missing_ok=True)


@contextmanager
def undo_on_refusal(work_dir: Path) -> Iterator[None]:
    """Removes what a run has put into its folder when the block ends in a refusal.

    Once there is a new checkpoint, all of it stays.

    Args:
        work_dir: The run's folder, which need not exist.

    Raises:
        GeochgError: The error that the block raises.
    """
    former = _entries(work_dir)
    try:
        yield
    except GeochgError as error:
        new = _entries(work_dir) - former
        if error.exit_code == 2 and is_first() and newest_checkpoint(work_dir) not in new:
            for path in new:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not former and work_dir.is_dir():
                work_dir.rmdir()
        raise


def _entries(folder: Path) -> set[Path]:
    return set(folder.iterdir()) if folder.is_dir() else set()


def _check_same_run(file: Path, state: Mapping[str, Any]) -> None:
    try:
        former = parsed_json(read_text(file))
    except ValueError as error:
        raise InputError(
            f"{file} cannot be read: {error}", f"remove {file.parent}, and start anew"
        ) from error
    if not isinstance(former, dict):
        raise InputError(
            f"{file} does not say which run it is of", f"remove {file.parent}, and start anew"
        )
    begun_state = comparable_state(former, state)
    refuse_another_run(begun_state, comparable_state(state, state), file.parent)


# --- the state -----------------------------------------------------------------------------------


def data_checksums(examples: Sequence[Example]) -> dict[str, Any]:
    """Checksums of rows, and of the names and sizes of their pictures."""
    files = sorted({example.origin.file for example in examples if example.origin is not None})
    pictures = sorted({path for example in examples for path in example.paths})
    sizes = [(path.name, path.stat().st_size if path.is_file() else 0) for path in pictures]
    return {
        "files": {file.name: _digest([file.read_bytes()]) for file in files},
        "rows": len(examples),
        "said": _digest(_dialogues(examples)),
        "pictures": len(pictures),
        "picture_sizes": _digest([json.dumps(sizes).encode()]),
    }


def comparable_state(state: object, requested: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs must share to be the same one, by name; see `files.same_run`.

    Args:
        state: The state or the card of a run, as a file of its holds it; another version's may
            lack entries.
        requested: The state of the run that is asked for, see `TrainingPlan.run_state`; only its
            entries are compared.
    """
    known_state = _mapping(state)
    options = _mapping(known_state.get("options"))
    names = [name for name in requested["options"] if name in options]
    return {
        "base": [_mapping(known_state.get("base")).get("checksum")],
        **{
            f"{name} rows or pictures": known_state.get(name) for name in ("training", "validation")
        },
        **{name.replace("_", " "): options[name] for name in names},
        # A card does not tell it, since the number of processes is no part of a result.
        "number of processes": known_state.get("processes", requested["processes"]),
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _dialogues(examples: Sequence[Example]) -> Iterable[bytes]:
    for example in examples:
        turns = [(turn.question, turn.answer) for turn in example.turns]
        yield json.dumps([example.id, [path.name for path in example.paths], turns]).encode()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return f"sha256:{digest.hexdigest()}"
