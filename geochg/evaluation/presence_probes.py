"""What else predictions about labelled pairs tell: exchange, agreement, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.errors import OptionError
from geochg.evaluation.agreement import AgreementScores, StatedPair, agreement_scores
from geochg.evaluation.column_groups import ColumnScores, group_indexes
from geochg.evaluation.exchange_scores import CalledItem, ExchangeScores, exchange_scores
from geochg.evaluation.intervals import (
    ROUNDS,
    bootstrap_intervals,
    mean_interval,
    share_interval,
)
from geochg.evaluation.predictions import Predictions
from geochg.evaluation.presence import PresenceReport, ScoredItems, method_scores
from geochg.evaluation.scores import DIFFERENCING, MODEL, ZERO_SHOT
from geochg.evaluation.tables import Interval, ScoreLine, ScoreTable, Section

GROUP_SCORES = ("recall", "specificity", "f1", "balanced_accuracy", "auroc")
"""The scores of a group, in the order of its table."""

INTERVAL_NOTE = (
    f"in brackets: 95 % intervals, of recall and specificity after Wilson, of F1 and AUROC by "
    f"{ROUNDS:,} bootstrap samples of the pairs"
)


@dataclass(frozen=True)
class PresenceProbes:
    """What predictions tell beside the scores of presence.

    Attributes:
        exchange: The exchange of after images; None where none was asked for.
        agreement: The agreement of answers; None where one question was asked.
        by_column: Scores by the groups of columns, by their names.
    """

    exchange: ExchangeScores | None
    agreement: AgreementScores | None
    by_column: Mapping[str, ColumnScores]

    @property
    def sections(self) -> list[Section]:
        """All of it as sections of a report."""
        sections: list[Section] = [*self.by_column.values()]
        return [*sections, *(part for part in (self.exchange, self.agreement) if part is not None)]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values; what was not asked for is left out."""
        values: dict[str, Any] = {}
        if self.by_column:
            values["by"] = {name: of_name.to_dict() for name, of_name in self.by_column.items()}
        for part in (self.exchange, self.agreement):
            if part is not None:
                values[part.name] = part.to_dict()
        return values


def presence_probes(
    predictions: Predictions, report: PresenceReport, column_names: Sequence[str] = ()
) -> PresenceProbes:
    """The probes that predictions hold answers for, and scores by groups.

    Args:
        predictions: Answers with their truths.
        report: Their report, with a fitted threshold or without.
        column_names: Names of columns to group by.

    Raises:
        OptionError: If no pair has a label or a column, or a column has too many values.
    """
    return PresenceProbes(
        _exchange(predictions, report),
        agreement_scores(
            StatedPair(row.group, row.changed, row.views) for row in predictions.rows if row.views
        ),
        {name: _by_column(report, name) for name in column_names},
    )


def _exchange(predictions: Predictions, report: PresenceReport) -> ExchangeScores | None:
    if not report.exchanged.rows:
        return None
    probing = predictions.options.get("exchange")
    facts = probing if isinstance(probing, dict) else {}
    seed, lone_pairs = facts.get("seed"), facts.get("left_out", 0)
    return exchange_scores(
        _called_items(report.exchanged),
        _called_items(report.items),
        report.difference,
        unanswered=sum(row.answer is None for row in predictions.exchanged),
        lone_pairs=lone_pairs if isinstance(lone_pairs, int) else 0,
        seed=seed if isinstance(seed, int) else None,
    )


def _called_items(items: ScoredItems) -> list[CalledItem]:
    return [
        CalledItem(row.group, row.changed, bool(answer), row.difference)
        for row, answer in zip(items.rows, items.answers, strict=True)
    ]


# --- groups --------------------------------------------------------------------------------------


def _by_column(report: PresenceReport, name: str) -> ColumnScores:
    items = report.items.labelled()
    if not items.rows:
        raise OptionError("no pair has a label, so there are no scores to group", "leave out --by")
    groups = group_indexes([row.columns for row in items.rows], name)
    parts = {value: items.part(indexes) for value, indexes in groups.items()}
    one_label = [
        value for value, part in parts.items() if len({row.changed for row in part.rows}) < 2
    ]
    notes = [INTERVAL_NOTE]
    if one_label:
        notes.append(f"all pairs changed or none did, so some scores mean little: {one_label[0]}")
        notes[-1] += "".join(f", {value}" for value in one_label[1:])
    return ColumnScores(
        "presence",
        name,
        [_group_table(value, part, report.difference) for value, part in parts.items()],
        list(parts),
        {value: len(set(part.groups)) for value, part in parts.items()},
        notes,
    )


def _group_table(value: str, items: ScoredItems, difference: float | None) -> ScoreTable:
    """The scores of a group with intervals; thresholds are those of all pairs."""

    def sampled_scores(indexes: NDArray[np.intp]) -> dict[str, float | None]:
        return {
            f"{method}\n{score}": getattr(scores, score)
            for method, scores in method_scores(items, difference, indexes).items()
            for score in GROUP_SCORES
        }

    spread = bootstrap_intervals(sampled_scores, items.groups)
    # Of shares that are 0 or 1, a bootstrap knows nothing.
    shares = {
        f"{method}\n{score}": interval
        for method, answers in _answers_by_method(items, difference).items()
        for score, interval in _share_intervals(items, answers).items()
    }
    intervals = spread | shares
    lines = [
        ScoreLine(
            method,
            scores.to_dict(),
            {s: intervals[key] for s in GROUP_SCORES if (key := f"{method}\n{s}") in intervals},
        )
        for method, scores in method_scores(items, difference).items()
    ]
    changed = sum(row.changed is True for row in items.rows)
    detail = f": {changed} changed, {len(items.rows) - changed} unchanged"
    return ScoreTable(value, len(items.rows), GROUP_SCORES, lines, detail, in_fractions=True)


def _answers_by_method(
    items: ScoredItems, difference: float | None
) -> dict[str, NDArray[np.bool_]]:
    """The answers of the model and, where they have a threshold, of the other methods."""
    answers = {MODEL: items.answers}
    if items.zero_shot_threshold is not None and items.zero_shot is not None:
        answers[ZERO_SHOT] = items.zero_shot > items.zero_shot_threshold
    if difference is not None:
        answers[DIFFERENCING] = items.difference > difference
    return answers


def _share_intervals(items: ScoredItems, answers: NDArray[np.bool_]) -> dict[str, Interval]:
    """Intervals of recall, specificity and, where there are both, their mean."""
    groups, intervals = np.array(items.groups, np.str_), dict[str, Interval]()
    gaps = []
    for score, hits, is_meant in (
        ("recall", answers, items.truth),
        ("specificity", ~answers, ~items.truth),
    ):
        interval = share_interval(hits[is_meant], groups[is_meant].tolist())
        if interval is not None:
            share = float(hits[is_meant].mean())
            intervals[score] = interval
            gaps.append((share, share - interval.low, interval.high - share))
    if len(gaps) == 2:
        intervals["balanced_accuracy"] = mean_interval(gaps)
    return intervals
