"""How well a pupil does on lessons it has not learned: what early stopping looks at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from geochg.datasets.examples import PICTURES
from geochg.datasets.telling.facts import cells_of
from geochg.errors import RunError
from geochg.models.deltavlm.processing import IGNORED
from geochg.records import (
    Answer,
    Caption,
    Counts,
    Dialogue,
    Exchange,
    GridCell,
    Locations,
    Outlines,
    Presence,
    Question,
    Reply,
    Task,
    TileFailure,
)
from geochg.tasks import SPECS, TURN_BREAK, ask
from geochg.tasks.lexicon import ASKED
from geochg.training.tuning.lesson import Lesson, Lessons
from geochg.training.tuning.options import Metric
from geochg.training.tuning.pupil import Pupil

if TYPE_CHECKING:
    from geochg.models.base import ChangeModel
    from geochg.records import TileAnswers

LOWER_IS_BETTER = {Metric.LOSS, Metric.COUNT}

Gather = Callable[[list[Any]], list[Any]]
"""Joins what all processes found, in each of them."""


class Found(NamedTuple):
    """What came of one lesson.

    Attributes:
        metric: Which it counts for.
        good: Of `loss` the sum over tokens, of `count` the sum of errors, else what was right.
        wrong: Only of `locate`: cells that were missed or made up.
        number: What `good` is divided by for a mean.
    """

    metric: Metric
    good: float
    wrong: float
    number: float


def scores(found: Iterable[Found]) -> dict[str, float]:
    """The metrics by name; those that nothing was found for are not there.

    `loss` is the mean over tokens, `presence` and `exact` are accuracies, `locate` is the micro F1
    of cells, `count` the mean absolute error; shares are 0-1.
    """
    sums: dict[Metric, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for metric, *values in found:
        sums[metric] = [a + b for a, b in zip(sums[metric], values, strict=True)]
    told = {}
    for metric, (good, wrong, number) in sorted(sums.items()):
        if metric is Metric.LOCATE:
            told[str(metric)] = 2 * good / (2 * good + wrong) if good + wrong else 1.0
        else:
            told[str(metric)] = good / number
    return told


def evaluated(
    pupil: Pupil, lessons: Lessons, metric: Metric, batch: int, gather: Gather = list
) -> dict[str, float]:
    """The loss on some lessons, and what a metric needs to be known.

    Args:
        pupil: Left in the mode it was in.
        lessons: This process's share of them.
        metric: Answers are only asked for where it needs them.
        batch: Lessons at once; no more of them are held in memory.
        gather: See `Gather`.
    """
    training = pupil.training
    pupil.eval()
    try:
        model = None if metric is Metric.LOSS else pupil.model()
        found = list[Found]()
        for part in lessons.batches(batch):
            found.append(_loss(pupil, part))
            if model is not None:
                found += _answered(model, part)
    finally:
        pupil.train(training)
    return scores(gather(found))


@torch.no_grad()
def _loss(pupil: Pupil, lessons: Sequence[Lesson]) -> Found:
    device = next(pupil.parameters()).device
    inputs = {name: part.to(device) for name, part in pupil.inputs(lessons).items()}
    tokens = int((inputs["labels"] != IGNORED).sum())
    return Found(Metric.LOSS, float(pupil(**inputs)["words"]), 0, tokens)


def _answered(model: ChangeModel, lessons: Sequence[Lesson]) -> Iterator[Found]:
    for group in _alike(lessons):
        first = group[0]
        # Of a free talk the model is asked the first turn alone, then the others one by one.
        free = first.task is Task.QUESTION
        text = first.asked[0] if free else TURN_BREAK.join(first.asked)
        questions = [Question(first.task, text)]
        if first.task is Task.LOCATE and _gates(model):
            questions.append(ask(Task.PRESENCE))
        given = model.answer([lesson.tile() for lesson in group], questions)
        for lesson, answers in zip(group, given, strict=True):
            answer = _standing(answers)
            yield from _talked(model, lesson, answer) if free else _compared(lesson, answer)


def _alike(lessons: Sequence[Lesson]) -> Iterable[Sequence[Lesson]]:
    """Lessons that can be asked together: with the same questions and of one size."""
    groups: dict[object, list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        groups[lesson.task, lesson.asked, lesson.before.shape].append(lesson)
    return groups.values()


def _gates(model: ChangeModel) -> bool:
    """Whether outlines count only where the model also says that something changed."""
    known = model.capabilities
    return known.location == "mask" and Task.PRESENCE in known.tasks


def _standing(answers: TileAnswers) -> Answer | None:
    """The answer to the first question as `analyze` takes it; None where none came."""
    if isinstance(answers, TileFailure):
        return None
    answer, *others = answers
    if any(isinstance(other, Presence) and not other.changed for other in others):
        return Locations({})
    return answer


def _talked(model: ChangeModel, lesson: Lesson, first: Answer | None) -> Iterator[Found]:
    """What each turn of a free talk counts for, asked after what the data says before it."""
    turns = [Exchange(*turn) for turn in zip(lesson.asked, lesson.said, strict=True)]
    for place, turn in enumerate(turns):
        answer = first if place == 0 else _reply(model, lesson, turns[:place], turn.question)
        words = _words(answer)
        right = words is not None and words.split() == turn.answer.split()
        yield Found(Metric.EXACT, float(right), 0, 1)


def _reply(
    model: ChangeModel, lesson: Lesson, before: Sequence[Exchange], question: str
) -> Answer | None:
    try:
        said = "".join(model.talk(lesson.tile(), PICTURES, before, question))
    except RunError:
        return None
    return SPECS[Task.QUESTION].parse(said, [question])


def _compared(lesson: Lesson, answer: Answer | None) -> Iterator[Found]:
    """What an answer counts for; one that makes no sense, or never came, is always wrong.

    It counts as further off than "none" would, so that no run wins by saying nothing readable.
    """
    spec = SPECS[lesson.task]
    truth = spec.parse(spec.joined(lesson.said))
    if isinstance(truth, Presence):
        right = isinstance(answer, Presence) and answer.changed == truth.changed
        yield Found(Metric.PRESENCE, float(right), 0, 1)
    elif isinstance(truth, Counts):
        errors = [_count_error(truth, answer, name) for name in ASKED]
        yield Found(Metric.COUNT, float(sum(errors)), 0, len(errors))
    elif isinstance(truth, Locations):
        yield _cells_found(truth, answer)
    elif (words := _words(truth)) is not None:
        said = _words(answer)
        right = said is not None and said.split() == words.split()
        yield Found(Metric.EXACT, float(right), 0, 1)


def _count_error(truth: Counts, answer: Answer | None, name: str) -> int:
    number = truth.counts.get(name, 0)
    if not isinstance(answer, Counts):
        return number + 1
    return abs(answer.counts.get(name, 0) - number)


def _cells_found(truth: Locations, answer: Answer | None) -> Found:
    there = {(name, cell) for name in ASKED for cell in truth.cells.get(name, ())}
    if not isinstance(answer, Locations | Outlines):
        return Found(Metric.LOCATE, 0, len(there) + 1, len(there) + 1)
    said = {(name, cell) for name, cells in cells_said(answer).items() for cell in cells}
    return Found(Metric.LOCATE, len(there & said), len(there ^ said), len(there | said))


def cells_said(answer: Answer | None) -> Mapping[str, Iterable[GridCell]]:
    """The cells that an answer names of each class that the prompts ask for."""
    if isinstance(answer, Locations):
        return {name: answer.cells.get(name, ()) for name in ASKED}
    if not isinstance(answer, Outlines):
        return {}
    strongest = answer.probability.argmax(axis=0)
    changed = answer.probability.max(axis=0) >= answer.threshold
    names = [channel.class_name for channel in answer.channels]
    return {
        name: cells_of(changed & (_is_of(name, names)[strongest]))
        for name in ASKED
        if name in names
    }


def _is_of(name: str, names: Sequence[str]) -> Any:  # noqa: ANN401
    """`(channels,)` bool: which are of a class."""
    import numpy as np

    return np.array([each == name for each in names])


def _words(answer: Answer | None) -> str | None:
    if isinstance(answer, Caption | Reply):
        return answer.text
    return answer.description if isinstance(answer, Dialogue) else None
