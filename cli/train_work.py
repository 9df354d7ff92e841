"""What `geochg train run` does once it knows its options."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.errors import OptionError
from geochg.training.tuning.options import TuneOptions
from geochg.training.tuning.processes import is_first, world_size

from .new_folder import check_new_folder
from .progress import showing_progress

if TYPE_CHECKING:
    from geochg.training.tuning.rehearsal import Rehearsal
    from geochg.training.tuning.run import Plan

Sources = tuple[Path, Path | None, Path | None, str, str]
"""Data, images, validation, model and revision, as on the command line."""


def planned(
    data: Path,
    images: Path | None,
    validation: Path | None,
    model: str,
    revision: str,
    options: TuneOptions,
) -> Plan:
    """Reads the rows and finds the base.

    Raises:
        InputError: If rows cannot be read.
        ModelError: If there is no base.
    """
    from geochg.datasets.examples import read_examples
    from geochg.training.tuning.base import find_base
    from geochg.training.tuning.processes import check_processes
    from geochg.training.tuning.run import plan

    check_processes(options.processes)
    base = find_base(model, revision)
    own = [] if validation is None else read_examples(validation, images)
    return plan(read_examples(data, images), own, base, options)


def rehearsal(what: Plan) -> Rehearsal:
    """What a run would take."""
    from geochg.training.tuning.rehearsal import rehearsed

    with tempfile.TemporaryDirectory(prefix="geochg-") as folder:
        return rehearsed(what, Path(folder))


def tuned(what: Plan, output: Path, work: Path) -> dict[str, Any]:
    """Tunes, with progress on stderr; the output appears whole or not at all.

    Returns:
        What the card says and the folder; empty in processes that write nothing.
    """
    from geochg.training.tuning.run import tune
    from geochg.writers.staging import Staging

    check_new_folder(output)
    if not is_first():
        # All processes train, one writes.
        tune(what, work, output)
        return {}
    with showing_progress() as listener, Staging() as staging:
        with staging.write(output) as folder:
            card = tune(what, work, folder, listener)
        staging.commit()
    return {"folder": str(output), **card}


def sweep_rows(
    sources: Sources, file: Path, given: Mapping[str, Any], folder: Path, dry_run: bool
) -> list[dict[str, Any]]:
    """Does the runs of a sweep that are not done yet, and writes their table.

    Raises:
        OptionError: If there are several processes, or a run was done otherwise.
    """
    from geochg.training.tuning.sweep import check_done, is_done, read_sweep, swept, table

    if world_size() > 1:
        raise OptionError("a sweep runs in one process", "start it without torchrun")
    runs = read_sweep(file, given)
    if dry_run:
        return [{"run": run.name, **run.varied} for run in runs]
    folder.mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs, start=1):
        # What an earlier call left unfinished goes on; what is done is kept.
        what = planned(*sources, replace(run.options, resume=True))
        if is_done(folder / run.name):
            check_done(folder / run.name, what.facts())
            continue
        click.echo(f"run {number} of {len(runs)}: {run.name}", err=True)
        tuned(what, folder / run.name, folder / f"{run.name}.work")
        rows = swept(runs, folder)
        (folder / "table.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
        (folder / "table.md").write_text(table(rows), encoding="utf-8")
    return swept(runs, folder)


def summary(card: Mapping[str, Any]) -> str:
    """The folder, and what came of the run."""
    results = "\n".join(f"  {name}: {value}" for name, value in card["results"].items())
    return f"{card['folder']} ({card['kind']})\n{results}"


def in_words(told: Rehearsal) -> str:
    """A rehearsal for people."""
    from geochg.training.tuning.memory import gigabytes

    needed = told.learning_bytes + told.batch_bytes
    lines = [
        f"rows: {told.rows} to learn from, {told.validation_rows} held out",
        f"steps: {told.steps} of {told.step_rows} rows",
        f"parameters: {told.trained_parameters:,} trained, of {told.parameters:,}",
        f"memory: {gigabytes(told.weights_bytes)} of weights; {gigabytes(needed)} more for"
        f" training, of {gigabytes(told.free_bytes)} free",
        f"time: {_duration(told.seconds)} ({told.step_seconds:.3g} s a step, on {told.device})",
    ]
    if not told.fits:
        lines.append("this does not fit: lower --batch-size, or add --quantize 4bit")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
