"""What early stopping and cards are told: scores of answers on rows that were held out."""

import weakref

import numpy as np
import pytest
import torch
from lessons import write_rows

from geochg.datasets.examples import read_examples
from geochg.models.base import Capabilities, ChangeModel
from geochg.records import Change, Channel, Outlines, Presence, Reply, Task, TileFailure
from geochg.tasks import SPECS
from geochg.training.tuning import lesson as module
from geochg.training.tuning.lesson import Lesson, Lessons
from geochg.training.tuning.metrics import evaluated
from geochg.training.tuning.options import Metric
from geochg.training.tuning.pupil import Pupil


class Parrot(ChangeModel):
    """Says what it was told to, whatever it is asked; notes that."""

    name = "parrot"
    capabilities = Capabilities(
        tasks=frozenset(Task), location="grid", pixels="display", bands="rgb"
    )

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


class Given(Lessons):
    """Lessons that were made without files."""

    def __init__(self, lessons):
        self.lessons = lessons

    def batches(self, size):
        yield self.lessons


def scored(lessons, says, metric):
    return evaluated(Schooled(Parrot(says)), Given(lessons), metric, batch=4)[str(metric)]


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


def test_no_more_than_a_batch_of_pictures_is_held(tmp_path, monkeypatch):
    """Each lesson is read once, and let go before the batch after the next is read."""
    alive, most = weakref.WeakSet(), []

    def read(example):
        alive.add(found := one_lesson_of(example))
        most.append(len(alive))
        return found

    one_lesson_of = module.lesson_of
    monkeypatch.setattr(module, "lesson_of", read)
    lessons = Lessons(read_examples(write_rows(tmp_path / "d", pairs=10)))
    evaluated(Schooled(Parrot("Yes")), lessons, Metric.PRESENCE, batch=3)
    assert len(most) == 30
    assert max(most) <= 2 * 3
    asked = [[lesson.asked for lesson in part] for part in lessons.batches(10)]
    assert [len(set(each)) for each in asked] == [1, 1, 1]


class Talker(Parrot):
    """Answers rightly where it is told what was said before, and notes what it is asked."""

    def talk(self, tile, facts, exchanges, question):
        self.asked.append((tuple(exchanges), question))
        yield "It is " if len(exchanges) == 1 else "I do not "
        yield "new."


def test_free_talks_are_asked_turn_by_turn():
    rows = [lesson(Task.QUESTION, "A house.", "It is new.", asked=("What is there?", "Is it new?"))]
    model = Talker("A house.")
    assert evaluated(Schooled(model), Given(rows), Metric.EXACT, batch=4)["exact"] == 1
    assert model.asked == [["What is there?"], ((("What is there?", "A house."),), "Is it new?")]


class Outliner(Parrot):
    """Outlines a building everywhere, and says whether anything changed."""

    def __init__(self, changed):
        super().__init__(None)
        self.changed = changed

    capabilities = Capabilities(
        tasks=frozenset(Task), location="mask", pixels="display", bands="rgb"
    )

    def _answers(self, tile, questions):
        channels = (Channel("building", Change.APPEARED),)
        said = {
            Task.LOCATE: Outlines(channels, np.ones((1, 8, 8), np.float32)),
            Task.PRESENCE: Presence(self.changed),
        }
        return [said[question.task] for question in questions]


@pytest.mark.parametrize(("changed", "f1"), [(True, 0), (False, 1)])
def test_outlines_count_only_where_the_model_says_that_something_changed(changed, f1):
    pupil = Schooled(Outliner(changed))
    rows = Given([lesson(Task.LOCATE, NOWHERE)])
    assert evaluated(pupil, rows, Metric.LOCATE, batch=4)["locate"] == f1
