"""A sweep: the runs of a grid from one file, and the table of their results."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from geochg.errors import InputError, OptionError
from geochg.files.same_run import refuse_another_run
from geochg.files.text_file import parsed_json, read_text, read_toml
from geochg.models.model_files import UNFINISHED
from geochg.training.finetune import CARD
from geochg.training.finetune.options import TuneOptions, preset

TABLES = ("options", "grid", "runs")
"""What a sweep file may hold, beside `preset`."""

MOST_RUNS = 1000


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
        name: Name of its folder, made of the options that set it apart from the others.
        varied: These options.
        options: All options.
    """

    name: str
    varied: Mapping[str, Any]
    options: TuneOptions


def read_sweep(file: Path, fixed: Mapping[str, Any]) -> list[SweepRun]:
    """The runs of a sweep file.

    ```toml
    preset = "geollava"        # optional
    [options]                  # the same in all runs
    epochs = 1
    [grid]                     # every combination of these
    rank = [16, 64]
    quantize = ["", "4bit"]
    [[runs]]                   # further runs, or with `grid` each of these in every combination
    alpha = 128
    ```

    Args:
        file: The file.
        fixed: Options that the user gave over those of the file, the same in all runs.

    Raises:
        InputError: If it cannot be read.
        OptionError: If it holds something unknown, or two runs are the same.
    """
    content = _read_tables(file)
    common = preset(str(content["preset"])) if "preset" in content else {}
    common |= content.get("options", {})
    grid, extra = content.get("grid", {}), content.get("runs", [{}])
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise OptionError(
                f"{file}: {name} in [grid] is no list", f"write {name} = [{json.dumps(values)}]"
            )
    combinations = [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ]
    if len(combinations) * len(extra) > MOST_RUNS:
        raise OptionError(
            f"{file} asks for {len(combinations) * len(extra):,} runs",
            f"a sweep has at most {MOST_RUNS}: shorten its lists",
        )
    runs = [
        _sweep_run({**extras, **cell}, common, fixed) for extras in extra for cell in combinations
    ]
    names = [run.name for run in runs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise OptionError(f"{file} asks for the run {twice[0]} twice", "leave one out")
    return runs


def is_done(folder: Path) -> bool:
    """Whether a run of a sweep came to its end."""
    return (folder / CARD).is_file() and not (folder / UNFINISHED).exists()


def check_done(folder: Path, state: Mapping[str, Any]) -> None:
    """Refuses a run that was done with something else than it would be now.

    Args:
        folder: The run's folder, see `is_done`.
        state: See `TrainingPlan.run_state`.

    Raises:
        InputError: If its card cannot be read.
        OptionError: If its base, its rows or its options were others.
    """
    from geochg.training.finetune.run_state import comparable_state

    begun_state = comparable_state(_read_card(folder), state)
    refuse_another_run(begun_state, comparable_state(state, state), folder)


def sweep_results(
    runs: Sequence[SweepRun], folder: Path, failed: Mapping[str, str] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """The runs of a sweep as rows: the options that were varied, and the results.

    Args:
        runs: Runs of the sweep.
        folder: Folder that holds the runs' folders.
        failed: Messages of failed runs by their names.
    """
    rows = []
    for run in runs:
        row: dict[str, Any] = {"run": run.name, **run.varied}
        if is_done(folder / run.name):
            row |= _read_card(folder / run.name)["results"]
        elif run.name in failed:
            row["failed"] = failed[run.name]
        rows.append(row)
    return rows


def _read_card(folder: Path) -> dict[str, Any]:
    file = folder / CARD
    try:
        card = parsed_json(read_text(file))
    except ValueError as error:
        raise InputError(f"{file} cannot be read: {error}", f"remove {folder}") from error
    if not isinstance(card, dict) or not isinstance(card.get("results"), dict):
        raise InputError(f"{file} is no card of a run", f"remove {folder}")
    return card


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table; what a run lacks stays blank."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[_table_cell(row.get(name, "")) for name in names] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _read_tables(file: Path) -> dict[str, Any]:
    content = read_toml(file, "sweep", "see docs/training.md")
    if unknown := sorted(set(content) - {"preset", *TABLES}):
        raise OptionError(
            f"{file} holds {unknown[0]!r}", f"it may hold preset, {', '.join(TABLES)}"
        )
    wrong = [name for name in ("options", "grid") if not isinstance(content.get(name, {}), dict)]
    runs = content.get("runs", [])
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        wrong.append("runs")
    if wrong:
        raise OptionError(f"{file}: {wrong[0]} is no table", "see docs/training.md")
    return content


def _sweep_run(
    varied: Mapping[str, Any], common: Mapping[str, Any], fixed: Mapping[str, Any]
) -> SweepRun:
    kept_options = {name: value for name, value in varied.items() if name not in fixed}
    options = TuneOptions.from_user({**common, **kept_options, **fixed})
    name = "-".join(f"{name}_{_slug(value)}" for name, value in kept_options.items()) or "run"
    return SweepRun(name, kept_options, options)


def _slug(value: object) -> str:
    """A value as part of a folder's name, on any file system."""
    text = "+".join(map(str, value)) if isinstance(value, list) else str(value)
    safe = "".join(letter if letter.isalnum() or letter in "+." else "_" for letter in text)
    return safe.strip(".") or "none"


def _table_cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(value).replace("|", "\\|").split())
