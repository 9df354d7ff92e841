"""What early stopping and cards are told: scores of answers on rows that were held out."""

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tuning_rows import write_rows

from geochg.datasets.example import Example, ExampleTurn
from geochg.datasets.examples import read_examples
from geochg.evaluation.optional_metrics import OptionalMetrics
from geochg.evaluation.text_scores import (
    CAPTION_METRICS,
    ReferenceCorpus,
    TextScores,
)
from geochg.models.base import Capabilities, ChangeModel
from geochg.records import Change, Channel, Outlines, Presence, Reply, Task, TileFailure
from geochg.tasks import SPECS
from geochg.training.finetune import sample as module
from geochg.training.finetune.metrics import LOWER_IS_BETTER, ProcessShare, ValidationSet, evaluate
from geochg.training.finetune.options import Metric
from geochg.training.finetune.trainable_model import TrainableModel


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


class Wrapped(TrainableModel):
    """A trainable model without losses that answers by a change model of the test."""

    def __init__(self, model):
        super().__init__(torch.nn.Linear(1, 1), Path())
        self.own = [model]

    def inputs(self, samples):
        return {"labels": torch.zeros(len(samples), 1, dtype=torch.int64)}

    def losses(self, inputs):
        return {"text": torch.tensor(0.0)}

    def change_model(self):
        return self.own[0]

    def save(self, folder):
        raise NotImplementedError


@pytest.fixture
def row(tmp_path):
    """Makes rows, each about a pair of its own: `row(task, answer, ..., asked=questions)`."""
    made = []

    def make(task, *said, asked=None, about=None):
        number = len(made) if about is None else about
        paths = [tmp_path / f"{number}{side}.png" for side in "ab"]
        for path in paths:
            Image.new("RGB", (8, 8)).save(path)
        turns = map(ExampleTurn, asked or SPECS[task].prompts, said)
        made.append(Example(str(number), tuple(turns), *paths, task=task))
        return made[-1]

    return make


def scored(rows, says, metric):
    model = says if isinstance(says, ChangeModel) else Parrot(says)
    return evaluate(Wrapped(model), ValidationSet.of(rows, metric), 4)[str(metric)]


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
        (Task.PRESENCE, Metric.PRESENCE, "No", "No"),
        (Task.PRESENCE, Metric.PRESENCE, "Yes", "No"),
    ],
)
def test_nonsense_is_never_better_than_saying_none(row, task, metric, truth, none, nonsense):
    sign = -1 if metric in LOWER_IS_BETTER else 1
    silent, wrong = (scored([row(task, truth)], says, metric) for says in (none, nonsense))
    assert sign * wrong <= sign * silent
    if truth == none:
        assert sign * wrong < sign * silent


def test_nonsense_counts_as_one_further_off_than_none(row):
    rows = [row(Task.COUNT, "2 roads and 5 buildings have changed."), row(Task.COUNT, NO_COUNT)]
    assert scored(rows, "lorem ipsum", Metric.COUNT) == (3 + 6 + 1 + 1) / 4


@pytest.mark.parametrize("says", ["", None, Reply("something else")])
def test_a_text_that_never_came_is_not_the_same_words(row, says):
    assert scored([row(Task.CAPTION, "A new road.")], says, Metric.EXACT) == 0


def test_of_a_dialogue_the_description_is_compared(row):
    talk = ("Yes", "1 road and no building have changed.", "A new road crosses the place.")
    rows = [row(Task.DIALOGUE, *talk)]
    assert scored(rows, "\n".join(talk), Metric.EXACT) == 1
    assert scored(rows, "\n".join((*talk[:2], "A road is gone.")), Metric.EXACT) == 0


CAPTIONS = ("a new house has been built", "two houses stand at the road", "a road was removed")


@pytest.mark.parametrize("metric", [Metric.CIDER_D, Metric.ROUGE_L_COCO, Metric.BLEU_4])
def test_texts_are_scored_as_evaluate_scores_them(row, metric):
    assert str(metric) in CAPTION_METRICS
    pytest.importorskip("sacrebleu")
    said = "a new house has been built at the road"
    # Several captions of one pair are references of one question.
    rows = [row(Task.CAPTION, text, about=place // 2) for place, text in enumerate(CAPTIONS)]
    references = ReferenceCorpus([CAPTIONS[:2], CAPTIONS[2:]])
    wanted = TextScores([said] * 2, references, (str(metric),), OptionalMetrics()).of([0, 1])
    assert scored(rows, said, metric) == wanted[str(metric)] > 0


def test_captions_are_scored_alone_and_other_texts_where_there_are_none(row):
    captions, others = row(Task.CAPTION, "A."), row(Task.QUESTION, "B.", asked=("Why?",))
    both = ValidationSet.of([others, captions], Metric.CIDER_D)
    assert [item.question.task for item in both.items] == [Task.CAPTION]
    alone = ValidationSet.of([others], Metric.CIDER_D)
    assert [item.question.task for item in alone.items] == [Task.QUESTION]
    exact = ValidationSet.of([others, captions], Metric.EXACT)
    assert {item.question.task for item in exact.items} == {Task.QUESTION, Task.CAPTION}


def test_only_what_the_metric_is_about_is_asked(row):
    rows = [row(Task.PRESENCE, "Yes"), row(Task.CAPTION, "A road."), row(Task.COUNT, "lorem")]
    model = Parrot("Yes")
    for metric, asked in ((Metric.LOSS, 0), (Metric.COUNT, 0), (Metric.PRESENCE, 1)):
        told = evaluate(Wrapped(model), ValidationSet.of(rows, metric), 4)
        assert len(model.asked) == asked
        assert set(told) == {"loss", str(metric)} - ({"count"} if not asked else set())


def test_processes_share_the_pairs_and_get_the_same_numbers(row):
    rows = [row(Task.PRESENCE, answer) for answer in ("Yes", "No", "Yes", "No", "No")]
    validation = ValidationSet.of(rows, Metric.PRESENCE)
    found, joined = [], []
    for place in range(2):
        model = Parrot("Yes")
        # What the first process found stands for what both did.
        gather = (lambda each: joined.append(each) or each) if place == 0 else list
        found.append(evaluate(Wrapped(model), validation, 4, ProcessShare(place, 2, gather)))
        # Three pairs are two batches, as the first one is small; two pairs are one.
        assert sum(map(len, model.asked)) == 2 - place
    assert [len(each) for each in joined] == [1, 3]
    assert [told["presence"] for told in found] == [pytest.approx(2 / 3), 0]


def test_no_more_than_a_batch_of_pictures_is_held(tmp_path, monkeypatch):
    """Each sample is read once, and let go before the batch after the next is read."""
    alive, most = weakref.WeakSet(), []

    def read(example, masks):
        alive.add(found := real_load_sample(example, masks))
        most.append(len(alive))
        return found

    real_load_sample = module.load_sample
    monkeypatch.setattr(module, "load_sample", read)
    rows = read_examples(write_rows(tmp_path / "d", pairs=10))
    evaluate(Wrapped(Parrot("Yes")), ValidationSet.of(rows, Metric.LOSS), 3)
    assert len(most) == 30
    assert max(most) <= 2 * 3


class Talker(Parrot):
    """Answers rightly where it is told what was said before, and notes what it is asked."""

    def converse(self, tile, facts, exchanges, question):
        self.asked.append((tuple(exchanges), question))
        yield "It is " if len(exchanges) == 1 else "I do not "
        yield "new."


def test_free_talks_are_asked_turn_by_turn(row):
    asked = ("What is there?", "Is it new?")
    rows = [row(Task.QUESTION, "A house.", "It is new.", asked=asked)]
    model = Talker("A house.")
    assert scored(rows, model, Metric.EXACT) == 1
    assert model.asked == [["What is there?"], ((("What is there?", "A house."),), "Is it new?")]


class Outliner(Parrot):
    """Outlines buildings where it is told to, and says of all pairs alike whether they changed."""

    capabilities = Capabilities(
        tasks=frozenset(Task), location="mask", pixels="display", bands="rgb"
    )

    def __init__(self, probability, changed):
        super().__init__(None)
        self.probability = np.asarray(probability, np.float32)
        self.changed = changed

    def _answers(self, tile, questions):
        channels = (Channel("building", Change.APPEARED),)
        surface = np.zeros((1, 8, 8), np.float32)
        surface[0, :2, :2] = self.probability
        said = {
            Task.LOCATE: Outlines(channels, surface, threshold=0.5),
            Task.PRESENCE: Presence(self.changed),
        }
        return [said[question.task] for question in questions]


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(("probability", "there"), [(0, False), (0.4, False), (0.6, True)])
def test_outlines_alone_say_where_and_whether_something_changed(row, probability, there, changed):
    model = Outliner(probability, changed)
    for truth, right in ((NOWHERE, not there), (CORNER, there)):
        assert scored([row(Task.LOCATE, truth)], model, Metric.LOCATE) == right
    for truth, right in (("No", not there), ("Yes", there)):
        assert scored([row(Task.PRESENCE, truth)], model, Metric.PRESENCE) == right


class MaskLearner(Wrapped):
    """Loses 2 on each text, and on masks as much as there are changed ones."""

    wants_masks = True

    def inputs(self, samples):
        seen = sum(sample.masks is not None and sample.masks.changed for sample in samples)
        return {**super().inputs(samples), "seen": torch.tensor(seen)}

    def losses(self, inputs):
        words = torch.tensor(2.0 * len(inputs["labels"]))
        return {"text": words, "seeing": inputs["seen"].float()}


def test_the_loss_is_the_one_that_training_lowers(tmp_path):
    rows = read_examples(write_rows(tmp_path / "d", pairs=4))
    # Six rows of changed pairs and six of others, in batches of six: three changed in each.
    found = evaluate(MaskLearner(Parrot("Yes")), ValidationSet.of(rows, Metric.LOSS), 6)
    assert found == {"loss": 2 + 3, "seeing": 3}
