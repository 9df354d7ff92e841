"""The scores of each task, beside answers that need no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from geochg.errors import RunError
from geochg.evaluation.answers import AnswerRow, AnswerSet
from geochg.evaluation.coco_rouge import coco_rouge_l
from geochg.evaluation.options import FitMetric
from geochg.evaluation.published import PublishedScores
from geochg.evaluation.scores import best_threshold, scores
from geochg.evaluation.tables import ScoreLine, ScoreTable, TaskScores, Values, one_line
from geochg.evaluation.text_scores import (
    CAPTION_METRICS,
    TALK_METRICS,
    OptionalMetrics,
    ReferenceCorpus,
    TextScores,
)
from geochg.evaluation.tokenize import words
from geochg.evaluation.values import FailedAnswer, References, text_of
from geochg.records import GRID_CELLS, Counts, Locations, Presence, Task, Unparsed
from geochg.tasks.lexicon import ASKED
from geochg.tasks.statements import NO_CHANGE_SENTENCES

MODEL = "the model"
TEXTS = (Task.CAPTION, Task.DIALOGUE, Task.QUESTION)
"""The tasks whose answers are texts."""

_Kind = TypeVar("_Kind", Presence, Counts, Locations, References)


def task_scores(
    found: AnswerSet, judges: OptionalMetrics, published: Sequence[PublishedScores] = ()
) -> list[TaskScores]:
    """The scores of every task that was asked.

    Args:
        found: What was answered.
        judges: The metrics of this machine.
        published: Scores of others to set beside.

    Raises:
        RunError: If there is no answer at all, or METEOR fails.
        InputError: If the encoder of BERTScore is none.
        OptionError: If a package that scores texts is missing.
    """
    if all(isinstance(row.answer, FailedAnswer) for row in found.rows):
        reason = next(
            (r.answer.reason for r in found.rows if isinstance(r.answer, FailedAnswer)), ""
        )
        why = f": {one_line(reason, 200)}" if reason else ""
        raise RunError(
            f"the model answered none of {len(found.rows)} questions{why}",
            "look at what it says with geochg ask",
        )
    by_task: dict[Task, list[AnswerRow]] = {}
    for row in sorted(found.rows, key=lambda row: row.item):
        by_task.setdefault(row.task, []).append(row)
    return [
        _scores_of_task(task, by_task[task], judges, [one for one in published if one.task == task])
        for task in Task
        if task in by_task
    ]


def _scores_of_task(
    task: Task,
    rows: Sequence[AnswerRow],
    judges: OptionalMetrics,
    published: Sequence[PublishedScores],
) -> TaskScores:
    there = [row for row in rows if not isinstance(row.answer, FailedAnswer)]
    unparsed = sum(isinstance(row.answer, Unparsed) for row in there)
    tables, notes = list[ScoreTable](), list[str]()
    if there:
        score = {Task.PRESENCE: _presence, Task.COUNT: _count, Task.LOCATE: _locate}.get(task)
        if score is None:
            tables, notes = _texts(task, there, judges)
        else:
            tables, notes = score(there)
    if not unparsed:
        notes = [note for note in notes if note not in _UNPARSED.values()]
    beside = [_with_published(table, published) for table in tables]
    return TaskScores(str(task), len(there), unparsed, len(rows) - len(there), beside, notes)


def _with_published(table: ScoreTable, published: Sequence[PublishedScores]) -> ScoreTable:
    """The table with the lines others published of its group."""
    theirs = [one.line for one in published if one.group == table.group]
    return ScoreTable(table.group, table.items, table.columns, [*table.lines, *theirs])


_UNPARSED = {
    Task.PRESENCE: "an unparsed answer counts as the wrong one; AUROC is over the others",
    Task.COUNT: "an unparsed answer is no exact match; MAE and RMSE, also of the baselines, are "
    "over the others",
    Task.LOCATE: "an unparsed answer names no cell and is no exact match",
}
"""How answers that made no sense are scored."""

_COMMONEST_NOTE = "the commonest text is taken from this very set, which flatters it"
_TEXT_NOTE = "an unparsed answer is scored by its words, as the papers do"


def _truths(rows: Sequence[AnswerRow], kind: type[_Kind]) -> list[_Kind]:
    return [row.truth for row in rows if isinstance(row.truth, kind)]


# --- presence ------------------------------------------------------------------------------------


def _presence(rows: Sequence[AnswerRow]) -> tuple[list[ScoreTable], list[str]]:
    truth = np.array([one.changed for one in _truths(rows, Presence)], bool)
    given = [row.answer for row in rows]
    said = np.array(
        [
            g.changed if isinstance(g, Presence) else not t
            for g, t in zip(given, truth, strict=True)
        ],
        bool,
    )
    every, none = np.ones_like(truth), np.zeros_like(truth)
    lines = [
        ScoreLine(MODEL, scores(truth, said, None).to_dict() | {"auroc": _auroc(rows)}),
        ScoreLine("all changed", scores(truth, every, every.astype(float)).to_dict()),
        ScoreLine("no change", scores(truth, none, none.astype(float)).to_dict()),
    ]
    notes = [_UNPARSED[Task.PRESENCE]]
    difference = np.array([row.difference for row in rows], float)
    if truth.any() and not truth.all() and len(np.unique(difference)) > 1:
        cut = best_threshold(truth, difference, FitMetric.BALANCED_ACCURACY)
        lines.append(
            ScoreLine("differencing", scores(truth, difference > cut, difference).to_dict())
        )
        notes.append("differencing has the best threshold on these very pairs")
    columns = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "auroc")
    return [ScoreTable("", len(rows), columns, lines)], notes


def _auroc(rows: Sequence[AnswerRow]) -> float | None:
    """Over the answers that made sense; None where one of them has no probability."""
    parsed = [row for row in rows if isinstance(row.answer, Presence)]
    likely = [p for row in parsed if (p := getattr(row.answer, "probability", None)) is not None]
    if not parsed or len(likely) < len(parsed):
        return None
    truth = np.array([one.changed for one in _truths(parsed, Presence)], bool)
    return scores(truth, truth, np.array(likely, float)).auroc


# --- count ---------------------------------------------------------------------------------------


def _count(rows: Sequence[AnswerRow]) -> tuple[list[ScoreTable], list[str]]:
    tables = []
    truths = _truths(rows, Counts)
    for name in _classes([truth.counts for truth in truths]):
        truth = np.array([one.counts.get(name, 0) for one in truths], float)
        # A class that is not spoken of is one of which nothing changed.
        said = np.array(
            [
                r.answer.counts.get(name, 0) if isinstance(r.answer, Counts) else np.nan
                for r in rows
            ],
            float,
        )
        parsed = ~np.isnan(said)
        lines = [
            ScoreLine(MODEL, _errors(truth, said, parsed)),
            ScoreLine("always 0", _errors(truth, np.zeros_like(truth), parsed)),
            ScoreLine("always the mean", _errors(truth, np.full_like(truth, truth.mean()), parsed)),
        ]
        tables.append(ScoreTable(name, len(rows), ("mae", "rmse", "exact"), lines))
    return tables, [_UNPARSED[Task.COUNT]]


def _errors(
    truth: np.ndarray[tuple[int], np.dtype[np.float64]],
    said: np.ndarray[tuple[int], np.dtype[np.float64]],
    parsed: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> Values:
    exact = float(np.mean(said == truth))
    if not parsed.any():
        return {"mae": None, "rmse": None, "exact": exact}
    gap = said[parsed] - truth[parsed]
    return {
        "mae": float(np.abs(gap).mean()),
        "rmse": float(np.sqrt((gap**2).mean())),
        "exact": exact,
    }


# --- locate --------------------------------------------------------------------------------------


def _locate(rows: Sequence[AnswerRow]) -> tuple[list[ScoreTable], list[str]]:
    tables = []
    truths = _truths(rows, Locations)
    for name in _classes([truth.cells for truth in truths]):
        truth = [frozenset(one.cells.get(name, ())) for one in truths]
        said = [
            frozenset(r.answer.cells.get(name, ())) if isinstance(r.answer, Locations) else None
            for r in rows
        ]
        lines = [
            ScoreLine(MODEL, _cells(truth, said)),
            ScoreLine("nothing", _cells(truth, [frozenset()] * len(rows))),
            ScoreLine("all nine cells", _cells(truth, [frozenset(GRID_CELLS)] * len(rows))),
        ]
        tables.append(ScoreTable(name, len(rows), ("precision", "recall", "f1", "exact"), lines))
    return tables, [_UNPARSED[Task.LOCATE]]


def _cells(truth: Sequence[frozenset[object]], said: Sequence[frozenset[object] | None]) -> Values:
    """Micro-averaged over all cells of all pairs; None names no cell and is never exact."""
    named = [each or frozenset() for each in said]
    right = sum(len(one & other) for one, other in zip(truth, named, strict=True))
    of_truth, of_named = sum(map(len, truth)), sum(map(len, named))
    return {
        "precision": right / of_named if of_named else None,
        "recall": right / of_truth if of_truth else None,
        "f1": 2 * right / (of_truth + of_named) if of_truth + of_named else None,
        "exact": sum(one == other for one, other in zip(truth, said, strict=True)) / len(truth),
    }


def _classes(told: Sequence[Mapping[str, object]]) -> list[str]:
    """The two that the prompts ask for, and others that occur."""
    return list(dict.fromkeys((*ASKED, *(name for each in told for name in each))))


# --- texts ---------------------------------------------------------------------------------------


def _texts(
    task: Task, rows: Sequence[AnswerRow], judges: OptionalMetrics
) -> tuple[list[ScoreTable], list[str]]:
    metrics = CAPTION_METRICS if task is Task.CAPTION else TALK_METRICS
    written = [one.texts for one in _truths(rows, References)]
    references = ReferenceCorpus(written)
    said = [text_of(row.answer) for row in rows]
    ways = {MODEL: TextScores(said, references, metrics, judges)}
    for name, text in _constant(task, rows, written, references).items():
        ways[name] = TextScores([text] * len(rows), references, metrics, judges)
    tables = []
    for group, places in _groups(task, rows).items():
        lines = [ScoreLine(name, way.of(places)) for name, way in ways.items()]
        columns = [name for name in metrics if name in lines[0].values]
        tables.append(ScoreTable(group, len(places), columns, lines))
    notes = [_TEXT_NOTE] if any(isinstance(r.answer, Unparsed) for r in rows) else []
    return tables, [*notes, _COMMONEST_NOTE, *judges.notes]


def _groups(task: Task, rows: Sequence[AnswerRow]) -> dict[str, list[int]]:
    """Places of all rows; of captions also those of changed and of unchanged pairs."""
    groups = {"all pairs": list(range(len(rows)))}
    if task is Task.CAPTION:
        for name, changed in (("changed pairs", True), ("unchanged pairs", False)):
            groups[name] = [place for place, row in enumerate(rows) if row.changed is changed]
    else:
        groups = {"": groups["all pairs"]}
    return {name: places for name, places in groups.items() if places}


def _constant(
    task: Task,
    rows: Sequence[AnswerRow],
    written: Sequence[Sequence[str]],
    references: ReferenceCorpus,
) -> dict[str, str]:
    """The same text always: of captions the best sentence that means no change, and the commonest.

    The commonest is that of the changed pairs where there are any, because over all pairs it would
    be such a sentence again.
    """
    texts: dict[str, str] = {}
    if task is Task.CAPTION:
        texts["no change"] = max(NO_CHANGE_SENTENCES, key=lambda t: _fit_of_text(t, references))
        changed = [each for row, each in zip(rows, written, strict=True) if row.changed]
        written = changed or written
    counted = Counter(" ".join(text.split()) for each in written for text in each)
    texts["commonest"] = counted.most_common(1)[0][0]
    unlike = {text: name for name, text in reversed(texts.items())}
    return {f'{name}: "{one_line(text)}"': text for text, name in reversed(unlike.items())}


def _fit_of_text(text: str, references: ReferenceCorpus) -> tuple[float, float]:
    """How well one text fits all: CIDEr-D, and ROUGE-L where that cannot tell."""
    said = words(text)
    return (
        sum(references.cider.scores([said] * len(references.texts))),
        sum(coco_rouge_l(said, each) for each in references.words),
    )
