"""What else the answers to rows tell: exchange, agreement, a histogram, groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.evaluation.agreement import VIEWS, AgreementScores, StatedPair, agreement_scores
from geochg.evaluation.answers import AnswerRow, AnswerSet
from geochg.evaluation.column_groups import ColumnScores, group_indexes
from geochg.evaluation.exchange_scores import CalledItem, ExchangeScores, exchange_scores
from geochg.evaluation.histogram import HistogramSection, ScoreHistogram
from geochg.evaluation.intervals import ROUNDS, bootstrap_intervals
from geochg.evaluation.optional_metrics import OptionalMetrics
from geochg.evaluation.options import FitMetric
from geochg.evaluation.reports import TEXTS, task_tables, text_scores_by_method
from geochg.evaluation.scores import difference_threshold
from geochg.evaluation.tables import ScoreLine, ScoreTable, Section
from geochg.evaluation.values import FailedAnswer
from geochg.records import Presence, Task

_NOTES = {
    True: f"in brackets: 95 % of {ROUNDS:,} bootstrap samples of the pairs, of the metrics that "
    "are means over texts; how rare a word is comes from all groups",
    False: f"in brackets: 95 % of {ROUNDS:,} bootstrap samples of the pairs; a score that is the "
    "same in all of them has none",
}
"""Notes on groups of texts, and of other answers."""


@dataclass(frozen=True)
class RowProbes:
    """What answers tell beside the scores of each task.

    Attributes:
        exchange: The exchange of after images; None where none was asked for.
        agreement: The agreement of answers; None where no pair was asked two things.
        histogram: Probabilities of presence by label; None where there are none.
        by_column: Scores of each task by the groups of columns, by their names.
    """

    exchange: ExchangeScores | None
    agreement: AgreementScores | None
    histogram: ScoreHistogram | None
    by_column: Mapping[str, Sequence[ColumnScores]]

    @property
    def sections(self) -> list[Section]:
        """All of it as sections of a report."""
        sections: list[Section] = [part for of_name in self.by_column.values() for part in of_name]
        sections += [part for part in (self.exchange, self.agreement) if part is not None]
        return [*sections, *([HistogramSection([self.histogram])] if self.histogram else ())]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values; what was not asked for is left out."""
        values: dict[str, Any] = {}
        if self.by_column:
            values["by"] = {
                name: {part.task: part.to_dict() for part in of_name}
                for name, of_name in self.by_column.items()
            }
        for part in (self.exchange, self.agreement):
            if part is not None:
                values[part.name] = part.to_dict()
        if self.histogram is not None:
            values["histogram"] = self.histogram.to_dict()
        return values


def row_probes(
    answers: AnswerSet, optional: OptionalMetrics, column_names: Sequence[str] = ()
) -> RowProbes:
    """The probes that answers hold, and scores by groups.

    Args:
        answers: Answers with their truths.
        optional: Optional metrics of this machine.
        column_names: Names of columns to group by.

    Raises:
        OptionError: If no row has a column, or it has too many values.
        RunError: If METEOR fails.
    """
    rows = sorted(answers.rows, key=lambda row: row.item)
    return RowProbes(
        _exchange(answers),
        agreement_scores(_stated_pairs(rows)),
        _histogram(rows),
        {name: _by_column(rows, name, optional) for name in column_names},
    )


def _stated_pairs(rows: Sequence[AnswerRow]) -> list[StatedPair]:
    """What the model states about each pair that it was asked two things about."""
    pairs = []
    for name, of_pair in groupby(rows, key=lambda row: row.pair):
        of_tasks: dict[Task, AnswerRow] = {}
        for row in of_pair:
            if row.task in VIEWS:
                of_tasks.setdefault(row.task, row)
        if len(of_tasks) > 1:
            labels = [row.changed for row in of_tasks.values() if row.changed is not None]
            views = {task: row.view for task, row in of_tasks.items()}
            pairs.append(StatedPair(name, labels[0] if labels else None, [views]))
    return pairs


def _presences(rows: Sequence[AnswerRow]) -> list[tuple[AnswerRow, Presence]]:
    return [(row, row.answer) for row in rows if isinstance(row.answer, Presence)]


def _histogram(rows: Sequence[AnswerRow]) -> ScoreHistogram | None:
    pairs = _presences(rows)
    likely = [answer.probability for _, answer in pairs if answer.probability is not None]
    if not likely or len(likely) < len(pairs):
        return None
    labels = [_label(row) for row, _ in pairs]
    return ScoreHistogram.of(np.array(likely, float), labels, "probability of change")


def _label(row: AnswerRow) -> bool | None:
    return row.truth.changed if isinstance(row.truth, Presence) else row.changed


def _exchange(answers: AnswerSet) -> ExchangeScores | None:
    judged_rows = [row for row in answers.exchanged if row.answer is not None]
    if not judged_rows:
        return None
    pairs = _presences(answers.rows)
    as_they_are = [
        CalledItem(row.pair, _label(row), answer.changed, row.difference) for row, answer in pairs
    ]
    labelled = [item for item in as_they_are if item.changed is not None]
    threshold = difference_threshold(
        np.array([item.changed for item in labelled], bool),
        np.array([item.difference for item in labelled], float),
        FitMetric.BALANCED_ACCURACY,
    )
    facts = answers.head.exchange
    return exchange_scores(
        [
            CalledItem(row.group, row.changed, bool(row.answer), row.difference)
            for row in judged_rows
        ],
        as_they_are,
        threshold,
        unanswered=len(answers.exchanged) - len(judged_rows),
        lone_pairs=facts.get("left_out", 0),
        seed=facts.get("seed"),
    )


# --- groups --------------------------------------------------------------------------------------


def _by_column(
    rows: Sequence[AnswerRow], name: str, optional: OptionalMetrics
) -> list[ColumnScores]:
    # A column that no row has is refused before anything is scored.
    group_indexes([row.columns for row in rows], name)
    scores = []
    for task in Task:
        of_task = [
            row for row in rows if row.task is task and not isinstance(row.answer, FailedAnswer)
        ]
        if of_task and any(name in row.columns for row in of_task):
            scores.append(_task_by_column(task, of_task, name, optional))
    return scores


def _task_by_column(
    task: Task, rows: Sequence[AnswerRow], name: str, optional: OptionalMetrics
) -> ColumnScores:
    groups = group_indexes([row.columns for row in rows], name)
    tables_of = _text_tables(task, rows, optional) if task in TEXTS else _answer_tables(task, rows)
    tables, values = list[ScoreTable](), list[str]()
    for value, indexes in groups.items():
        of_value = tables_of(np.array(indexes, np.intp))
        tables += [replace(t, group=f"{value}: {t.group}" if t.group else value) for t in of_value]
        values += [value] * len(of_value)
    independent = {value: len({rows[i].pair for i in part}) for value, part in groups.items()}
    return ColumnScores(str(task), name, tables, values, independent, [_NOTES[task in TEXTS]])


def _answer_tables(
    task: Task, rows: Sequence[AnswerRow]
) -> Callable[[NDArray[np.intp]], list[ScoreTable]]:
    """A function that scores the rows at some indexes, with intervals."""

    def tables(indexes: NDArray[np.intp]) -> list[ScoreTable]:
        part = [rows[index] for index in indexes]
        spread = bootstrap_intervals(
            lambda numbers: _flat(task_tables(task, [part[number] for number in numbers])),
            [row.pair for row in part],
        )
        return [
            replace(
                table,
                lines=[
                    ScoreLine(
                        line.name,
                        line.values,
                        {
                            score: spread[key]
                            for score in table.columns
                            if (key := _key(table.group, line.name, score)) in spread
                        },
                    )
                    for line in table.lines
                ],
            )
            for table in task_tables(task, part)
        ]

    return tables


def _flat(tables: Sequence[ScoreTable]) -> dict[str, float | None]:
    return {
        _key(table.group, line.name, score): line.values.get(score)
        for table in tables
        for line in table.lines
        for score in table.columns
    }


def _key(*names: str) -> str:
    return "\n".join(names)


def _text_tables(
    task: Task, rows: Sequence[AnswerRow], optional: OptionalMetrics
) -> Callable[[NDArray[np.intp]], list[ScoreTable]]:
    """A function that scores the texts of the rows at some indexes.

    Corpus metrics (BLEU, METEOR) have no intervals.
    """
    by_method = text_scores_by_method(task, rows, optional)

    def tables(indexes: NDArray[np.intp]) -> list[ScoreTable]:
        pairs = [rows[index].pair for index in indexes]
        lines = []
        for name, scores in by_method.items():
            of_items = {n: np.array(items)[indexes] for n, items in scores.of_items().items()}
            spread = bootstrap_intervals(
                lambda numbers, of_items=of_items: {  # type: ignore[misc]
                    n: float(items[numbers].mean()) for n, items in of_items.items()
                },
                pairs,
            )
            lines.append(ScoreLine(name, scores.of(indexes.tolist()), spread))
        return [ScoreTable("", len(indexes), list(lines[0].values), lines)]

    return tables
