"""How well a model tells whether something changed, beside baselines that need no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError, OptionError, RunError
from geochg.evaluation.collect_presence import threshold_options
from geochg.evaluation.options import EvaluateOptions
from geochg.evaluation.predictions import Prediction, Predictions
from geochg.evaluation.scores import (
    MODEL,
    SHOWN,
    Scores,
    baseline_scores,
    best_threshold,
    difference_threshold,
    scores,
)
from geochg.evaluation.tables import ScoreLine, ScoreTable, TaskScores, aligned_rows
from geochg.records import Task


@dataclass(frozen=True)
class ThresholdFit:
    """A presence threshold that was fitted.

    Attributes:
        probability: Probability above which a tile has changed, of the model as it was asked.
        options: Model options that set it; empty where the model has no option for it.
        items: Number of items it was fitted on.
        metric: Name of the metric that it maximises.
    """

    probability: float
    options: Mapping[str, Any]
    items: int
    metric: str


@dataclass(frozen=True)
class PresenceReport:
    """The scores; with a fit, only of the items it has not seen.

    Attributes:
        scores: Scores of the model and of each baseline, by name.
        changed: Number of items that changed.
        unchanged: Number of items that did not.
        unanswered: Number of items without an answer, which are in none of the scores.
        difference: Threshold of the differencing, in 8-bit steps: found on the same items as the
            fit, else on those that are scored, which flatters it.
        fit: The fitted threshold; None where none was fitted.
    """

    scores: Mapping[str, Scores]
    changed: int
    unchanged: int
    unanswered: int
    difference: float | None
    fit: ThresholdFit | None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "items": {
                "changed": self.changed,
                "unchanged": self.unchanged,
                "unanswered": self.unanswered,
            },
            "scores": {
                name.replace(" ", "_"): scores.to_dict() for name, scores in self.scores.items()
            },
            "difference_threshold": self.difference,
            "fit": None if self.fit is None else vars(self.fit) | {"options": {**self.fit.options}},
        }

    def table(self) -> TaskScores:
        """The report as a table among those of other tasks; `unanswered` are its failed ones."""
        lines = [ScoreLine(name, scores.to_dict()) for name, scores in self.scores.items()]
        total = self.changed + self.unchanged
        notes = [f"{self.changed} changed, {self.unchanged} unchanged"]
        if self.fit is not None:
            notes.append(f"held out; the threshold was fitted on {self.fit.items} others")
        table = ScoreTable("", total, SHOWN, lines)
        return TaskScores(str(Task.PRESENCE), total, 0, self.unanswered, [table], notes)

    def lines(self) -> list[str]:
        """The report as lines of a table."""
        held_out = "" if self.fit is None else f", held out; {self.fit.items} others to fit on"
        total = self.changed + self.unchanged
        counts = f"{total} scored: {self.changed} changed, {self.unchanged} unchanged{held_out}"
        names = [name.replace("_", " ").replace("auroc", "AUROC") for name in SHOWN]
        cells = [["", *names], *([name, *_cells(s)] for name, s in self.scores.items())]
        return [counts, *aligned_rows(cells, least_width=5)]


def presence_report(predictions: Predictions, options: EvaluateOptions) -> PresenceReport:
    """Scores the answers of a model.

    Args:
        predictions: Answers with their truths.
        options: Whether and how a threshold is fitted.

    Raises:
        InputError: If there are too few pairs to fit on.
        OptionError: If the predictions cannot be scored with these options.
        RunError: If there is no answer, or no probability to fit.
    """
    answered_rows = [row for row in predictions.rows if row.answer is not None]
    if not answered_rows:
        raise RunError(
            f"the model gave no answer about any of {len(predictions.rows)} pairs",
            "look at its answers with geochg ask",
        )
    unanswered = len(predictions.rows) - len(answered_rows)
    if not options.fit_threshold:
        if predictions.opened:
            raise OptionError("the predictions were made to fit a threshold", "add --fit-threshold")
        items = _PresenceColumns.of(answered_rows)
        difference = difference_threshold(items.truth, items.difference, options.fit_metric)
        return _report(items, difference, None, unanswered)
    _check_fit(predictions, answered_rows)
    groups = fit_groups(answered_rows, options.fit_share, options.seed)
    fitted = _PresenceColumns.of([row for row in answered_rows if row.group in groups])
    held_out = _PresenceColumns.of([row for row in answered_rows if row.group not in groups])
    likely = fitted.fit_probabilities(predictions.opened)
    threshold = best_threshold(fitted.truth, likely, options.fit_metric)
    model_options = threshold_options(
        predictions.model, predictions.model_options, threshold, was_opened=predictions.opened
    )
    fit = ThresholdFit(threshold, model_options, len(fitted.truth), str(options.fit_metric))
    answers = held_out.fit_probabilities(predictions.opened) > threshold
    difference = difference_threshold(fitted.truth, fitted.difference, options.fit_metric)
    return _report(replace(held_out, answers=answers), difference, fit, unanswered)


def fit_groups(rows: Sequence[Prediction], share: float, seed: int) -> frozenset[str]:
    """The groups to fit on; pairs that share a picture and tiles of one pair stay together.

    Groups in which something changed and the others are divided by themselves, so that both sides
    have their part of each. It depends on the seed and on which groups there are, not on their
    order.

    Args:
        rows: Predictions to divide.
        share: Share of the groups (0-1) that are fitted on; at least one is left over where there
            are two.
        seed: Seed of the choice.

    Raises:
        InputError: If that leaves only changed or only unchanged items to fit on, or none to score.
    """
    changed = {row.group for row in rows if row.changed}
    kinds = (sorted(changed), sorted({row.group for row in rows} - changed))
    random = np.random.default_rng(seed)
    chosen_groups: set[str] = set()
    for groups in kinds:
        order = random.permutation(len(groups))
        group_count = min(max(round(share * len(groups)), 1), len(groups) - 1)
        chosen_groups |= {groups[index] for index in order[: max(group_count, 0)]}
    truths = {row.changed for row in rows if row.group in chosen_groups}
    if len(truths) < 2:
        missing = "no" if not truths else "no unchanged" if True in truths else "no changed"
        raise InputError(
            f"there is {missing} pair to fit a threshold on, of {len(rows)} in "
            f"{len(kinds[0]) + len(kinds[1])} groups that share no picture",
            "give more pairs of both kinds, or another --fit-share",
        )
    return frozenset(chosen_groups)


@dataclass(frozen=True, eq=False)
class _PresenceColumns:
    """Columns of `(items,)`; `likely` is None where the model gives no probabilities."""

    truth: NDArray[np.bool_]
    answers: NDArray[np.bool_]
    likely: NDArray[np.float64] | None
    difference: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[Prediction]) -> _PresenceColumns:
        likely = [row.probability for row in rows if row.probability is not None]
        return cls(
            np.array([row.changed for row in rows], bool),
            np.array([row.answer for row in rows], bool),
            np.array(likely, float) if len(likely) == len(rows) else None,
            np.array([row.difference for row in rows], float),
        )

    def fit_probabilities(self, was_opened: bool) -> NDArray[np.float64]:
        """The probabilities; 0 where the model says no with its threshold as low as it goes."""
        assert self.likely is not None
        return np.where(self.answers, self.likely, 0.0) if was_opened else self.likely


def _check_fit(predictions: Predictions, rows: Sequence[Prediction]) -> None:
    """Refuses predictions that no threshold on the probability could decide."""
    likely = [row.probability for row in rows if row.probability is not None]
    if len(likely) < len(rows):
        raise RunError(
            f"{predictions.model} gives no probabilities, so there is no threshold to fit",
            "leave out --fit-threshold",
        )
    no = [p for p, row in zip(likely, rows, strict=True) if not row.answer]
    yes = [p for p, row in zip(likely, rows, strict=True) if row.answer]
    if not predictions.opened and no and yes and max(no) > min(yes):
        raise OptionError(
            f"{predictions.model} calls some pairs unchanged that have a higher probability of "
            "change than others that it calls changed, so no threshold decides as it does",
            "ask it again with --fit-threshold: these predictions cannot be fitted",
        )


def _report(
    items: _PresenceColumns, difference: float | None, fit: ThresholdFit | None, unanswered: int
) -> PresenceReport:
    by_name = {
        MODEL: scores(items.truth, items.answers, items.likely),
        **baseline_scores(items.truth, items.difference, difference),
    }
    changed = int(np.count_nonzero(items.truth))
    return PresenceReport(by_name, changed, len(items.truth) - changed, unanswered, difference, fit)


def _cells(row: Scores) -> list[str]:
    values = (getattr(row, name) for name in SHOWN)
    return ["-" if value is None else f"{value:.3f}" for value in values]
