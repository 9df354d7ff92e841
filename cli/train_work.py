"""What `geochg train run` does once it knows its options."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.errors import CancelledRunError, GeochgError, OptionError, RunError
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.processes import (
    check_processes,
    is_first,
    rehearsed_processes,
    world_size,
)

from .interrupts import interrupts_raised
from .new_folder import check_sweep_folder
from .progress import showing_progress
from .terminal import echo

if TYPE_CHECKING:
    from geochg.datasets.example import Example
    from geochg.training.finetune.base import Base
    from geochg.training.finetune.dry_run import Rehearsal
    from geochg.training.finetune.plan import Plan
    from geochg.training.finetune.sweep import SweepRun


class Sources(NamedTuple):
    """What a run is made from, as the command line names it; None where it does not."""

    data: Path
    images: Path | None
    validation: Path | None
    model: str
    revision: str


class Material(NamedTuple):
    """The same, read: rows to learn from, rows of one's own to validate on, and the base."""

    examples: list[Example]
    validation: list[Example]
    base: Base


def read(sources: Sources) -> Material:
    """Reads the rows and finds the base.

    Raises:
        InputError: If rows cannot be read.
        ModelError: If there is no base.
    """
    from geochg.datasets.examples import read_examples
    from geochg.training.finetune.base import find_base

    base = find_base(sources.model, sources.revision)
    own = [] if sources.validation is None else read_examples(sources.validation, sources.images)
    return Material(read_examples(sources.data, sources.images), own, base)


def planned(material: Material, options: TuneOptions, processes: int) -> Plan:
    """What a run of these options would do; see `geochg.training.finetune.plan.plan`."""
    from geochg.training.finetune.plan import plan

    return plan(*material, options, processes)


def rehearsal(sources: Sources, options: TuneOptions) -> Rehearsal:
    """What a run would take.

    Raises:
        OptionError: If several processes were started.
    """
    processes = rehearsed_processes(options.processes)
    from geochg.training.finetune.dry_run import rehearsed

    what = planned(read(sources), options, processes)
    # Windows keeps a folder whose weights are still open; the system removes it one day.
    with tempfile.TemporaryDirectory(prefix="geochg-", ignore_cleanup_errors=True) as folder:
        return rehearsed(what, Path(folder))


def tuned(sources: Sources, options: TuneOptions, output: Path, work: Path) -> dict[str, Any]:
    """Tunes, with progress on stderr; the output appears whole or not at all.

    Returns:
        What the card says and the folder; empty in processes that write nothing.

    Raises:
        OptionError: If another number of processes is expected.
    """
    processes = check_processes(options.processes)
    return _tuned(planned(read(sources), options, processes), output, work)


def _tuned(what: Plan, output: Path, work: Path) -> dict[str, Any]:
    from geochg.training.finetune.run import forget, tune
    from geochg.writers.staging import Staging

    if not is_first():
        # All processes train, one writes.
        tune(what, work, output)
        return {}
    with interrupts_raised(), showing_progress() as listener, Staging() as staging:
        with staging.write(output) as folder:
            card = tune(what, work, folder, listener)
        staging.commit()
    forget(work)
    return {"folder": str(output), **card}


# --- sweeps --------------------------------------------------------------------------------------


def sweep_plan(sources: Sources, file: Path, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs of a sweep as rows: what is varied, and how many rows and steps each takes."""
    from geochg.training.finetune.sweep import read_sweep

    runs = read_sweep(file, given)
    plans = _plans(runs, sources, rehearsed_processes)
    return [
        {
            "run": run.name,
            **run.varied,
            "rows": len(plans[run.name].parts.training),
            "validation_rows": len(plans[run.name].parts.validation),
            "steps": plans[run.name].steps,
        }
        for run in runs
    ]


def sweep_rows(
    sources: Sources, file: Path, given: Mapping[str, Any], folder: Path
) -> list[dict[str, Any]]:
    """Does the runs of a sweep that are not done yet, and writes their table.

    A run that fails is left for the next time, and the others are done.

    Raises:
        InputError: If the folder cannot be one.
        OptionError: If there are several processes, or a run was done otherwise.
        RunError: If runs failed.
    """
    from geochg.training.finetune.sweep import check_done, is_done, read_sweep, swept

    if world_size() > 1:
        raise OptionError("a sweep runs in one process", "start it without torchrun")
    runs = read_sweep(file, given)
    check_sweep_folder(folder)
    plans = _plans(runs, sources, check_processes)
    # All before the first is begun, which may take a night.
    for run in runs:
        if is_done(folder / run.name):
            check_done(folder / run.name, plans[run.name].facts())
    folder.mkdir(exist_ok=True)
    _check_tables(folder)
    failed: dict[str, str] = {}
    for number, run in enumerate(runs, start=1):
        if is_done(folder / run.name):
            continue
        echo(f"run {number} of {len(runs)}: {run.name}", err=True)
        try:
            _tuned(plans[run.name], folder / run.name, folder / f"{run.name}.work")
        except CancelledRunError:
            raise
        except GeochgError as error:
            failed[run.name] = error.message
            echo(f"failed: {error}", err=True)
        _write_table(swept(runs, folder, failed), folder)
    rows = swept(runs, folder, failed)
    _write_table(rows, folder)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}",
            f"{folder / 'table.md'} tells why; the same command tries them again",
        )
    return rows


def _plans(
    runs: list[SweepRun], sources: Sources, counted: Callable[[int | None], int]
) -> dict[str, Plan]:
    processes = {run.name: counted(run.options.processes) for run in runs}
    material = read(sources)
    # What an earlier call left unfinished goes on; what is done is kept.
    return {
        run.name: planned(material, replace(run.options, resume=True), processes[run.name])
        for run in runs
    }


def _check_tables(folder: Path) -> None:
    from geochg.writers.checks import Output, check_outputs

    tables = [Output(folder / f"table{suffix}", (suffix,)) for suffix in (".json", ".md")]
    check_outputs(tables, [])


def _write_table(rows: list[dict[str, Any]], folder: Path) -> None:
    from geochg.training.finetune.sweep import table
    from geochg.writers.staging import Staging

    texts = {"table.json": json.dumps(rows, indent=1), "table.md": table(rows)}
    with Staging() as staging:
        for name, text in texts.items():
            with staging.write(folder / name) as path:
                path.write_text(text, encoding="utf-8")
        staging.commit()


# --- words ---------------------------------------------------------------------------------------


def summary(card: Mapping[str, Any]) -> str:
    """The folder, and what came of the run."""
    results = "\n".join(f"  {name}: {value}" for name, value in card["results"].items())
    return f"{card['folder']} ({card['kind']})\n{results}"


def in_words(told: Rehearsal) -> str:
    """A rehearsal for people."""
    from geochg.training.finetune.memory import gigabytes

    needed = told.learning_bytes + told.batch_bytes
    lines = [
        f"rows: {told.rows} to learn from, {told.validation_rows} held out",
        f"steps: {told.steps}, of {told.step_rows} rows each",
        f"parameters: {told.trained_parameters:,} trained, of {told.parameters:,}",
        f"memory: {gigabytes(told.weights_bytes)} of weights; {gigabytes(needed)} more for"
        f" training, of {gigabytes(told.free_bytes)} free",
        f"time: {_duration(told.seconds)} ({told.step_seconds:.3g} s a step, on {told.device})",
        *told.remarks,
    ]
    if not told.fits:
        lines.append("this does not fit: lower --batch-size, or add --quantize 4bit")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
