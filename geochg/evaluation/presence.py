"""How well a model tells whether something changed, beside baselines that need no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError, OptionError, RunError
from geochg.evaluation.collect_presence import threshold_options
from geochg.evaluation.histogram import ScoreHistogram
from geochg.evaluation.options import EvaluateOptions, FitMetric
from geochg.evaluation.predictions import ZERO_SHOT_THRESHOLD, Prediction, Predictions
from geochg.evaluation.scores import (
    MODEL,
    SHOWN,
    ZERO_SHOT,
    Scores,
    baseline_scores,
    best_threshold,
    difference_threshold,
    scores,
)
from geochg.evaluation.tables import ScoreLine, ScoreTable, TaskScores, aligned_rows
from geochg.records import Task

MAX_MOVE = 2.0
"""The change of posteriors of two dates that share no class."""


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


@dataclass(frozen=True, eq=False)
class ScoredItems:
    """Answered items; with a fit, only those it has not seen, answered by its threshold.

    Attributes:
        rows: `(items,)`, their predictions; with labels and without.
        answers: `(items,)`, whether each is called changed.
        likely: `(items,)`, the probability of change; None where the model gives none.
        zero_shot_threshold: Threshold of the zero-shot method; None where there is none.
    """

    rows: Sequence[Prediction]
    answers: NDArray[np.bool_]
    likely: NDArray[np.float64] | None
    zero_shot_threshold: float | None = None

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """`(items,)`, whether each changed; false where that is not known."""
        return np.array([row.changed for row in self.rows], bool)

    @cached_property
    def difference(self) -> NDArray[np.float64]:
        """`(items,)`, the mean absolute difference of the dates."""
        return np.array([row.difference for row in self.rows], float)

    @cached_property
    def zero_shot(self) -> NDArray[np.float64] | None:
        """`(items,)`, how far the posteriors moved; None unless that is known of all."""
        moves = [row.zero_shot for row in self.rows if row.zero_shot is not None]
        return np.array(moves, float) if len(moves) == len(self.rows) else None

    @property
    def groups(self) -> list[str]:
        """`(items,)`, names of the groups of pairs that share pictures."""
        return [row.group for row in self.rows]

    def part(self, indexes: Iterable[int]) -> ScoredItems:
        """Those of the items at some indexes."""
        numbers = np.array(list(indexes), np.intp)
        likely = None if self.likely is None else self.likely[numbers]
        rows = [self.rows[number] for number in numbers]
        return ScoredItems(rows, self.answers[numbers], likely, self.zero_shot_threshold)

    def labelled(self) -> ScoredItems:
        """Those of which it is known whether they changed."""
        return self.part(n for n, row in enumerate(self.rows) if row.changed is not None)


@dataclass(frozen=True)
class PresenceReport:
    """The scores; with a fit, only of the items it has not seen.

    Attributes:
        items: Items that are scored, and those without a label.
        exchanged: Exchanged items.
        scores: Scores of the model and of each baseline, by name; none without labels.
        changed: Number of items that changed.
        unchanged: Number of items that did not.
        unanswered: Number of items without an answer, which are in none of the scores.
        difference: Threshold of the differencing, in 8-bit steps: found on the same items as the
            fit, else on those that are scored, which flatters it.
        fit: The fitted threshold; None where none was fitted.
    """

    items: ScoredItems
    exchanged: ScoredItems
    scores: Mapping[str, Scores]
    changed: int
    unchanged: int
    unanswered: int
    difference: float | None
    fit: ThresholdFit | None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        histogram = self.histogram()
        return {
            "items": {
                "changed": self.changed,
                "unchanged": self.unchanged,
                **({"unlabelled": self.unlabelled} if self.unlabelled else {}),
                "unanswered": self.unanswered,
            },
            "scores": {
                name.replace(" ", "_"): scores.to_dict() for name, scores in self.scores.items()
            },
            "difference_threshold": self.difference,
            **(
                {}
                if self.items.zero_shot_threshold is None
                else {"zero_shot_threshold": self.items.zero_shot_threshold}
            ),
            "fit": None if self.fit is None else vars(self.fit) | {"options": {**self.fit.options}},
            "histogram": None if histogram is None else histogram.to_dict(),
        }

    @property
    def unlabelled(self) -> int:
        """Number of answered items of which it is not known whether they changed."""
        return len(self.items.rows) - self.changed - self.unchanged

    def histogram(self) -> ScoreHistogram | None:
        """The histogram of the probabilities by label; None where the model gives none."""
        if self.items.likely is None:
            return None
        labels = [row.changed for row in self.items.rows]
        return ScoreHistogram.of(self.items.likely, labels, "probability of change")

    def table(self) -> TaskScores:
        """The report as a table among those of other tasks; `unanswered` are its failed ones."""
        lines = [ScoreLine(name, scores.to_dict()) for name, scores in self.scores.items()]
        total = self.changed + self.unchanged
        notes = [f"{self.changed} changed, {self.unchanged} unchanged"]
        if self.unlabelled:
            notes.append(f"{self.unlabelled} without a label, in no score")
        if self.fit is not None:
            notes.append(f"held out; the threshold was fitted on {self.fit.items} others")
        tables = [ScoreTable("", total, SHOWN, lines, in_fractions=True)] if lines else []
        return TaskScores(str(Task.PRESENCE), total, 0, self.unanswered, tables, notes)

    def lines(self) -> list[str]:
        """The report as lines of a table."""
        held_out = "" if self.fit is None else f", held out; {self.fit.items} others to fit on"
        total = self.changed + self.unchanged
        counts = f"{total} scored: {self.changed} changed, {self.unchanged} unchanged{held_out}"
        if self.unlabelled:
            counts += f"; {self.unlabelled} without a label, in no score"
        if not self.scores:
            return [counts]
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
        OptionError: If the predictions cannot be scored with these options, or there is no
            probability to fit.
        RunError: If there is no answer.
    """
    answered_rows = [row for row in predictions.rows if row.answer is not None]
    if not answered_rows:
        raise RunError(
            f"the model gave no answer about any of {len(predictions.rows)} pairs",
            "look at its answers with geochg ask",
        )
    exchanged_rows = [row for row in predictions.exchanged if row.answer is not None]
    if not options.fit_threshold:
        if predictions.opened:
            raise OptionError("the predictions were made to fit a threshold", "add --fit-threshold")
        items, exchanged = map(_as_answered, (answered_rows, exchanged_rows))
        return _report(predictions, items, exchanged, items.labelled(), None, options.fit_metric)
    labelled_rows = [row for row in answered_rows if row.changed is not None]
    _check_fit(predictions, labelled_rows)
    groups = fit_groups(labelled_rows, options.fit_share, options.seed)
    fitted = _as_answered([row for row in labelled_rows if row.group in groups])
    likely = _fit_probabilities(fitted, predictions.opened)
    threshold = best_threshold(fitted.truth, likely, options.fit_metric)
    model_options = threshold_options(
        predictions.model, predictions.model_options, threshold, was_opened=predictions.opened
    )
    fit = ThresholdFit(threshold, model_options, len(fitted.rows), str(options.fit_metric))
    items, exchanged = (
        _answered_by_fit([row for row in rows if row.group not in groups], predictions, threshold)
        for rows in (answered_rows, exchanged_rows)
    )
    return _report(predictions, items, exchanged, fitted, fit, options.fit_metric)


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


def _as_answered(rows: Sequence[Prediction]) -> ScoredItems:
    """Items with the answers that the model itself gave."""
    likely = [row.probability for row in rows if row.probability is not None]
    return ScoredItems(
        rows,
        np.array([row.answer for row in rows], bool),
        np.array(likely, float) if len(likely) == len(rows) else None,
    )


def _answered_by_fit(
    rows: Sequence[Prediction], predictions: Predictions, threshold: float
) -> ScoredItems:
    """Items with the answers of a fitted threshold."""
    items = _as_answered([row for row in rows if row.probability is not None])
    answers = _fit_probabilities(items, predictions.opened) > threshold
    return ScoredItems(items.rows, answers, items.likely)


def _fit_probabilities(items: ScoredItems, was_opened: bool) -> NDArray[np.float64]:
    """The probabilities; 0 where the model says no with its threshold as low as it goes."""
    assert items.likely is not None
    return np.where(items.answers, items.likely, 0.0) if was_opened else items.likely


def _check_fit(predictions: Predictions, rows: Sequence[Prediction]) -> None:
    """Refuses predictions that no threshold on the probability could decide."""
    likely = [row.probability for row in rows if row.probability is not None]
    if len(likely) < len(rows):
        raise OptionError(
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
    predictions: Predictions,
    items: ScoredItems,
    exchanged: ScoredItems,
    of_difference: ScoredItems,
    fit: ThresholdFit | None,
    metric: FitMetric,
) -> PresenceReport:
    """The report on items; the threshold of differencing is found on `of_difference`."""
    zero_shot = _zero_shot_threshold(predictions, None if fit is None else of_difference, metric)
    items = replace(items, zero_shot_threshold=zero_shot)
    scored = items.labelled()
    truth = scored.truth
    threshold = difference_threshold(of_difference.truth, of_difference.difference, metric)
    changed = int(np.count_nonzero(truth))
    unanswered = sum(row.answer is None for row in predictions.rows)
    return PresenceReport(
        items,
        exchanged,
        method_scores(scored, threshold) if len(truth) else {},
        changed,
        len(truth) - changed,
        unanswered,
        threshold,
        fit,
    )


def method_scores(
    items: ScoredItems, difference: float | None, indexes: Iterable[int] | None = None
) -> dict[str, Scores]:
    """The scores of the model and of each baseline, by name.

    Args:
        items: Items with labels.
        difference: Threshold of differencing; None leaves it out.
        indexes: Indexes of the items to score, which may occur more than once; None for all.
    """
    chosen_items = slice(None) if indexes is None else np.array(list(indexes), np.intp)
    truth, likely = items.truth[chosen_items], items.likely
    return {
        MODEL: scores(
            truth, items.answers[chosen_items], None if likely is None else likely[chosen_items]
        ),
        **_zero_shot_scores(items, chosen_items),
        **baseline_scores(truth, items.difference[chosen_items], difference),
    }


def _zero_shot_threshold(
    predictions: Predictions, fitted: ScoredItems | None, metric: FitMetric
) -> float | None:
    """The threshold of the zero-shot method: of the items of the fit, else that of the model."""
    if fitted is not None and fitted.zero_shot is not None:
        return difference_threshold(fitted.truth, fitted.zero_shot, metric)
    limit = predictions.options.get(ZERO_SHOT_THRESHOLD)
    return float(limit) if isinstance(limit, int | float) and 0 <= limit <= MAX_MOVE else None


def _zero_shot_scores(items: ScoredItems, rows: slice | NDArray[np.intp]) -> dict[str, Scores]:
    """The scores of the zero-shot method, where the model tells what it says."""
    limit, moves = items.zero_shot_threshold, items.zero_shot
    if limit is None or moves is None:
        return {}
    return {ZERO_SHOT: scores(items.truth[rows], moves[rows] > limit, moves[rows])}


def _cells(row: Scores) -> list[str]:
    values = (getattr(row, name) for name in SHOWN)
    return ["-" if value is None else f"{value:.3f}" for value in values]
