"""Columns by which pairs fall into groups, such as a sensor or a place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from geochg.errors import InputError
from geochg.files.text_file import read_table

PAIR = "pair"
"""Column of a file of columns that names the pair."""

LONGEST_NAME = 80
"""Letters of the name of a group; longer values, such as sentences, name none."""

_HINT = f"a file of columns is CSV with the column {PAIR!r} and others, such as `pair,sensor`"


def group_columns(values: Mapping[str, object]) -> dict[str, str]:
    """The values of a row that may name a group: short texts, numbers, true and false."""
    return {
        name: _text(value)
        for name, value in values.items()
        if isinstance(value, str | int | float) and len(_text(value)) <= LONGEST_NAME
    }


def read_columns(path: Path) -> dict[str, dict[str, str]]:
    """The columns of each pair in a file of columns.

    Returns:
        Columns by name, by the name of the pair.

    Raises:
        InputError: If the file cannot be read, has no column `pair` and no other one, names no
            pair in a row, or one twice.
    """
    table = read_table(path)
    if PAIR not in table.columns or len(table.columns) < 2:
        raise InputError(f"{path} has no column {PAIR!r} beside others", _HINT)
    columns: dict[str, dict[str, str]] = {}
    for line, row in table.rows():
        name = row[PAIR]
        if not name or name in columns:
            fault = f"the pair {name!r} stands there twice" if name else "no pair is named"
            raise InputError(f"{path}, line {line}: {fault}", _HINT)
        columns[name] = group_columns({key: row[key] for key in table.columns if key != PAIR})
    return columns


def _text(value: object) -> str:
    """A value in words; true and false as JSON writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()
