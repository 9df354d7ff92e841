"""Evaluation on held-out rows while training: the loss, and the metric of early stopping.

Questions, answers and scores of texts come from `geochg evaluate`'s own code, so that a metric here
is the number there; but answers that make no sense, which a table leaves out of some of its means,
always count as wrong here, and by more than "none" would: no run shall win by saying nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import torch

from geochg.datasets.examples import Example
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
from geochg.training.finetune.sample import load_batches
from geochg.training.finetune.trainable_model import TrainableModel

LOWER_IS_BETTER = {Metric.LOSS, Metric.COUNT}

_TEXT_TASKS = (Task.CAPTION, Task.QUESTION, Task.DIALOGUE)
"""The tasks whose answers are texts, in the order in which metrics of texts look for one."""

_TASK_OF_METRIC = {
    Metric.PRESENCE: Task.PRESENCE,
    Metric.COUNT: Task.COUNT,
    Metric.LOCATE: Task.LOCATE,
}

Gather = Callable[[list[Any]], list[Any]]
"""Joins the lists of all processes, in each of them."""


@dataclass(frozen=True)
class ValidationSet:
    """The rows on which a model is evaluated while it is trained.

    Attributes:
        examples: All rows that are held out; the loss is over these.
        metric: The metric of early stopping.
        items: The questions that the metric is about; none where it is the loss, or where no row
            asks for it.
    """

    examples: Sequence[Example]
    metric: Metric
    items: Sequence[Item]

    @classmethod
    def of(cls, examples: Sequence[Example], metric: Metric) -> ValidationSet:
        """The set of some rows; those whose own answer cannot be read count for the loss only."""
        items = () if metric is Metric.LOSS else readable_items(examples)[0]
        tasks = _tasks_of(metric, {item.question.task for item in items})
        return cls(examples, metric, [item for item in items if item.question.task in tasks])


def _tasks_of(metric: Metric, known_tasks: set[Task]) -> tuple[Task, ...]:
    """The tasks that a metric is about, of those that are known to be asked."""
    if metric in _TASK_OF_METRIC:
        return (_TASK_OF_METRIC[metric],)
    texts = tuple(task for task in _TEXT_TASKS if task in known_tasks)
    # As in a table of `geochg evaluate`, texts are scored among their like.
    return texts if metric is Metric.EXACT else texts[:1]


class ProcessShare(NamedTuple):
    """The part of an evaluation that a process takes.

    Attributes:
        rank: Number of the process.
        processes: Number of all processes.
        gather: See `Gather`.
    """

    rank: int = 0
    processes: int = 1
    gather: Gather = list


WHOLE_EVALUATION = ProcessShare()


def evaluate(
    model: TrainableModel,
    validation: ValidationSet,
    batch_size: int,
    share: ProcessShare = WHOLE_EVALUATION,
) -> dict[str, float]:
    """The loss, and the metric where the validation set has questions for it.

    Args:
        model: The model, which is left in the mode it was in.
        validation: The rows.
        batch_size: Rows or pairs at once; only a few such batches are held in memory.
        share: The part that this process takes; all processes get the same numbers.

    Returns:
        By name: `loss` as training computes it, the mean over tokens, with `seeing` added where
        the model learns from masks, which then stands beside it; `presence` and `exact`,
        accuracies; `locate`, the micro F1 of cells; `count`, the mean absolute error; and the
        scores of texts by the names of `evaluation.text_scores`. Shares are 0-1, CIDEr-D is 0-10.
    """
    training = model.training
    model.eval()
    try:
        examples = validation.examples[share.rank :: share.processes]
        losses = list(_batch_losses(model, examples, batch_size))
        rows = _answered_rows(model, validation, batch_size, share)
    finally:
        model.train(training)
    metrics = _mean_losses(share.gather(losses))
    if rows := sorted(share.gather(rows), key=lambda row: row.item):
        metrics[str(validation.metric)] = metric_score(validation.metric, rows)
    return metrics


# --- the loss ------------------------------------------------------------------------------------


class _BatchLoss(NamedTuple):
    """The losses of a batch: of its text summed over tokens, of its masks summed over pairs."""

    text: float
    tokens: int
    seeing: float
    pairs: int


@torch.no_grad()
def _batch_losses(
    model: TrainableModel, examples: Sequence[Example], batch_size: int
) -> Iterator[_BatchLoss]:
    device = next(model.parameters()).device
    for samples in load_batches(examples, model.wants_masks, batch_size):
        inputs = {name: part.to(device) for name, part in model.batch(samples).items()}
        losses = model(**inputs)
        pairs = sum(s.masks is not None for s in samples) if "seeing" in losses else 0
        yield _BatchLoss(
            float(losses["text"]),
            int((inputs["labels"] != IGNORED).sum()),
            float(losses["seeing"]) * pairs if pairs else 0.0,
            pairs,
        )


def _mean_losses(batches: Sequence[_BatchLoss]) -> dict[str, float]:
    tokens, pairs = sum(batch.tokens for batch in batches), sum(batch.pairs for batch in batches)
    if not tokens:
        return {}
    loss = sum(batch.text for batch in batches) / tokens
    if not pairs:
        return {str(Metric.LOSS): loss}
    seeing = sum(batch.seeing for batch in batches) / pairs
    return {str(Metric.LOSS): loss + seeing, "seeing": seeing}


# --- answers -------------------------------------------------------------------------------------


def _answered_rows(
    model: TrainableModel, validation: ValidationSet, batch_size: int, share: ProcessShare
) -> list[AnswerRow]:
    """The model's answers about this process's share of the pairs."""
    pairs = list(dict.fromkeys(item.example.paths for item in validation.items))
    own_pairs = set(pairs[share.rank :: share.processes])
    if not own_pairs:
        return []
    change_model = model.change_model()
    items = [
        (number, item)
        for number, item in enumerate(validation.items)
        if item.example.paths in own_pairs and item.question.task in change_model.capabilities.tasks
    ]
    with closing(answer_rows(items, change_model, batch_size)) as groups:
        return [row for rows in groups for row in rows]


def metric_score(metric: Metric, rows: Sequence[AnswerRow]) -> float:
    """The value of a metric over answers.

    Args:
        metric: Any but the loss.
        rows: Answers to questions that it is about, at least one; all of one task where it scores
            texts against each other.
    """
    if metric is Metric.PRESENCE:
        return fmean(_is_right(row) for row in rows)
    if metric is Metric.COUNT:
        return fmean(error for row in rows for error in _count_errors(row))
    if metric is Metric.LOCATE:
        return _cells_f1(rows)
    if metric is Metric.EXACT:
        return fmean(_is_exact(row) for row in rows)
    references = ReferenceCorpus([_reference_texts(row) for row in rows])
    texts = [text_of(row.answer) for row in rows]
    scores = TextScores(texts, references, (str(metric),), OptionalMetrics())
    return scores.of(range(len(rows)))[str(metric)]


def _is_right(row: AnswerRow) -> bool:
    given_answer, truth = row.answer, row.truth
    return (
        isinstance(given_answer, Presence)
        and isinstance(truth, Presence)
        and given_answer.changed == truth.changed
    )


def _count_errors(row: AnswerRow) -> list[int]:
    """The error of each class; one more than "none" would have where the answer makes no sense."""
    truth = row.truth.counts if isinstance(row.truth, Counts) else {}
    if not isinstance(row.answer, Counts):
        return [truth.get(name, 0) + 1 for name in _class_names(truth)]
    counts = row.answer.counts
    return [abs(counts.get(name, 0) - truth.get(name, 0)) for name in _class_names(truth)]


def _cells_f1(rows: Sequence[AnswerRow]) -> float:
    """Over all cells of all pairs; an answer that makes no sense names a cell that is not there."""
    right = wrong = 0
    for row in rows:
        truth = row.truth.cells if isinstance(row.truth, Locations) else {}
        names = _class_names(truth)
        true_cells = {(name, cell) for name in names for cell in truth.get(name, ())}
        if not isinstance(row.answer, Locations):
            wrong += len(true_cells) + 1
            continue
        cells = {(name, cell) for name in names for cell in row.answer.cells.get(name, ())}
        right, wrong = right + len(true_cells & cells), wrong + len(true_cells ^ cells)
    return 2 * right / (2 * right + wrong) if right + wrong else 1.0


def _is_exact(row: AnswerRow) -> bool:
    words = text_of(row.answer).split()
    return bool(words) and any(words == text.split() for text in _reference_texts(row))


def _reference_texts(row: AnswerRow) -> tuple[str, ...]:
    return row.truth.texts if isinstance(row.truth, References) else ()


def _class_names(truth: Mapping[str, object]) -> tuple[str, ...]:
    """The two that the prompts ask for, and others that a truth speaks of."""
    return tuple(dict.fromkeys((*ASKED, *truth)))
