"""How well a model tells whether something changed, beside answers that need no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.errors import OptionError, RunError
from geochg.evaluation.collect_presence import threshold_options
from geochg.evaluation.options import EvaluateOptions, FitMetric
from geochg.evaluation.predictions import Prediction, Predictions
from geochg.evaluation.scores import SHOWN, Scores, best_threshold, scores
from geochg.evaluation.split import fit_groups
from geochg.evaluation.tables import ScoreLine, ScoreTable, TaskScores
from geochg.records import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL = "the model"
ALL_CHANGED, NO_CHANGE, DIFFERENCING = "all changed", "no change", "differencing"
"""What a model is compared with: saying always yes, always no, and the mean absolute difference of
the pictures against its best threshold."""


@dataclass(frozen=True)
class ThresholdFit:
    """A threshold that was found.

    Attributes:
        probability: Above it a tile has changed; of the model as it was asked.
        options: What tells the model so; empty where it has no option for it.
        items: How many it was found on.
        metric: What it makes as high as it can be.
    """

    probability: float
    options: Mapping[str, Any]
    items: int
    metric: str


@dataclass(frozen=True)
class PresenceReport:
    """The scores; with a fit, only of the items it has not seen.

    Attributes:
        scores: By what answers: the model first.
        changed: Items that changed.
        unchanged: Items that did not.
        unanswered: Items without an answer, which are in none of the scores.
        difference: Threshold of the differencing, in 8-bit steps: found on the same items as the
            fit, else on those that are scored, which flatters it.
        fit: What was fitted; None where nothing was.
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
                name.replace(" ", "_"): each.to_dict() for name, each in self.scores.items()
            },
            "difference_threshold": self.difference,
            "fit": None if self.fit is None else vars(self.fit) | {"options": {**self.fit.options}},
        }

    def table(self) -> TaskScores:
        """The report as a table among those of other tasks; `unanswered` are its failed ones."""
        lines = [ScoreLine(name, each.to_dict()) for name, each in self.scores.items()]
        total = self.changed + self.unchanged
        notes = [f"{self.changed} changed, {self.unchanged} unchanged"]
        if self.fit is not None:
            notes.append(f"held out; the threshold was fitted on {self.fit.items} others")
        table = ScoreTable("", total, SHOWN, lines)
        return TaskScores(str(Task.PRESENCE), total, 0, self.unanswered, [table], notes)

    def lines(self) -> list[str]:
        """The report as a table."""
        seen = "" if self.fit is None else f", held out; {self.fit.items} others to fit on"
        total = self.changed + self.unchanged
        told = f"{total} scored: {self.changed} changed, {self.unchanged} unchanged{seen}"
        names = [name.replace("_", " ").replace("auroc", "AUROC") for name in SHOWN]
        widths = [max(len(name), 5) for name in names]
        first = max(map(len, self.scores))
        rows = [
            (" " * first, names),
            *((n.ljust(first), _cells(s)) for n, s in self.scores.items()),
        ]
        return [
            told,
            *(
                f"{start}  " + "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True))
                for start, cells in rows
            ),
        ]


def presence_report(found: Predictions, options: EvaluateOptions) -> PresenceReport:
    """Scores what a model said.

    Args:
        found: What it said.
        options: Whether and how a threshold is fitted.

    Raises:
        InputError: If there are too few pairs to fit on.
        OptionError: If the predictions cannot be scored so.
        RunError: If there is no answer, or no probability to fit.
    """
    answered = [row for row in found.rows if row.said is not None]
    if not answered:
        raise RunError(
            f"the model gave no answer about any of {len(found.rows)} pairs",
            "look at what it says with geochg ask",
        )
    unanswered = len(found.rows) - len(answered)
    if not options.fit_threshold:
        if found.opened:
            raise OptionError("the predictions were made to fit a threshold", "add --fit-threshold")
        items = _PresenceColumns.of(answered)
        difference = _difference_threshold(items, options.fit_metric)
        return _report(items, difference, None, unanswered)
    _check_fit(found, answered)
    groups = fit_groups(answered, options.fit_share, options.seed)
    seen = _PresenceColumns.of([row for row in answered if row.group in groups])
    rest = _PresenceColumns.of([row for row in answered if row.group not in groups])
    likely = seen.allowed(found.opened)
    threshold = best_threshold(seen.truth, likely, options.fit_metric)
    told = threshold_options(found.model, found.model_options, threshold, opened=found.opened)
    fit = ThresholdFit(threshold, told, len(seen.truth), str(options.fit_metric))
    said = rest.allowed(found.opened) > threshold
    difference = _difference_threshold(seen, options.fit_metric)
    return _report(replace(rest, said=said), difference, fit, unanswered)


@dataclass(frozen=True, eq=False)
class _PresenceColumns:
    """Columns of `(items,)`; `likely` is None where the model gives no probabilities."""

    truth: NDArray[np.bool_]
    said: NDArray[np.bool_]
    likely: NDArray[np.float64] | None
    difference: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[Prediction]) -> _PresenceColumns:
        likely = [row.probability for row in rows if row.probability is not None]
        return cls(
            np.array([row.changed for row in rows], bool),
            np.array([row.said for row in rows], bool),
            np.array(likely, float) if len(likely) == len(rows) else None,
            np.array([row.difference for row in rows], float),
        )

    def allowed(self, opened: bool) -> NDArray[np.float64]:
        """The probabilities; 0 where the model says no with its threshold as low as it goes."""
        assert self.likely is not None
        return np.where(self.said, self.likely, 0.0) if opened else self.likely


def _check_fit(found: Predictions, rows: Sequence[Prediction]) -> None:
    """Refuses what no threshold on the probability could decide."""
    likely = [row.probability for row in rows if row.probability is not None]
    if len(likely) < len(rows):
        raise RunError(
            f"{found.model} gives no probabilities, so there is no threshold to fit",
            "leave out --fit-threshold",
        )
    no = [p for p, row in zip(likely, rows, strict=True) if not row.said]
    yes = [p for p, row in zip(likely, rows, strict=True) if row.said]
    if not found.opened and no and yes and max(no) > min(yes):
        raise OptionError(
            f"{found.model} held some pairs back for other reasons than their probability",
            "ask it again with --fit-threshold; these predictions do not tell enough",
        )


def _difference_threshold(items: _PresenceColumns, metric: FitMetric) -> float | None:
    """The best there is; None where only one kind of item, or one difference, is there."""
    both = items.truth.any() and not items.truth.all()
    if not both or len(np.unique(items.difference)) < 2:
        return None
    return best_threshold(items.truth, items.difference, metric)


def _report(
    items: _PresenceColumns, difference: float | None, fit: ThresholdFit | None, unanswered: int
) -> PresenceReport:
    every, none = np.ones_like(items.truth), np.zeros_like(items.truth)
    found = {
        MODEL: scores(items.truth, items.said, items.likely),
        ALL_CHANGED: scores(items.truth, every, every.astype(float)),
        NO_CHANGE: scores(items.truth, none, none.astype(float)),
    }
    if difference is not None:
        found[DIFFERENCING] = scores(items.truth, items.difference > difference, items.difference)
    changed = int(np.count_nonzero(items.truth))
    return PresenceReport(found, changed, len(items.truth) - changed, unanswered, difference, fit)


def _cells(found: Scores) -> list[str]:
    values = (getattr(found, name) for name in SHOWN)
    return ["-" if value is None else f"{value:.3f}" for value in values]
