"""The direction of each change, which the backend `vlm` asks for in the same batch of prompts."""

from functools import partial

import numpy as np
import pytest
import torch
from tile_factory import layout, noise
from vlm_asking import first_logits, load, with_presence
from vlm_factory import MAKERS

from geochg.features.cells import CellSettings, tile_result
from geochg.models.memory import FittingBatches
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.options import AnswerForm
from geochg.models.vlm.tile_questions import DIRECTION_WORDS, TileQuestions
from geochg.records import (
    GRID_CELLS,
    Change,
    Direction,
    Locations,
    Task,
    Tile,
    TileFailure,
)
from geochg.tasks import ask
from geochg.tasks.directions import LocatedChange

SIX = [
    *(ask(task) for task in Task if task is not Task.QUESTION),
    ask(Task.QUESTION, "Is there a lake?"),
]
LOCATE = [ask(Task.PRESENCE), ask(Task.LOCATE), ask(Task.COUNT)]


@pytest.fixture
def changed_everywhere(monkeypatch):
    """Lets models, whose weights are random, call two tiles changed in all of their cells."""
    with_presence([0.9, 0.8], monkeypatch)
    monkeypatch.setattr("geochg.models.vlm.tile_questions.CELL_THRESHOLD", -1)


# --- the real classes ----------------------------------------------------------------------------


def test_a_direction_is_the_likeliest_of_three_first_words(loaded, changed_everywhere):
    model, tiles = loaded("llava"), noise(2)
    engine, encoding = model.engine, model.engine.encode(tiles)
    for row, (_, located, _) in enumerate(model.answer(tiles, LOCATE)):
        for name, cells in located.cells.items():
            assert located.directions.get(name, {}).keys() == cells.keys()
            for cell in list(cells)[::4]:
                thing = LocatedChange(name, cell, (name, f"{name}s"))
                prompt = TilePrompt(row, engine.writer.prompt_ids([thing.question], []))
                logits = first_logits(model, encoding, [prompt])[0].double().exp()
                first_tokens = engine._first_tokens(list(DIRECTION_WORDS.values()))
                masses = [float(logits[tokens].sum()) for tokens in first_tokens]
                best = int(np.argmax(masses))
                direction = located.directions[name][cell]
                assert direction.change == list(DIRECTION_WORDS)[best]
                assert direction.probability == pytest.approx(masses[best] / sum(masses), abs=1e-4)


def without_shared_prefix(model, monkeypatch):
    """Lets an engine run each prompt by itself, with its images and nothing that is kept."""
    engine = model.engine

    def inputs(tiles, prompts):
        (prompt,) = prompts
        images = engine.family.image_inputs([tiles[prompt.row]])
        rows = torch.tensor([[*engine.prefix_with_images(images), *prompt.ids]])
        more = {name: engine.to_device(values) for name, values in images.inputs.items()}
        if engine.family.marks_images:
            more["mm_token_type_ids"] = (rows == engine.family.token).int()
        engine.family.state = None
        return {"input_ids": rows, "attention_mask": torch.ones_like(rows), **more}

    monkeypatch.setattr(engine, "encode", list)
    monkeypatch.setattr(engine, "_inputs", inputs)
    monkeypatch.setattr(engine, "_batches", FittingBatches(1, 1))


def blip_without_shared_prefix(model, monkeypatch):
    """As `without_shared_prefix`, by encoding the tile anew for each prompt."""
    engine = model.engine
    encode, inputs = engine.encode, engine._inputs

    def alone(tiles, prompts):
        (prompt,) = prompts
        return inputs(encode([tiles[prompt.row]]), [TilePrompt(0, prompt.ids)])

    monkeypatch.setattr(engine, "encode", list)
    monkeypatch.setattr(engine, "_inputs", alone)
    monkeypatch.setattr(engine, "_batches", FittingBatches(1, 1))


@pytest.mark.parametrize("kind", MAKERS)
def test_all_tasks_and_choices_are_the_same_without_a_shared_prefix(
    loaded, kind, monkeypatch, changed_everywhere
):
    model, tiles = loaded(kind), noise(2)
    shared = model.answer(tiles, SIX)
    plain = without_shared_prefix if hasattr(model.engine, "family") else blip_without_shared_prefix
    plain(model, monkeypatch)
    for own, other in zip(shared, model.answer(tiles, SIX), strict=True):
        for answer, expected in zip(own, other, strict=True):
            if not isinstance(answer, Locations):
                assert answer == expected
                continue
            assert [len(cells) for cells in answer.cells.values()] == [9, 9]
            for name, cells in answer.cells.items():
                assert cells == pytest.approx(expected.cells[name], abs=2e-4)
                for cell in cells:
                    direction, plainly = (a.directions[name][cell] for a in (answer, expected))
                    assert direction.change == plainly.change
                    assert direction.probability == pytest.approx(plainly.probability, abs=2e-4)


@pytest.mark.parametrize("form", AnswerForm)
def test_the_question_can_be_left_out(saved, form, monkeypatch):
    model = load(saved("llava"), answers=str(form), directions=False, max_tokens=4)
    with_presence([0.9], monkeypatch)
    for answer in model.answer(noise(1), LOCATE)[0]:
        assert not getattr(answer, "directions", {})


def test_a_direction_that_is_no_number_fails_the_tile(loaded, monkeypatch, changed_everywhere):
    model = loaded("llava")
    usual = type(model.engine).choice_probabilities

    def broken(engine, encoding, prompts, choices):
        if len(choices) == 2:
            return [[0.9, 0.1] for _ in prompts]
        rows = usual(engine, encoding, prompts, choices)
        return [[float("nan")] * 3 if p.row else row for p, row in zip(prompts, rows, strict=True)]

    monkeypatch.setattr(type(model.engine), "choice_probabilities", broken)
    good, bad = model.answer(noise(2), LOCATE)
    assert good[1].directions["road"].keys() == set(GRID_CELLS)
    assert isinstance(bad, TileFailure)


# --- drawn pairs with exact truth ----------------------------------------------------------------


class TruthfulEngine:
    """Answers forced choices from the truth of its tiles, by the words of the prompts."""

    def __init__(self, truth):
        self.truth = truth
        self.writer = self

    def encode(self, tiles):
        return [tile.window.index for tile in tiles]

    def prompt_ids(self, questions, answers):
        return questions

    def _told(self, encoding, prompt):
        """The class and cell that a prompt is about, and what is true of them."""
        (text,) = prompt.ids
        truth = self.truth[encoding[prompt.row]]
        name = "building" if "building" in text else "road"
        cells = [cell for cell in GRID_CELLS if f"the {cell.name.replace('-', ' ')} part" in text]
        return truth.get((name, cells[0])) if cells else Change.ALTERED

    def choice_probabilities(self, encoding, prompts, choices):
        if len(choices) == 2:
            shares = (0.95 if self._told(encoding, prompt) else 0.05 for prompt in prompts)
            return [[share, 1 - share] for share in shares]
        told = [self._told(encoding, prompt) for prompt in prompts]
        return [[0.8 if change is c else 0.1 for c in DIRECTION_WORDS] for change in told]

    def reply_numbers(self, encoding, prompts):
        return [1 for _ in prompts]


def drawn(rng, window, side_px=30):
    """A tile, and its truth: at random class, cell and direction of changes."""
    picked = rng.permutation(18)[: rng.integers(1, 9)].tolist()
    changes = rng.choice(list(Change), len(picked)).tolist()
    keys = [(("road", "building")[n // 9], GRID_CELLS[n % 9]) for n in picked]
    pixels = np.zeros((3, side_px, side_px), np.uint8)
    tile = Tile(window, (pixels, pixels), np.ones((side_px, side_px), bool))
    return tile, {key: Change(change) for key, change in zip(keys, changes, strict=True)}


def test_the_path_loses_no_direction_that_a_model_tells():
    rng = np.random.default_rng(7)
    pairs = [drawn(rng, window) for window in layout(4, 5, 30)]
    engine = TruthfulEngine([truth for _, truth in pairs])
    asked = partial(TileQuestions, engine, form=AnswerForm.PROBABILITIES)
    rows = asked([tile for tile, _ in pairs]).answers(LOCATE)
    mapped = 0
    for (tile, truth), answers in zip(pairs, rows, strict=True):
        result = tile_result(tile, answers, CellSettings())
        told = {
            (cell.class_name, name): (cell.change, cell.change_probability)
            for cell in result.cells
            for name in cell.grid_cells
        }
        assert told == {(n, c.name): (change, 0.8) for (n, c), change in truth.items()}
        counted = answers[2].changes
        for name in ("road", "building"):
            own = {change for (other, _), change in truth.items() if other == name}
            # What was counted and not located is asked about by itself.
            own = own or {Change.ALTERED}
            assert counted.get(name) == (own.pop() if len(own) == 1 else None)
        mapped += len(truth)
    assert mapped > 50


def test_a_box_without_a_direction_of_its_own_has_that_of_its_class():
    (window,) = layout(1, 1, 30)
    pixels = np.zeros((3, 30, 30), np.uint8)
    tile = Tile(window, (pixels, pixels), np.ones((30, 30), bool))
    located = Locations(
        {"road": {GRID_CELLS[0]: 0.9, GRID_CELLS[8]: 0.9}},
        {"road": Change.DISAPPEARED},
        {"road": {GRID_CELLS[8]: Direction(Change.APPEARED, 0.7)}},
    )
    cells = tile_result(tile, [located], CellSettings()).cells
    assert [cell.change for cell in cells] == [Change.DISAPPEARED, Change.APPEARED]
