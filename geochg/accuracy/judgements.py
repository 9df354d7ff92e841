"""The judgements of a sample: what people wrote into its columns, or into a table beside it."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.accuracy.strata import UNCHANGED, change_label
from geochg.errors import InputError
from geochg.files.text_file import read_table
from geochg.geometry.vector_file import field_text
from geochg.records import Change
from geochg.safety.untrusted_text import cleaned, without_secrets

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

COLUMNS = ("id", "reference_class", "reference_change")
_CHANGES = (*(str(change) for change in Change), UNCHANGED)
_MOST_NAMED = 5
_CLASS_OF_UNCHANGED = (
    "units with a class and the change unchanged: {}, taken as unchanged; where something changed,"
    " reference_change is to say how"
)


class Judgements(NamedTuple):
    """What people found.

    Attributes:
        classes: The class of each unit, such as `building appeared`; None where none was given.
        remarks: What its user should know of them, in sentences.
    """

    classes: list[str | None]
    remarks: list[str]


def read_judgements(
    units: GeoDataFrame, verdicts: Path | None, map_classes: Iterable[str], label: str
) -> Judgements:
    """The class that a person found at each unit.

    Classes that differ from one of the map in case, blanks or the form of their letters only are
    that class.

    Args:
        units: The sample, with `COLUMNS`.
        verdicts: A table whose judgements stand in place of those of the sample.
        map_classes: Names of the classes of the map, such as `building appeared`.
        label: Name of the sample, for messages.

    Raises:
        InputError: If an id is none or stands twice, or a judgement cannot be read.
    """
    numbers = _unit_numbers(units["id"].tolist(), label)
    columns = (units[column].tolist() for column in COLUMNS[1:])
    texts = zip(*([field_text(value) for value in column] for column in columns), strict=True)
    rows = dict(zip(numbers, texts, strict=True))
    if verdicts is not None:
        rows |= {
            number: row for number, row in _table_rows(verdicts, set(rows)).items() if any(row)
        }
    wrong: list[str] = []
    spellings = {_spelling_key(name): name for name in map_classes}
    classes: list[str | None] = []
    for number in numbers:
        name = _class_of(number, rows[number], wrong)
        classes.append(None if name is None else spellings.setdefault(_spelling_key(name), name))
    if wrong:
        raise InputError(
            f"{len(wrong)} judgements cannot be read: {'; '.join(wrong[:_MOST_NAMED])}",
            f"reference_change is one of {', '.join(_CHANGES)}, and reference_class the class of "
            "what changed",
        )
    unneeded_classes = sum(_has_unneeded_class(*row) for row in rows.values())
    return Judgements(
        classes, [_CLASS_OF_UNCHANGED.format(unneeded_classes)] if unneeded_classes else []
    )


def _has_unneeded_class(name: str, change: str) -> bool:
    return change.lower() == UNCHANGED and name.lower() not in ("", UNCHANGED)


def _unit_numbers(values: Sequence[Any], label: str) -> list[int]:
    """The ids of units, as the formats and editors give them: numbers, or texts of numbers."""
    numbers: dict[int, None] = {}
    for value in values:
        text = field_text(value)
        number = _whole_number(text)
        if number is None or number in numbers:
            reason = "no number" if number is None else "two units' id"
            raise InputError(
                f"{without_secrets(label)} has the id {cleaned(text or 'none', 40)!r}, "
                f"which is {reason}",
                "give each unit the id that it was drawn with; only the other columns are to be"
                " filled",
            )
        numbers[number] = None
    return list(numbers)


def _whole_number(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def _spelling_key(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def _class_of(number: int, row: tuple[str, str], wrong: list[str]) -> str | None:
    name, change = row
    if not name and not change:
        return None
    if change.lower() == UNCHANGED or (not change and name.lower() == UNCHANGED):
        return UNCHANGED
    if change.lower() not in _CHANGES:
        wrong.append(f"unit {number} has the change {cleaned(change or 'none', 40)!r}")
        return None
    if not name or name.lower() == UNCHANGED:
        wrong.append(f"unit {number} has no class")
        return None
    return change_label(name, change.lower())


def _table_rows(path: Path, ids: set[int]) -> dict[int, tuple[str, str]]:
    rows: dict[int, tuple[str, str]] = {}
    table = read_table(path)
    for column in COLUMNS:
        if column not in table.columns:
            raise InputError(f"{path} has no column {column!r}", f"it needs {', '.join(COLUMNS)}")
    for line, row in table.rows():
        if not any(row.values()):  # spreadsheets write empty rows behind the last
            continue
        number = _whole_number(row["id"])
        if number is None or number not in ids:
            raise InputError(
                f"line {line} of {path} has the id {cleaned(row['id'], 40)!r}, which the sample "
                "lacks",
                "give the judgements of this sample",
            )
        if number in rows:
            raise InputError(f"line {line} of {path} judges unit {number} again", "judge it once")
        rows[number] = (row["reference_class"], row["reference_change"])
    return rows
