"""The scores of each task, beside baselines that need no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geochg.errors import RunError
from geochg.evaluation.answers import AnswerRow, AnswerSet
from geochg.evaluation.caption_metrics import coco_rouge_l, words
from geochg.evaluation.optional_metrics import OptionalMetrics
from geochg.evaluation.options import FitMetric
from geochg.evaluation.scores import MODEL, baseline_scores, difference_threshold, scores
from geochg.evaluation.tables import (
    PublishedScores,
    ScoreLine,
    ScoreTable,
    TaskScores,
    Values,
    one_line,
)
from geochg.evaluation.text_scores import (
    CAPTION_METRICS,
    DIALOGUE_METRICS,
    ReferenceCorpus,
    TextScores,
)
from geochg.evaluation.values import FailedAnswer, References, text_of
from geochg.records import GRID_CELLS, Counts, Locations, Presence, Task, Unparsed
from geochg.tasks.lexicon import ASKED
from geochg.tasks.statements import NO_CHANGE_SENTENCES

TEXTS = (Task.CAPTION, Task.DIALOGUE, Task.QUESTION)
"""The tasks whose answers are texts."""

_Kind = TypeVar("_Kind", Presence, Counts, Locations, References)


def task_scores(
    answers: AnswerSet, optional: OptionalMetrics, published: Sequence[PublishedScores] = ()
) -> list[TaskScores]:
    """The scores of every task that was asked.

    Args:
        answers: Answers with their truths.
        optional: Optional metrics of this machine.
        published: Published scores to set beside.

    Raises:
        RunError: If there is no answer at all, or METEOR fails.
        InputError: If the folder for BERTScore holds no encoder.
        OptionError: If a package that scores texts is missing.
    """
    failures = [r.answer.reason for r in answers.rows if isinstance(r.answer, FailedAnswer)]
    if len(failures) == len(answers.rows):
        reason = f": {one_line(failures[0], 200)}" if failures and failures[0] else ""
        raise RunError(
            f"the model answered none of {len(answers.rows)} questions{reason}",
            "look at its answers with geochg ask",
        )
    by_task: dict[Task, list[AnswerRow]] = {}
    for row in sorted(answers.rows, key=lambda row: row.item):
        by_task.setdefault(row.task, []).append(row)
    return [
        _scores_of_task(task, by_task[task], optional, [s for s in published if s.task == task])
        for task in Task
        if task in by_task
    ]


def task_tables(task: Task, rows: Sequence[AnswerRow]) -> list[ScoreTable]:
    """The tables of a task that is not about texts, one for each class where it has classes.

    Args:
        task: Presence, count or locate.
        rows: Its answered rows; at least one.
    """
    return _TABLES[task](rows)[0]


def _scores_of_task(
    task: Task,
    rows: Sequence[AnswerRow],
    optional: OptionalMetrics,
    published: Sequence[PublishedScores],
) -> TaskScores:
    answered_rows = [row for row in rows if not isinstance(row.answer, FailedAnswer)]
    unparsed = sum(isinstance(row.answer, Unparsed) for row in answered_rows)
    tables, notes = list[ScoreTable](), list[str]()
    if answered_rows:
        score = _TABLES.get(task)
        tables, notes = score(answered_rows) if score else _texts(task, answered_rows, optional)
    if not unparsed:
        notes = [note for note in notes if note not in _UNPARSED.values()]
    tables = [_with_published(table, published) for table in tables]
    failed = len(rows) - len(answered_rows)
    return TaskScores(str(task), len(answered_rows), unparsed, failed, tables, notes)


def _with_published(table: ScoreTable, published: Sequence[PublishedScores]) -> ScoreTable:
    """The table with the lines that others published of its group."""
    lines = [scores.line for scores in published if scores.group == table.group]
    return ScoreTable(table.group, table.items, table.columns, [*table.lines, *lines])


_UNPARSED = {
    Task.PRESENCE: "an unparsed answer counts as the wrong one; AUROC is over the others",
    Task.COUNT: "an unparsed answer is no exact match; MAE and RMSE, also of the baselines, are "
    "over the others",
    Task.LOCATE: "an unparsed answer names no cell and is no exact match",
}
"""Notes on how answers that made no sense are scored."""

_COMMONEST_NOTE = "the commonest text is taken from this very set, which flatters it"
_TEXT_NOTE = "an unparsed answer is scored by its words, as the papers do"


def _truths(rows: Sequence[AnswerRow], kind: type[_Kind]) -> list[_Kind]:
    return [row.truth for row in rows if isinstance(row.truth, kind)]


# --- presence ------------------------------------------------------------------------------------


def _presence(rows: Sequence[AnswerRow]) -> tuple[list[ScoreTable], list[str]]:
    truth = np.array([presence.changed for presence in _truths(rows, Presence)], bool)
    answers = [
        row.answer.changed if isinstance(row.answer, Presence) else not changed
        for row, changed in zip(rows, truth, strict=True)
    ]
    of_model = scores(truth, np.array(answers, bool), None).to_dict() | {"auroc": _auroc(rows)}
    difference = np.array([row.difference for row in rows], float)
    threshold = difference_threshold(truth, difference, FitMetric.BALANCED_ACCURACY)
    baselines = baseline_scores(truth, difference, threshold)
    lines = [ScoreLine(name, baseline.to_dict()) for name, baseline in baselines.items()]
    notes = [_UNPARSED[Task.PRESENCE]]
    if threshold is not None:
        notes.append("differencing has the best threshold on these very pairs")
    columns = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "auroc")
    return [ScoreTable("", len(rows), columns, [ScoreLine(MODEL, of_model), *lines])], notes


def _auroc(rows: Sequence[AnswerRow]) -> float | None:
    """AUROC over the answers that made sense; None where one of them has no probability."""
    parsed = [row for row in rows if isinstance(row.answer, Presence)]
    likely = [p for row in parsed if (p := getattr(row.answer, "probability", None)) is not None]
    if not parsed or len(likely) < len(parsed):
        return None
    truth = np.array([presence.changed for presence in _truths(parsed, Presence)], bool)
    return scores(truth, truth, np.array(likely, float)).auroc


# --- count ---------------------------------------------------------------------------------------


def _count(rows: Sequence[AnswerRow]) -> tuple[list[ScoreTable], list[str]]:
    tables = []
    truths = _truths(rows, Counts)
    for name in _classes([truth.counts for truth in truths]):
        truth = np.array([counts.counts.get(name, 0) for counts in truths], float)
        # A class that is not spoken of is one of which nothing changed.
        answers = np.array(
            [
                r.answer.counts.get(name, 0) if isinstance(r.answer, Counts) else np.nan
                for r in rows
            ],
            float,
        )
        parsed = ~np.isnan(answers)
        lines = [
            ScoreLine(MODEL, _count_errors(truth, answers, parsed)),
            ScoreLine("always 0", _count_errors(truth, np.zeros_like(truth), parsed)),
            ScoreLine(
                "always the mean", _count_errors(truth, np.full_like(truth, truth.mean()), parsed)
            ),
        ]
        tables.append(ScoreTable(name, len(rows), ("mae", "rmse", "exact"), lines))
    return tables, [_UNPARSED[Task.COUNT]]


def _count_errors(
    truth: NDArray[np.float64], answers: NDArray[np.float64], parsed: NDArray[np.bool_]
) -> Values:
    exact = float(np.mean(answers == truth))
    if not parsed.any():
        return {"mae": None, "rmse": None, "exact": exact}
    gap = answers[parsed] - truth[parsed]
    mae, rmse = float(np.abs(gap).mean()), float(np.sqrt((gap**2).mean()))
    return {"mae": mae, "rmse": rmse, "exact": exact}


# --- locate --------------------------------------------------------------------------------------


def _locate(rows: Sequence[AnswerRow]) -> tuple[list[ScoreTable], list[str]]:
    tables = []
    truths = _truths(rows, Locations)
    for name in _classes([truth.cells for truth in truths]):
        truth = [frozenset(locations.cells.get(name, ())) for locations in truths]
        answers = [
            frozenset(r.answer.cells.get(name, ())) if isinstance(r.answer, Locations) else None
            for r in rows
        ]
        lines = [
            ScoreLine(MODEL, _cell_scores(truth, answers)),
            ScoreLine("nothing", _cell_scores(truth, [frozenset()] * len(rows))),
            ScoreLine("all nine cells", _cell_scores(truth, [frozenset(GRID_CELLS)] * len(rows))),
        ]
        tables.append(ScoreTable(name, len(rows), ("precision", "recall", "f1", "exact"), lines))
    return tables, [_UNPARSED[Task.LOCATE]]


def _cell_scores(
    truth: Sequence[frozenset[object]], answers: Sequence[frozenset[object] | None]
) -> Values:
    """Micro-averaged over all cells of all pairs; None names no cell and is never exact."""
    named_cells = [cells or frozenset() for cells in answers]
    right = sum(len(cells & other) for cells, other in zip(truth, named_cells, strict=True))
    of_truth, of_named = sum(map(len, truth)), sum(map(len, named_cells))
    exact = sum(cells == other for cells, other in zip(truth, answers, strict=True))
    return {
        "precision": right / of_named if of_named else None,
        "recall": right / of_truth if of_truth else None,
        "f1": 2 * right / (of_truth + of_named) if of_truth + of_named else None,
        "exact": exact / len(truth),
    }


def _classes(answers: Sequence[Mapping[str, object]]) -> list[str]:
    """The two classes that the prompts ask for, and others that occur."""
    return list(dict.fromkeys((*ASKED, *(name for answer in answers for name in answer))))


# --- texts ---------------------------------------------------------------------------------------


def _texts(
    task: Task, rows: Sequence[AnswerRow], optional: OptionalMetrics
) -> tuple[list[ScoreTable], list[str]]:
    scored = text_scores_by_method(task, rows, optional)
    tables = []
    for group, indexes in _groups(task, rows).items():
        lines = [ScoreLine(name, text_scores.of(indexes)) for name, text_scores in scored.items()]
        tables.append(ScoreTable(group, len(indexes), list(lines[0].values), lines))
    notes = [_TEXT_NOTE] if any(isinstance(r.answer, Unparsed) for r in rows) else []
    return tables, [*notes, _COMMONEST_NOTE, *optional.notes]


def text_scores_by_method(
    task: Task, rows: Sequence[AnswerRow], optional: OptionalMetrics
) -> dict[str, TextScores]:
    """The scores of the model's texts and of those that are always the same, by name.

    Args:
        task: A task of `TEXTS`.
        rows: Its answered rows; at least one.
        optional: Optional metrics of this machine.
    """
    metrics = CAPTION_METRICS if task is Task.CAPTION else DIALOGUE_METRICS
    references = ReferenceCorpus([truth.texts for truth in _truths(rows, References)])
    texts = {MODEL: [text_of(row.answer) for row in rows]}
    for name, text in _constant_texts(task, rows, references).items():
        texts[name] = [text] * len(rows)
    return {n: TextScores(t, references, metrics, optional) for n, t in texts.items()}


def _groups(task: Task, rows: Sequence[AnswerRow]) -> dict[str, list[int]]:
    """Indexes of all rows; of captions also those of changed and of unchanged pairs."""
    if task is not Task.CAPTION:
        return {"": list(range(len(rows)))}
    groups = {
        "all pairs": list(range(len(rows))),
        "changed pairs": [i for i, row in enumerate(rows) if row.changed is True],
        "unchanged pairs": [i for i, row in enumerate(rows) if row.changed is False],
    }
    return {name: indexes for name, indexes in groups.items() if indexes}


def _constant_texts(
    task: Task, rows: Sequence[AnswerRow], references: ReferenceCorpus
) -> dict[str, str]:
    """The same text always: of captions the best sentence that means no change, and the commonest.

    The commonest is that of the changed pairs where there are any, because over all pairs it would
    be such a sentence again.
    """
    texts: dict[str, str] = {}
    reference_texts = references.texts
    if task is Task.CAPTION:
        texts["no change"] = max(NO_CHANGE_SENTENCES, key=lambda t: _text_fit(t, references))
        changed = [group for row, group in zip(rows, reference_texts, strict=True) if row.changed]
        reference_texts = changed or reference_texts
    text_counts = Counter(" ".join(text.split()) for group in reference_texts for text in group)
    texts["commonest"] = text_counts.most_common(1)[0][0]
    unlike = {text: name for name, text in reversed(texts.items())}
    return {f'{name}: "{one_line(text)}"': text for text, name in reversed(unlike.items())}


def _text_fit(text: str, references: ReferenceCorpus) -> tuple[float, float]:
    """The fit of one text to all items: CIDEr-D, and ROUGE-L where that is equal."""
    text_words = words(text)
    return (
        sum(references.cider.scores([text_words] * len(references.texts))),
        sum(coco_rouge_l(text_words, group) for group in references.words),
    )


_TABLES: Mapping[Task, Callable[[Sequence[AnswerRow]], tuple[list[ScoreTable], list[str]]]] = {
    Task.PRESENCE: _presence,
    Task.COUNT: _count,
    Task.LOCATE: _locate,
}
"""Tables and notes of each task that is not about texts."""
