"""Groups of pairs by a column, such as a sensor or a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from geochg.datasets.group_columns import read_columns
from geochg.errors import InputError, OptionError
from geochg.evaluation.tables import ScoreTable, lines_to_dict

if TYPE_CHECKING:
    from geochg.evaluation.answers import AnswerRow
    from geochg.evaluation.predictions import Prediction

RowT = TypeVar("RowT", "AnswerRow", "Prediction")

SMALL = 20
"""A group of fewer independent pairs is called small."""

MOST_GROUPS = 100
"""A column of more values divides into names, not into groups."""

EMPTY = "(empty)"
"""The group of pairs in whose row the column is empty."""


def group_indexes(columns: Sequence[Mapping[str, str]], name: str) -> dict[str, list[int]]:
    """Indexes of items by the value of a column, values in order.

    Args:
        columns: `(items,)`, the columns of each item.
        name: Name of the column.

    Raises:
        OptionError: If no item has the column, or it has too many values.
    """
    if not any(name in of_item for of_item in columns):
        names = sorted({key for of_item in columns for key in of_item})
        raise OptionError(
            f"there is no column {name!r} to score by",
            f"columns: {', '.join(names)}"
            if names
            else "the pairs have no columns: give them with --by-file",
        )
    groups: dict[str, list[int]] = {}
    for index, of_item in enumerate(columns):
        groups.setdefault(of_item.get(name, "") or EMPTY, []).append(index)
    if len(groups) > MOST_GROUPS:
        raise OptionError(
            f"the column {name!r} has {len(groups)} values, and up to {MOST_GROUPS} make groups",
            "choose a column of fewer values",
        )
    return dict(sorted(groups.items()))


def columns_of_pairs(path: Path, pairs: Iterable[str]) -> dict[str, Mapping[str, str]]:
    """The columns that a file gives for pairs, by the name of the pair.

    Raises:
        InputError: If the file cannot be read, or lacks a pair.
    """
    columns = read_columns(path)
    names = list(dict.fromkeys(pairs))
    if missing := [name for name in names if name not in columns]:
        others = f" (and {len(missing) - 1} others)" if len(missing) > 1 else ""
        raise InputError(
            f"{path} has no row for the pair {missing[0]!r}{others}",
            "give each pair a row; the cells may be empty",
        )
    return {name: columns[name] for name in names}


def with_columns(rows: Sequence[RowT], file: Path | None) -> list[RowT]:
    """Rows with the further columns that a file gives for their pairs; None for no file.

    Raises:
        InputError: As `columns_of_pairs`.
    """
    if file is None:
        return list(rows)
    columns = columns_of_pairs(file, (row.pair for row in rows))
    return [replace(row, columns={**row.columns, **columns[row.pair]}) for row in rows]


def check_columns(
    items: Iterable[tuple[str, Mapping[str, str]]], names: Iterable[str], file: Path | None
) -> None:
    """Refuses groups that could not be made, before a model is asked for an hour.

    Args:
        items: Name of the pair and columns of each item.
        names: Names of columns to group by.
        file: A file of further columns; None for none.

    Raises:
        InputError: If the file cannot be read, or lacks a pair.
        OptionError: As `group_indexes`.
    """
    named_items = list(items)
    from_file = {} if file is None else columns_of_pairs(file, (pair for pair, _ in named_items))
    columns = [{**of_item, **from_file.get(pair, {})} for pair, of_item in named_items]
    for name in names:
        group_indexes(columns, name)


@dataclass(frozen=True)
class ColumnScores:
    """Scores by the groups of a column.

    Attributes:
        task: Name of what is scored.
        column: Name of the column.
        tables: One table for each group, and for each class of it where there are some.
        values: Values of the group of each table.
        independent: Number of independent pairs of each group.
        more_notes: Sentences on how the scores were made.
    """

    task: str
    column: str
    tables: Sequence[ScoreTable]
    values: Sequence[str]
    independent: Mapping[str, int]
    more_notes: Sequence[str] = ()

    @property
    def name(self) -> str:
        """What was scored, and by which column."""
        return f"{self.task} by {self.column}"

    @property
    def heading(self) -> str:
        """The name as the heading of a section."""
        return self.name.capitalize()

    @property
    def summary(self) -> str:
        """The number of groups, on one line."""
        return f"{len(self.independent)} groups" if len(self.independent) > 1 else "one group"

    @property
    def notes(self) -> list[str]:
        """Sentences on the groups; small ones are named."""
        small = [f"{name} ({n})" for name, n in self.independent.items() if n < SMALL]
        notes = list(self.more_notes)
        if small:
            notes.append(
                f"small groups, of fewer than {SMALL} independent pairs: {', '.join(small)}; "
                "that one of them scores better may be chance"
            )
        return notes

    def to_dict(self) -> list[dict[str, Any]]:
        """The scores as plain JSON values."""
        return [
            {
                "group": value,
                **({"table": table.group} if table.group != value else {}),
                "items": table.items,
                "independent": self.independent[value],
                "is_small": self.independent[value] < SMALL,
                "scores": lines_to_dict(table),
            }
            for value, table in zip(self.values, self.tables, strict=True)
        ]
