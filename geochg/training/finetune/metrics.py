"""How well a pupil does on rows it has not learned: what early stopping looks at.

What is asked, how, and what texts are worth is `geochg evaluate`'s own code, so that a metric here
is the number there; but answers that make no sense, which a table leaves out of some of its means,
always count as wrong here, and by more than "none" would: no run shall win by saying nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from geochg.evaluation.answers import AnswerRow
from geochg.evaluation.collect_answers import answer_rows
from geochg.evaluation.items import Item, readable_items
from geochg.evaluation.optional_metrics import OptionalMetrics
from geochg.evaluation.text_scores import ReferenceCorpus, TextScores
from geochg.evaluation.values import References, text_of
from geochg.models.deltavlm.processing import IGNORED
from geochg.records import Counts, Locations, Presence, Task
from geochg.tasks.lexicon import ASKED
from geochg.training.finetune.options import Metric
from geochg.training.finetune.sample import Lesson, Lessons
from geochg.training.finetune.trainable_model import Pupil

if TYPE_CHECKING:
    from geochg.datasets.examples import Example

LOWER_IS_BETTER = {Metric.LOSS, Metric.COUNT}

TEXTS = (Task.CAPTION, Task.QUESTION, Task.DIALOGUE)
"""The tasks whose answers are texts, in the order in which metrics of texts look for one."""

_OF_ONE_TASK = {
    Metric.PRESENCE: Task.PRESENCE,
    Metric.COUNT: Task.COUNT,
    Metric.LOCATE: Task.LOCATE,
}

Gather = Callable[[list[Any]], list[Any]]
"""Joins what all processes found, in each of them."""


@dataclass(frozen=True)
class Exam:
    """What a pupil is examined on.

    Attributes:
        examples: All rows that are held out; the loss is over these.
        metric: What is watched.
        items: The questions that the metric is about; none where it is the loss, or where no row
            asks for it.
    """

    examples: Sequence[Example]
    metric: Metric
    items: Sequence[Item]

    @classmethod
    def of(cls, examples: Sequence[Example], metric: Metric) -> Exam:
        """The exam on some rows; those whose own answer cannot be read count for the loss only."""
        items = () if metric is Metric.LOSS else readable_items(examples)[0]
        tasks = _tasks(metric, {item.question.task for item in items})
        return cls(examples, metric, [item for item in items if item.question.task in tasks])


def _tasks(metric: Metric, there: set[Task]) -> tuple[Task, ...]:
    """The tasks that a metric is about, of those that are asked."""
    if metric in _OF_ONE_TASK:
        return (_OF_ONE_TASK[metric],)
    texts = tuple(task for task in TEXTS if task in there)
    # As in a table of `geochg evaluate`, texts are scored among their like.
    return texts if metric is Metric.EXACT else texts[:1]


class Share(NamedTuple):
    """The part of an exam that one process takes.

    Attributes:
        place: Of the process among all.
        processes: How many they are.
        gather: See `Gather`.
    """

    place: int = 0
    processes: int = 1
    gather: Gather = list


ALONE = Share()


def examined(pupil: Pupil, exam: Exam, batch: int, share: Share = ALONE) -> dict[str, float]:
    """The loss, and the metric where the exam has questions for it.

    Args:
        pupil: Left in the mode it was in.
        exam: On what.
        batch: Rows or pairs at once; only a few such batches are held in memory.
        share: What this process takes of it; all get the same numbers.

    Returns:
        By name: `loss` as training computes it, the mean over tokens, with `seeing` added where
        the pupil learns to see, which then stands beside it; `presence` and `exact`, accuracies;
        `locate`, the micro F1 of cells; `count`, the mean absolute error; and the scores of texts
        by the names of `evaluation.text_scores`. Shares are 0-1, CIDEr-D is 0-10.
    """
    training = pupil.training
    pupil.eval()
    try:
        lost = list(_losses(pupil, exam.examples[share.place :: share.processes], batch))
        rows = _answered(pupil, exam, batch, share)
    finally:
        pupil.train(training)
    told = _mean_loss(share.gather(lost))
    if rows := sorted(share.gather(rows), key=lambda row: row.item):
        told[str(exam.metric)] = scored(exam.metric, rows)
    return told


# --- the loss ------------------------------------------------------------------------------------


class _Lost(NamedTuple):
    """What was lost on a batch: on words over all tokens, and on seeing over all pairs."""

    words: float
    tokens: int
    seeing: float
    pairs: int


@torch.no_grad()
def _losses(pupil: Pupil, examples: Sequence[Example], batch: int) -> Iterator[_Lost]:
    device = next(pupil.parameters()).device
    for lessons in Lessons(examples, masks=pupil.wants_masks).batches(batch):
        inputs = {name: part.to(device) for name, part in pupil.inputs(lessons).items()}
        losses = pupil(**inputs)
        pairs = _with_masks(lessons) if "seeing" in losses else 0
        yield _Lost(
            float(losses["words"]),
            int((inputs["labels"] != IGNORED).sum()),
            float(losses["seeing"]) * pairs if pairs else 0.0,
            pairs,
        )


def _with_masks(lessons: Sequence[Lesson]) -> int:
    return sum(lesson.masks is not None for lesson in lessons)


def _mean_loss(lost: Sequence[_Lost]) -> dict[str, float]:
    tokens, pairs = sum(each.tokens for each in lost), sum(each.pairs for each in lost)
    if not tokens:
        return {}
    loss = sum(each.words for each in lost) / tokens
    if not pairs:
        return {str(Metric.LOSS): loss}
    seeing = sum(each.seeing for each in lost) / pairs
    return {str(Metric.LOSS): loss + seeing, "seeing": seeing}


# --- answers -------------------------------------------------------------------------------------


def _answered(pupil: Pupil, exam: Exam, batch: int, share: Share) -> list[AnswerRow]:
    """What the pupil says about this process's share of the pairs."""
    pairs = list(dict.fromkeys(item.example.paths for item in exam.items))
    mine = set(pairs[share.place :: share.processes])
    if not mine:
        return []
    model = pupil.model()
    asked = [
        (number, item)
        for number, item in enumerate(exam.items)
        if item.example.paths in mine and item.question.task in model.capabilities.tasks
    ]
    with closing(answer_rows(asked, model, batch)) as found:
        return [row for rows in found for row in rows]


def scored(metric: Metric, rows: Sequence[AnswerRow]) -> float:
    """What answers are worth.

    Args:
        metric: Any but the loss.
        rows: To questions that it is about, at least one; all of one task where it scores texts
            against each other.
    """
    if metric is Metric.PRESENCE:
        return fmean(_is_right(row) for row in rows)
    if metric is Metric.COUNT:
        return fmean(error for row in rows for error in _count_errors(row))
    if metric is Metric.LOCATE:
        return _cells_f1(rows)
    if metric is Metric.EXACT:
        return fmean(_is_exact(row) for row in rows)
    written = ReferenceCorpus([_texts(row) for row in rows])
    said = [text_of(row.answer) for row in rows]
    return TextScores(said, written, (str(metric),), OptionalMetrics()).of(range(len(rows)))[
        str(metric)
    ]


def _is_right(row: AnswerRow) -> bool:
    given, truth = row.answer, row.truth
    return (
        isinstance(given, Presence)
        and isinstance(truth, Presence)
        and given.changed == truth.changed
    )


def _count_errors(row: AnswerRow) -> list[int]:
    """Of each class; one more than "none" would be off where the answer makes no sense."""
    truth = row.truth.counts if isinstance(row.truth, Counts) else {}
    if not isinstance(row.answer, Counts):
        return [truth.get(name, 0) + 1 for name in _classes(truth)]
    said = row.answer.counts
    return [abs(said.get(name, 0) - truth.get(name, 0)) for name in _classes(truth)]


def _cells_f1(rows: Sequence[AnswerRow]) -> float:
    """Over all cells of all pairs; an answer that makes no sense names a cell that is not there."""
    right = wrong = 0
    for row in rows:
        cells = row.truth.cells if isinstance(row.truth, Locations) else {}
        there = {(name, cell) for name in _classes(cells) for cell in cells.get(name, ())}
        if not isinstance(row.answer, Locations):
            wrong += len(there) + 1
            continue
        named = row.answer.cells
        said = {(name, cell) for name in _classes(cells) for cell in named.get(name, ())}
        right, wrong = right + len(there & said), wrong + len(there ^ said)
    return 2 * right / (2 * right + wrong) if right + wrong else 1.0


def _is_exact(row: AnswerRow) -> bool:
    said = text_of(row.answer).split()
    return bool(said) and any(said == text.split() for text in _texts(row))


def _texts(row: AnswerRow) -> tuple[str, ...]:
    return row.truth.texts if isinstance(row.truth, References) else ()


def _classes(told: Mapping[str, object]) -> tuple[str, ...]:
    """The two that the prompts ask for, and others that a truth speaks of."""
    return tuple(dict.fromkeys((*ASKED, *told)))
