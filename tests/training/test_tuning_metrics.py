"""What early stopping and cards are told: scores of answers on rows that were held out."""

import numpy as np
import pytest
import torch

from geochg.models.base import ChangeModel
from geochg.records import Reply, Task, TileFailure
from geochg.tasks import SPECS
from geochg.training.tuning.lesson import Lesson
from geochg.training.tuning.metrics import evaluated
from geochg.training.tuning.options import Metric
from geochg.training.tuning.pupil import Pupil


class Parrot(ChangeModel):
    """Says what it was told to, whatever it is asked; notes that."""

    name = "parrot"

    def __init__(self, says):
        self.says = says
        self.asked = []

    load = identity = None

    def answer(self, tiles, questions):
        self.asked.append([question.text for question in questions])
        return [self._answers(tile, questions) for tile in tiles]

    def _answers(self, tile, questions):
        if self.says is None:
            return TileFailure(tile.window, "nothing came")
        return [
            self.says if not isinstance(self.says, str) else SPECS[q.task].parse(self.says)
            for q in questions
        ]


class Schooled(Pupil):
    """A pupil that loses nothing and answers by a model of one's own."""

    def __init__(self, model):
        super().__init__(torch.nn.Linear(1, 1))
        self.own = [model]

    def inputs(self, lessons):
        return {"labels": torch.zeros(len(lessons), 1, dtype=torch.int64)}

    def losses(self, inputs):
        return {"words": torch.tensor(0.0)}

    def model(self):
        return self.own[0]

    def save(self, folder):
        raise NotImplementedError


def lesson(task, *said, asked=None):
    pixels = np.zeros((3, 8, 8), np.uint8)
    return Lesson(pixels, pixels, task, asked or SPECS[task].prompts, said)


def scored(lessons, says, metric):
    return evaluated(Schooled(Parrot(says)), lessons, metric, batch=4)[str(metric)]


NOWHERE, CORNER = "roads: []. buildings: [].", "roads: []. buildings: ['top-left']."
NO_COUNT = "No road and no building has changed."


@pytest.mark.parametrize("nonsense", ["lorem ipsum", None])
@pytest.mark.parametrize(
    ("task", "metric", "truth", "none"),
    [
        (Task.COUNT, Metric.COUNT, NO_COUNT, NO_COUNT),
        (Task.COUNT, Metric.COUNT, "2 roads and 5 buildings have changed.", NO_COUNT),
        (Task.LOCATE, Metric.LOCATE, NOWHERE, NOWHERE),
        (Task.LOCATE, Metric.LOCATE, CORNER, NOWHERE),
    ],
)
def test_nonsense_is_never_better_than_saying_none(task, metric, truth, none, nonsense):
    sign = -1 if metric is Metric.COUNT else 1
    silent, wrong = (scored([lesson(task, truth)], says, metric) for says in (none, nonsense))
    assert sign * wrong <= sign * silent
    if truth == none:
        assert sign * wrong < sign * silent


def test_nonsense_counts_as_one_further_off_than_none():
    rows = [
        lesson(Task.COUNT, "2 roads and 5 buildings have changed."),
        lesson(Task.COUNT, NO_COUNT),
    ]
    assert scored(rows, "lorem ipsum", Metric.COUNT) == (3 + 6 + 1 + 1) / 4


@pytest.mark.parametrize("says", ["", None, Reply("something else")])
def test_a_text_that_never_came_is_not_the_same_words(says):
    assert scored([lesson(Task.CAPTION, "A new road.")], says, Metric.EXACT) == 0


def test_of_a_dialogue_the_description_is_compared():
    talk = ("Yes", "1 road and no building have changed.", "A new road crosses the place.")
    rows = [lesson(Task.DIALOGUE, *talk)]
    assert scored(rows, "\n".join(talk), Metric.EXACT) == 1
    assert scored(rows, "\n".join((*talk[:2], "A road is gone.")), Metric.EXACT) == 0
