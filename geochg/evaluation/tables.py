"""Tables of scores, in words, in Markdown and as plain values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from geochg.records import Task
from geochg.safety.untrusted_text import cleaned

Values = Mapping[str, float | None]
"""Scores by name, as fractions; None is a score that divides by nothing."""


class Column(NamedTuple):
    """Display of a score: title, factor, digits behind the point."""

    title: str
    scale: float = 100.0
    digits: int = 2


COLUMNS: Mapping[str, Column] = {
    **{f"bleu_{n}": Column(f"BLEU-{n}") for n in (1, 2, 3, 4)},
    "meteor": Column("METEOR"),
    "rouge_1": Column("ROUGE-1"),
    "rouge_2": Column("ROUGE-2"),
    "rouge_l": Column("ROUGE-L"),
    "rouge_l_coco": Column("ROUGE-L COCO"),
    "cider_d": Column("CIDEr-D"),
    "bert_score": Column("BERTScore"),
    "accuracy": Column("accuracy"),
    "balanced_accuracy": Column("balanced accuracy"),
    "precision": Column("P"),
    "recall": Column("R"),
    "specificity": Column("specificity"),
    "f1": Column("F1"),
    "auroc": Column("AUROC"),
    "average_precision": Column("AP"),
    "mean_average_precision": Column("mAP"),
    "set_accuracy": Column("whole sets right"),
    "mae": Column("MAE", 1.0),
    "rmse": Column("RMSE", 1.0),
    "exact": Column("exact match"),
    "called_changed": Column("called changed", 1.0, 3),
    "agreement": Column("agree", 1.0, 3),
    "cell_auroc": Column("AUROC", 1.0, 3),
    "cell_f1": Column("cell F1", 1.0, 3),
    "pixel_f1": Column("pixel F1", 1.0, 3),
    "false_area": Column("false area", 1.0, 3),
}
"""Every score by name: per cent as in the papers (CIDEr-D times 100), errors and the scores of maps
as they are."""


class Interval(NamedTuple):
    """A confidence interval of a score, as fractions."""

    low: float
    high: float


class ScoreLine(NamedTuple):
    """The scores of the model or of a baseline; those it lacks are not known.

    Attributes:
        name: Name of the model or baseline.
        values: Scores by name.
        intervals: Intervals of the scores that have one.
    """

    name: str
    values: Values
    intervals: Mapping[str, Interval] = MappingProxyType({})


@dataclass(frozen=True)
class ScoreTable:
    """The scores on one group of items.

    Attributes:
        group: Name of the group or class; empty where there is but one group.
        items: Number of items.
        columns: Names of the scores, among `COLUMNS`.
        lines: The model first, then the baselines.
        detail: More on the items, behind their number.
        in_fractions: Whether the table shows fractions, whatever the scales of its columns.
    """

    group: str
    items: int
    columns: Sequence[str]
    lines: Sequence[ScoreLine]
    detail: str = ""
    in_fractions: bool = False

    def cells(self) -> list[list[str]]:
        """The heading and the lines as text."""
        columns = {name: COLUMNS[name] for name in self.columns}
        if self.in_fractions:
            columns = {name: Column(column.title, 1.0, 3) for name, column in columns.items()}
        rows = [
            [line.name, *(_with_interval(line, name, column) for name, column in columns.items())]
            for line in self.lines
        ]
        return [["", *(column.title for column in columns.values())], *rows]


@dataclass(frozen=True, slots=True)
class PublishedScores:
    """Scores that others published of one system on one test set.

    Attributes:
        system: Name of the system.
        data: Name of the test set.
        task: The task.
        group: Group or class of `ScoreTable` that they are of.
        values: Scores as fractions, by the names of `COLUMNS`.
        comparable: Whether they can be compared with scores on another test set; not so where
            nearly all of its pairs changed, or how it was made is not told.
    """

    system: str
    data: str
    task: Task
    group: str
    values: dict[str, float]
    comparable: bool = True

    @property
    def line(self) -> ScoreLine:
        """The scores as a line of a table."""
        remark = "published" if self.comparable else "published, not comparable"
        return ScoreLine(f"{self.system}, {self.data} ({remark})", self.values)


def published_scores() -> list[PublishedScores]:
    """All scores of `published.toml`, which also tells their sources."""
    text = (Path(__file__).parent / "published.toml").read_text(encoding="utf-8")
    return [
        PublishedScores(
            row["system"],
            row["data"],
            Task(row["task"]),
            row.get("group", ""),
            {name: row[name] / COLUMNS[name].scale for name in COLUMNS if name in row},
            row.get("comparable", True),
        )
        for row in tomllib.loads(text)["score"]
    ]


class TextTable(Protocol):
    """Rows of text under a title."""

    @property
    def group(self) -> str:
        """Name of the group or class; empty where there is but one group."""

    @property
    def items(self) -> int:
        """Number of items."""

    @property
    def detail(self) -> str:
        """More on the items, behind their number."""

    def cells(self) -> list[list[str]]:
        """The heading and the lines as text."""


class Section(Protocol):
    """Tables under one name, with notes on them."""

    @property
    def name(self) -> str:
        """Name of what was scored, at the beginning of a line."""

    @property
    def heading(self) -> str:
        """The name as the heading of a section."""

    @property
    def summary(self) -> str:
        """What was scored, on one line."""

    @property
    def tables(self) -> Sequence[TextTable]:
        """One table for each group."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences on how the scores were made."""


@dataclass(frozen=True)
class TaskScores:
    """The scores of one task.

    Attributes:
        name: Name of the task.
        items: Number of questions that were answered, sensibly or not.
        unparsed: Number of those whose answers made no sense.
        failed: Number of questions without any answer, which are in no score.
        tables: One table for each group.
        notes: Sentences on how the scores were made.
    """

    name: str
    items: int
    unparsed: int
    failed: int
    tables: Sequence[ScoreTable]
    notes: Sequence[str] = ()

    @property
    def heading(self) -> str:
        """The task as the heading of a section."""
        return self.name.capitalize()

    @property
    def summary(self) -> str:
        """What was scored, on one line."""
        failed = f", {self.failed} without an answer left out" if self.failed else ""
        return f"{self.items} scored, {self.unparsed} of them unparsed{failed}"

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values, as fractions."""
        return {
            "items": self.items,
            "unparsed": self.unparsed,
            "failed": self.failed,
            "groups": [
                {"group": table.group, "items": table.items, "scores": lines_to_dict(table)}
                for table in self.tables
            ],
            "notes": list(self.notes),
        }


def lines_to_dict(table: ScoreTable) -> list[dict[str, Any]]:
    """The lines of a table as plain JSON values; intervals only where there are some."""
    return [_line_to_dict(line, table.columns) for line in table.lines]


def _line_to_dict(line: ScoreLine, columns: Sequence[str]) -> dict[str, Any]:
    values = {c: line.values[c] for c in columns if c in line.values}
    intervals = {c: list(line.intervals[c]) for c in columns if c in line.intervals}
    return {"name": line.name, **values, **({"intervals": intervals} if intervals else {})}


def in_words(sections: Sequence[Section]) -> list[str]:
    """The tables as lines for a terminal."""
    lines: list[str] = []
    for section in sections:
        lines += ["", f"{one_line(section.name)}: {section.summary}"]
        for table in section.tables:
            lines += [f"  {title}"] if (title := _title(table)) else []
            lines += [f"  {row}" for row in aligned_rows(table.cells())]
        lines += [f"  {note}" for note in section.notes]
    return lines


def in_markdown(sections: Sequence[Section]) -> list[str]:
    """The tables as lines of Markdown."""
    lines: list[str] = []
    for section in sections:
        lines += [f"## {_plain(one_line(section.heading))}", "", f"{section.summary}.", ""]
        for table in section.tables:
            lines += [f"**{_plain(title)}**", ""] if (title := _title(table)) else []
            head, *rows = table.cells()
            ruler = ["---", *["---:"] * (len(head) - 1)]
            lines += [_bars(row) for row in (head, ruler, *rows)]
            lines.append("")
        for note in section.notes:
            lines += [f"{_plain(note)}.", ""]
    return lines


def one_line(text: str, longest: int = 48) -> str:
    """A text of a model or a file as part of a line, of printable characters only."""
    return cleaned(text, longest)


def _title(table: TextTable) -> str:
    return f"{one_line(table.group)} ({table.items}{table.detail})" if table.group else ""


def _score_text(value: float | None, column: Column) -> str:
    return "-" if value is None else f"{value * column.scale:.{column.digits}f}"


def _with_interval(line: ScoreLine, name: str, column: Column) -> str:
    """A score and, where it has one of some width, its interval, to a digit less."""
    score_text = _score_text(line.values.get(name), column)
    interval = line.intervals.get(name)
    if interval is None or interval.high - interval.low < 1e-9:
        return score_text
    ends = (f"{end * column.scale:.{max(column.digits - 1, 0)}f}" for end in interval)
    return f"{score_text} ({'-'.join(ends)})"


def aligned_rows(cells: Sequence[Sequence[str]], least_width: int = 0) -> list[str]:
    """Rows of cells as lines with aligned columns, the first to the left, the others to the right.

    Args:
        cells: Rows of equal length.
        least_width: Least width of a column.
    """
    columns = zip(*cells, strict=True)
    first, *widths = [max(least_width, *map(len, column)) for column in columns]
    return [
        "  ".join(
            [row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], widths, strict=True))]
        ).rstrip()
        for row in cells
    ]


def _bars(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Text whose marks are escaped, so that Markdown shows it as it is."""
    for mark in "\\|`*_<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text
