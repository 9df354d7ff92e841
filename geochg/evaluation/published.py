"""Scores that others published, to set beside one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geochg.evaluation.tables import COLUMNS, ScoreLine
from geochg.records import Task

FILE = Path(__file__).parent / "published.toml"
"""Where they stand, with their sources."""


@dataclass(frozen=True, slots=True)
class PublishedScores:
    """The scores of one system on one set.

    Attributes:
        system: Its name.
        data: The test set.
        task: Which task.
        group: The group or class of `tables.ScoreTable` they are of.
        values: As fractions, by the names of `tables.COLUMNS`.
    """

    system: str
    data: str
    task: Task
    group: str
    values: dict[str, float]

    @property
    def line(self) -> ScoreLine:
        """As a line of a table."""
        return ScoreLine(f"{self.system}, {self.data} (published)", self.values)


def published_scores() -> Sequence[PublishedScores]:
    """All of the file."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["score"]
    return [
        PublishedScores(
            row["system"],
            row["data"],
            Task(row["task"]),
            row.get("group", ""),
            {name: row[name] / COLUMNS[name].scale for name in COLUMNS if name in row},
        )
        for row in rows
    ]
