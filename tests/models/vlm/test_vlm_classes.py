"""Classes that a user names, which a model that is right finds where they are."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from named_ground import (
    PANELS,
    POOL,
    SHED,
    cell_in,
    changed,
    classes_in,
    direction,
    ground,
    paint,
    true_answer,
)
from tile_factory import layout, noise
from vlm_asking import with_presence

from geochg.class_list import ClassList
from geochg.errors import OptionError
from geochg.models.loading import load_configured_model
from geochg.models.vlm.options import AnswerForm
from geochg.models.vlm.tile_questions import TileQuestions
from geochg.options import AnalyzeOptions
from geochg.records import GRID_CELLS, Caption, GridCell, Presence, Task, Tile
from geochg.tasks import ask

OWN = ClassList.of_names([PANELS, POOL]).asked_classes()
MAPPED = [ask(task, classes=OWN) for task in (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)]


@dataclass
class TruthfulEngine:
    """Has the methods of an engine, and answers by what the pixels truly show."""

    asked: list[str] = field(default_factory=list)
    writer = SimpleNamespace(prompt_ids=lambda questions, replies: questions[-1])

    def encode(self, tiles):
        return [[date.transpose(1, 2, 0) for date in tile.dates] for tile in tiles]

    def choice_probabilities(self, encoding, prompts, choices):
        if len(choices) > 2:  # in which image is it: the later, the earlier, both
            return [self._direction(encoding[row], text) for row, text in prompts]
        return [self._yes(encoding[row], text) for row, text in prompts]

    def _direction(self, dates, text):
        (name,) = classes_in(text)
        words = ("later", "earlier", "both")
        return tuple(float(word == direction(*dates, name)) for word in words)

    def _yes(self, dates, text):
        self.asked.append(text)
        masks = [changed(*dates, name) for name in classes_in(text)]
        if place := cell_in(text):
            parts = [np.array_split(np.array_split(m, 3)[place[0]], 3, axis=1) for m in masks]
            masks = [part[place[1]] for part in parts]
        likely = 0.9 if any(mask.mean() > 0.01 for mask in masks) else 0.1
        return likely, 1 - likely

    def reply_numbers(self, encoding, prompts):
        self.asked += [text for _, text in prompts]
        return [int(changed(*encoding[row], *classes_in(text)).any()) for row, text in prompts]

    def reply_choices(self, encoding, prompts, choices):
        self.asked += [text for _, text in prompts]
        return [
            true_answer(f"3x3 grid {text}", *encoding[row]).partition("[")[2].strip("'].") or "none"
            for row, text in prompts
        ]

    def reply_texts(self, encoding, prompts):
        self.asked += [text for _, text in prompts]
        return [true_answer(text, *encoding[row]) for row, text in prompts]


def drawn_tile(*squares):
    before, after = ground(96), ground(96)
    for name, row, col in squares:
        paint(after, name, row, col, 24)
    return Tile(next(layout(1, 1, 96)), (before, after), np.ones((96, 96), bool))


@pytest.mark.parametrize("form", AnswerForm)
def test_a_model_that_is_right_finds_the_named_classes(form):
    engine = TruthfulEngine()
    tile = drawn_tile((PANELS, 4, 4), (POOL, 68, 68), (SHED, 36, 36))
    ((presence, cells, counts, caption),) = TileQuestions(engine, [tile], form).answers(MAPPED)
    assert presence.changed
    assert {name: set(named) for name, named in cells.cells.items()} == {
        PANELS: {GridCell(0, 0)}, POOL: {GridCell(2, 2)}
    }  # fmt: skip
    assert counts.counts == {PANELS: 1, POOL: 1}
    assert isinstance(caption, Caption)
    assert caption.changed
    assert not any("shed" in text or "road" in text for text in engine.asked)


@pytest.mark.parametrize("form", AnswerForm)
def test_what_was_not_named_is_no_change(form):
    tile = drawn_tile((SHED, 36, 36))
    ((presence, cells, counts, _),) = TileQuestions(TruthfulEngine(), [tile], form).answers(MAPPED)
    assert not presence.changed
    assert cells.cells == {PANELS: {}, POOL: {}}
    assert counts.counts == {PANELS: 0, POOL: 0}


def test_a_prompt_with_fields_is_asked_class_by_class():
    engine = TruthfulEngine()
    questions = [
        ask(Task.LOCATE, "Any {thing} in the {cell} part? Yes or no.", OWN),
        ask(Task.COUNT, "Number of {things}?", OWN),
    ]
    tile = drawn_tile((POOL, 4, 4))
    ((cells, counts),) = TileQuestions(engine, [tile], AnswerForm.LISTS).answers(questions)
    assert cells.cells[POOL].keys() == {GridCell(0, 0)}
    assert counts.counts == {PANELS: 0, POOL: 1}
    assert "Any solar panel in the top left part? Yes or no." in engine.asked
    assert "Number of swimming pools?" in engine.asked
    assert len(engine.asked) == 2 * len(GRID_CELLS) + 2


def test_a_description_stands_behind_each_prompt_of_its_class():
    entries = [{"name": PANELS, "description": "dark rows"}, {"name": POOL}]
    classes = ClassList.from_dict({"classes": entries}, "x").asked_classes()
    engine = TruthfulEngine()
    questions = [ask(Task.COUNT, classes=classes)]
    TileQuestions(engine, [drawn_tile((POOL, 4, 4))], AnswerForm.PROBABILITIES).answers(questions)
    assert ["(solar panels: dark rows.)" in text for text in engine.asked] == [True, False]


@pytest.mark.parametrize("kind", ["llava", "qwen2_vl"])
def test_tiny_real_models_answer_about_named_classes_alone(loaded, monkeypatch, kind):
    model = loaded(kind)
    with_presence([0.9, 0.2], monkeypatch)
    first, second = model.answer(noise(2), MAPPED)
    assert first[0] == Presence(True, 0.9)
    assert list(first[1].cells) == [PANELS, POOL]
    assert list(first[2].counts) == [PANELS, POOL]
    assert second[1].cells == {PANELS: {}, POOL: {}}
    assert second[2].counts == {PANELS: 0, POOL: 0}


def test_a_model_that_answers_in_words_is_not_asked_class_by_class(saved):
    options = AnalyzeOptions(
        model=f"vlm:{saved('llava')}",
        model_options={"answers": "words"},
        prompts={"count": "How many {things}?"},
    )
    with pytest.raises(OptionError, match="not asked about each class by itself"):
        load_configured_model(options)
