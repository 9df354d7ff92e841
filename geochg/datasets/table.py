"""Rows of CSV files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from geochg.datasets.example import Example, ExampleTurn, Origin
from geochg.datasets.group_columns import group_columns
from geochg.datasets.picture_paths import PicturePaths
from geochg.datasets.question_tasks import answers_change, task_asked
from geochg.datasets.splits import split_of_name, usual_split
from geochg.errors import InputError
from geochg.files.text_file import read_table
from geochg.records import Presence, Task
from geochg.tasks import SPECS

TABLE_SUFFIX = ".csv"
TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_NO_COLUMNS = frozenset(("before", "after", "changed", "question", "answer", "id", "task"))
"""Columns that name no group of pairs."""
_COLUMNS_HINT = "columns: before, after, question, answer; or before, after, changed"


def table_examples(source: Path, paths: PicturePaths) -> Iterator[Example]:
    """The examples of a table.

    Columns: `before`, `after`, `question`, `answer`, and if wanted `changed`, `task`, `split`,
    `id`. A table of `before`, `after` and `changed` alone asks whether anything changed.

    Raises:
        InputError: If it is no CSV file, or a row lacks what it needs (line and reason).
    """
    table = read_table(source)
    _check_columns(source, set(table.columns))
    for number, row in table.rows():
        yield _example(row, Origin(source, number, row.get("id", ""), "line"), paths)


def _check_columns(source: Path, columns: set[str]) -> None:
    needed = {"before", "after"} | (
        {"changed"} if columns.isdisjoint({"question", "answer"}) else {"question", "answer"}
    )
    if missing := needed - columns:
        raise InputError(f"{source} has no column {min(missing)!r}", _COLUMNS_HINT)


def _example(row: Mapping[str, str], origin: Origin, paths: PicturePaths) -> Example:
    for name in ("before", "after"):
        if not row[name]:
            raise origin.fault(f"nothing in the column {name!r}", _COLUMNS_HINT)
    changed = _changed_flag(row.get("changed", ""), origin)
    turn = _turn(row, changed, origin)
    task = _task(row.get("task", ""), origin) or task_asked([turn.question])
    return Example(
        id=origin.id or str(origin.number),
        turns=(turn,),
        before=paths.path([row["before"]], origin),
        after=paths.path([row["after"]], origin),
        task=task,
        changed=answers_change(task, [turn.answer]) if changed is None else changed,
        split=usual_split(row.get("split", "")) or split_of_name(origin.file.stem),
        location=row.get("location_id", ""),
        origin=origin,
        columns=group_columns({n: value for n, value in row.items() if n not in _NO_COLUMNS}),
    )


def _turn(row: Mapping[str, str], changed: bool | None, origin: Origin) -> ExampleTurn:
    if "question" in row:
        if not row["question"] or not row["answer"]:
            raise origin.fault("no question, or no answer", _COLUMNS_HINT)
        return ExampleTurn(row["question"], row["answer"])
    if changed is None:
        raise origin.fault("nothing in the column 'changed'", f"write {' or '.join(TRUTH)}")
    spec = SPECS[Task.PRESENCE]
    return ExampleTurn(spec.prompts[0], spec.render(Presence(changed)))


def _changed_flag(value: str, origin: Origin) -> bool | None:
    if value and value.lower() not in TRUTH:
        raise origin.fault(f"changed is {value!r}", f"write {' or '.join(TRUTH)}")
    return TRUTH[value.lower()] if value else None


def _task(value: str, origin: Origin) -> Task | None:
    if value and value not in list(Task):
        raise origin.fault(f"there is no task {value!r}", f"tasks: {', '.join(Task)}")
    return Task(value) if value else None
