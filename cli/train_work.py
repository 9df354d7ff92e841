"""The runs, dry runs and sweeps of `geochg train run`, once its options are known."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.errors import CancelledRunError, GeochgError, OptionError, RunError
from geochg.training.finetune.options import TuneOptions
from geochg.training.processes import check_processes, dry_run_processes, is_first, world_size

from .interrupts import interrupts_raised
from .new_folder import check_sweep_folder
from .progress import showing_progress
from .terminal import echo

if TYPE_CHECKING:
    from geochg.datasets.example import Example
    from geochg.training.finetune.base import BaseModel
    from geochg.training.finetune.plan import DryRunReport, TrainingPlan
    from geochg.training.finetune.sweep import SweepRun


class Sources(NamedTuple):
    """The data and base model of a run as the command line names them; None where it does not."""

    data: Path
    images: Path | None
    validation: Path | None
    model: str
    revision: str


class Material(NamedTuple):
    """The same, read: rows to learn from, the user's own rows to validate on, and the base."""

    examples: list[Example]
    validation: list[Example]
    base: BaseModel


def read_material(sources: Sources) -> Material:
    """Reads the rows and finds the base model.

    Raises:
        InputError: If rows cannot be read.
        ModelError: If there is no such base model.
    """
    from geochg.datasets.examples import read_examples
    from geochg.training.finetune.base import find_base

    base = find_base(sources.model, sources.revision)
    own_examples = (
        [] if sources.validation is None else read_examples(sources.validation, sources.images)
    )
    return Material(read_examples(sources.data, sources.images), own_examples, base)


def run_dry(sources: Sources, options: TuneOptions) -> DryRunReport:
    """What a run would take.

    Raises:
        OptionError: If several processes were started.
    """
    processes = dry_run_processes(options.processes)
    from geochg.training.finetune.plan import dry_run, plan_run

    plan = plan_run(*read_material(sources), options, processes)
    # Windows keeps a folder whose weights are still open; the system removes it one day.
    with tempfile.TemporaryDirectory(prefix="geochg-", ignore_cleanup_errors=True) as folder:
        return dry_run(plan, Path(folder))


def tune_model(
    sources: Sources, options: TuneOptions, output: Path, work_dir: Path
) -> dict[str, Any]:
    """Tunes, with progress on stderr; the output appears whole or not at all.

    Returns:
        The card and the folder; empty in processes that write nothing.

    Raises:
        OptionError: If another number of processes is expected.
    """
    processes = check_processes(options.processes)
    from geochg.training.finetune.plan import plan_run

    return _tune_by_plan(plan_run(*read_material(sources), options, processes), output, work_dir)


def _tune_by_plan(plan: TrainingPlan, output: Path, work_dir: Path) -> dict[str, Any]:
    from geochg.training.finetune.run import tune
    from geochg.training.finetune.run_state import remove_work_files
    from geochg.writers.staging import Staging

    if not is_first():
        # All processes train, one writes.
        tune(plan, work_dir, output)
        return {}
    with interrupts_raised(), showing_progress() as listener, Staging() as staging:
        with staging.write(output) as folder:
            card = tune(plan, work_dir, folder, listener)
        staging.commit()
    remove_work_files(work_dir)
    return {"folder": str(output), **card}


# --- sweeps --------------------------------------------------------------------------------------


def plan_sweep(
    sources: Sources, file: Path, given_options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The runs of a sweep as rows: the varied options, and the number of rows and steps."""
    from geochg.training.finetune.sweep import read_sweep

    runs = read_sweep(file, given_options)
    plans = _sweep_plans(runs, sources, dry_run_processes)
    return [
        {
            "run": run.name,
            **run.varied,
            "rows": len(plans[run.name].splits.training),
            "validation_rows": len(plans[run.name].splits.validation),
            "steps": plans[run.name].steps,
        }
        for run in runs
    ]


def run_sweep(
    sources: Sources, file: Path, given_options: Mapping[str, Any], folder: Path
) -> list[dict[str, Any]]:
    """Does the runs of a sweep that are not done yet, writes their table, and gives its rows.

    A run that fails is left for the next time, and the others are done.

    Raises:
        InputError: If the folder cannot be one.
        OptionError: If there are several processes, or a run was done with something else.
        RunError: If runs failed.
    """
    from geochg.training.finetune.sweep import check_done, is_done, read_sweep, sweep_results

    if world_size() > 1:
        raise OptionError("a sweep runs in one process", "start it without torchrun")
    runs = read_sweep(file, given_options)
    check_sweep_folder(folder)
    plans = _sweep_plans(runs, sources, check_processes)
    # All before the first is begun, which may take a night.
    for run in runs:
        if is_done(folder / run.name):
            check_done(folder / run.name, plans[run.name].run_state())
    folder.mkdir(exist_ok=True)
    _check_table_files(folder)
    failed: dict[str, str] = {}
    for number, run in enumerate(runs, start=1):
        if is_done(folder / run.name):
            continue
        echo(f"run {number} of {len(runs)}: {run.name}", err=True)
        try:
            _tune_by_plan(plans[run.name], folder / run.name, folder / f"{run.name}.work")
        except CancelledRunError:
            raise
        except GeochgError as error:
            failed[run.name] = error.message
            echo(f"failed: {error}", err=True)
        _write_table(sweep_results(runs, folder, failed), folder)
    rows = sweep_results(runs, folder, failed)
    _write_table(rows, folder)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}",
            f"{folder / 'table.md'} says why; the same command tries them again",
        )
    return rows


def _sweep_plans(
    runs: list[SweepRun], sources: Sources, count_processes: Callable[[int | None], int]
) -> dict[str, TrainingPlan]:
    from geochg.training.finetune.plan import plan_run

    processes = {run.name: count_processes(run.options.processes) for run in runs}
    material = read_material(sources)
    # What an earlier call left unfinished goes on; what is done is kept.
    return {
        run.name: plan_run(*material, replace(run.options, resume=True), processes[run.name])
        for run in runs
    }


def _check_table_files(folder: Path) -> None:
    from geochg.writers.checks import Output, check_outputs

    check_outputs([Output(folder / f"table{suffix}", (suffix,)) for suffix in (".json", ".md")], [])


def _write_table(rows: list[dict[str, Any]], folder: Path) -> None:
    from geochg.training.finetune.sweep import markdown_table
    from geochg.writers.staging import Staging

    texts = {"table.json": json.dumps(rows, indent=1), "table.md": markdown_table(rows)}
    with Staging() as staging:
        for name, text in texts.items():
            with staging.write(folder / name) as path:
                path.write_text(text, encoding="utf-8")
        staging.commit()


# --- text ----------------------------------------------------------------------------------------


def card_text(card: Mapping[str, Any]) -> str:
    """The folder and the results of a run."""
    results = "\n".join(f"  {name}: {value}" for name, value in card["results"].items())
    return f"{card['folder']} ({card['kind']})\n{results}"


def dry_run_text(report: DryRunReport) -> str:
    """A dry run for people."""
    from geochg.training.finetune.base import gigabytes

    needed = report.learning_bytes + report.batch_bytes
    lines = [
        f"rows: {report.rows} to learn from, {report.validation_rows} held out",
        f"steps: {report.steps}, of {report.step_rows} rows each",
        f"parameters: {report.trained_parameters:,} trained, of {report.parameters:,}",
        f"memory: {gigabytes(report.weights_bytes)} of weights; {gigabytes(needed)} more for"
        f" training, of {gigabytes(report.free_bytes)} free",
        f"time: {_duration(report.seconds)} ({report.step_seconds:.3g} s a step, on"
        f" {report.device})",
        *report.remarks,
    ]
    if not report.fits:
        lines.append("this does not fit: lower --batch-size, or add --quantize 4bit")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
