"""How a run begins in its folder: anew, or from a checkpoint of the same run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geochg.errors import GeochgError, InputError
from geochg.files.new_files import write_text_aside
from geochg.files.same_run import refuse_another_run
from geochg.files.text_file import parsed_json, read_text
from geochg.training.checkpoints import newest
from geochg.training.finetune.processes import is_first, made_by_first
from geochg.training.finetune.run_facts import compared
from geochg.training.finetune.run_folder import drop_former
from geochg.training.storage import writing_told
from geochg.training.work_folder import check_work_folder

FACTS = "run.json"
"""What a run's folder was begun with."""


def begun(work: Path, facts: Mapping[str, Any], resume: bool) -> Path | None:
    """The checkpoint to go on from, None to begin; notes the facts of a run that begins.

    Args:
        work: The run's folder.
        facts: See `Plan.facts`.
        resume: Whether to go on with what is there.

    Raises:
        InputError: If the folder holds a run that is not to go on, nobody knows which, or files
            that are of no run.
        OptionError: If it was begun otherwise.
        RunError: If it cannot be written.
    """
    checkpoint, file = newest(work), work / FACTS
    if checkpoint is not None and not resume:
        raise InputError(
            f"{work} holds a run that is not finished", "add --resume to go on, or remove it"
        )
    if checkpoint is not None and not file.is_file():
        raise InputError(
            f"{work} has no {FACTS} that tells which run its checkpoints are of",
            "remove it, and start anew",
        )
    check_work_folder(work, FACTS)
    going_on = resume and file.is_file()
    if going_on:
        _check_same(file, facts)

    def begin() -> None:
        if going_on:
            return
        with writing_told(work):
            work.mkdir(parents=True, exist_ok=True)
            drop_former(work)
            write_text_aside(file, json.dumps(facts, indent=1))

    made_by_first("begun", begin)
    return checkpoint


@contextmanager
def refusals_undone(work: Path) -> Iterator[None]:
    """Removes what a run has put into its folder when the block ends in a refusal.

    Args:
        work: The run's folder, or the place where it is to be.

    Raises:
        GeochgError: What the block raises.
    """
    former = _entries(work)
    try:
        yield
    except GeochgError as error:
        if error.exit_code == 2 and is_first():
            for path in _entries(work) - former:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not former and work.is_dir():
                work.rmdir()
        raise


def _entries(folder: Path) -> set[Path]:
    return set(folder.iterdir()) if folder.is_dir() else set()


def _check_same(file: Path, facts: Mapping[str, Any]) -> None:
    try:
        former = parsed_json(read_text(file))
    except ValueError as error:
        raise InputError(
            f"{file} cannot be read: {error}", f"remove {file.parent}, and start anew"
        ) from error
    if not isinstance(former, dict):
        raise InputError(
            f"{file} does not tell which run it is of", f"remove {file.parent}, and start anew"
        )
    refuse_another_run(compared(former, facts), compared(facts, facts), file.parent)
