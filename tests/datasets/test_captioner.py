"""Free questions and answers of a captioner, of which those against the masks are dropped."""

import json

import numpy as np
import pytest
from levir_masks import ALL_TRAIN, CODING, levir_mask, write_pair

from geochg.datasets.builder.build import build_dataset
from geochg.datasets.builder.captioner import Captioner, certain, contradiction
from geochg.datasets.builder.options import BuildOptions
from geochg.datasets.builder.pictures import picture_scenes
from geochg.datasets.captions.facts import mask_facts
from geochg.datasets.captions.truth import MaskTruth
from geochg.datasets.examples import read_examples
from geochg.errors import ModelError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.options import Options
from geochg.records import Reply, Task


class Writer(ChangeModel):
    """Gives the texts that it was made with, whatever is asked."""

    name = "writer"
    summary = ""
    capabilities = Capabilities(frozenset({Task.QUESTION}), "grid", "display", "rgb")
    options_type = Options

    def __init__(self, *texts):
        self.texts = list(texts)
        self.asked = []

    @classmethod
    def load(cls, source, options, device):
        return cls()

    @property
    def identity(self):
        return ModelIdentity("writer", "")

    def answer(self, tiles, questions):
        self.asked += [question.text for question in questions]
        return [[Reply(self.texts.pop(0)) for _ in questions] for _ in tiles]


def truth():
    classes = np.where(levir_mask() == 255, 1, np.where(levir_mask() == 128, 2, 0))
    return MaskTruth(
        0, classes.astype(np.uint8), np.zeros((90, 90), np.uint8), ("building", "road")
    )


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        ("Two buildings have changed in the upper left.", True),
        ("There are 2 changed buildings and one changed road.", True),
        ("The built-up land has grown.", True),
        ("Five buildings have changed.", False),
        ("No buildings have changed.", False),
        ("There is no difference.", False),
        ("I am sorry, I cannot describe these images.", False),
        ("3 new roads were built.", False),
    ],
)
def test_answers_that_contradict_the_counts_are_found(answer, holds):
    masks = truth()
    assert (contradiction(answer, masks, mask_facts(masks)) == "") is holds


def test_the_captioner_is_told_the_facts_and_its_errors_are_dropped(tmp_path):
    write_pair(tmp_path / "in", "one", levir_mask())
    model = Writer(
        "What has changed? => Two buildings and one road have changed.",
        "How many houses are there? => 9 buildings have changed.",
        "I would say a lot.",
    )
    captioner = Captioner(model)
    options = BuildOptions(shares=(1.0, 0.0, 0.0), questions=3)
    scenes = picture_scenes(tmp_path / "in", CODING)
    done = build_dataset(tmp_path / "out", scenes, options, captioner)
    assert "2 changed buildings (in: top-left)" in model.asked[0]
    assert "1 changed road (in: center-left, center-center, center-right)" in model.asked[0]
    assert len(set(model.asked)) == 3
    rows = json.loads((tmp_path / "out" / "train.json").read_text())
    assert len(rows) == 7
    last = read_examples(tmp_path / "out")[-1]
    assert last.task is Task.QUESTION
    assert last.turns[0].answer == "Two buildings and one road have changed."
    assert done["captioner"]["dropped"] == {
        "not a question and an answer": 1,
        "numbers against the mask": 1,
    }


def test_a_model_without_free_questions_writes_none():
    class Mute(Writer):
        capabilities = Capabilities(frozenset({Task.PRESENCE}), "grid", "display", "rgb")

    with pytest.raises(ModelError, match="cannot write questions"):
        Captioner(Mute())


def test_unchanged_tiles_are_told_so():
    still = MaskTruth(0, np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8), ("water",))
    assert "Nothing has changed." in certain(still, ())


def test_a_model_that_reads_clues_is_asked_about_many_tiles_at_once(tmp_path):
    class Reader(Writer):
        capabilities = Capabilities(
            frozenset({Task.QUESTION}), "grid", "display", "rgb", clues=True, batch_tiles=2
        )
        batches = ()

        def answer(self, tiles, questions):
            self.batches += (tuple(tile.clue for tile in tiles),)
            return super().answer(tiles, questions)

    masks = (levir_mask(), np.zeros((90, 90)), levir_mask() * (levir_mask() == 128))
    for number, mask in enumerate(masks):
        write_pair(tmp_path / "in", f"p{number}", mask, number)
    model = Reader(
        "What? => Two buildings and a road have changed.",
        "What? => There is no difference.",
        "What? => Two buildings have changed.",
    )
    scenes = picture_scenes(tmp_path / "in", CODING)
    done = build_dataset(tmp_path / "out", scenes, ALL_TRAIN, Captioner(model))
    assert [len(batch) for batch in model.batches] == [2, 1]
    clues = [clue for batch in model.batches for clue in batch]
    assert [("2 changed buildings" in clue, "Nothing" in clue) for clue in clues] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    written = [e for e in read_examples(tmp_path / "out") if e.turns[0].question == "What?"]
    assert [(e.before.name, e.turns[0].answer) for e in written] == [
        ("p0.png", "Two buildings and a road have changed."),
        ("p1.png", "There is no difference."),
    ]
    assert done["captioner"]["dropped"] == {"numbers against the mask": 1}
