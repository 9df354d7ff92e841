"""Tiny models of all the real classes that are shown one image."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tile_factory import noise
from vlm_asking import QUESTIONS, naive
from vlm_factory import MAKERS

from geochg.class_list import ClassList
from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.options import VlmOptions
from geochg.models.vlm.tile_questions import NO, YES
from geochg.records import Label, PairFacts, Task, Tile, TileFailure
from geochg.tasks.scene import label_prompt, scene_questions

LABELS = ClassList.of_names(["road", "swimming pool", "forest"])
ALL = {Task.PRESENCE, Task.COUNT, Task.CAPTION}


def images(count: int) -> list[Tile]:
    """Tiles of noise at one date."""
    return [replace(tile, dates=tile.dates[:1]) for tile in noise(count)]


def described(model: VlmModel, tiles: list[Tile], able=ALL):
    return [row[0] for row in model.describe(tiles, scene_questions(LABELS, able))]


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "instructblip"])
def test_one_image_is_looked_at_as_the_model_itself_does(loaded, kind):
    """Token for token what `generate` says to the whole prompt."""
    engine, tiles = loaded(kind).engine.for_dates(1), images(2)
    texts = [
        TilePrompt(row, engine.writer.prompt_ids([asked], []))
        for row in range(2)
        for asked in QUESTIONS
    ]
    replies = engine._reply_ids(engine.encode(tiles), texts, max_new_tokens=6)
    alone = SimpleNamespace(engine=engine)
    for text, result in zip(texts, replies, strict=True):
        assert result == engine._without_end(naive(alone, tiles[text.row], list(text.ids)))


@pytest.mark.parametrize("kind", MAKERS)
def test_labels_have_the_probability_of_yes_and_follow_the_image(loaded, kind):
    model, tiles = loaded(kind), images(2)
    first, second = described(model, tiles, {Task.PRESENCE})
    assert list(first.labels) == ["road", "swimming pool", "forest"]
    assert first.labels != second.labels
    assert (first.caption, first.counts) == ("", {})
    questions = scene_questions(LABELS, {Task.PRESENCE})
    engine = model.engine.for_dates(1)
    prompt = label_prompt(questions.presence, questions.labels[1])
    ((yes, _),) = engine.choice_probabilities(
        engine.encode(tiles[:1]),
        [TilePrompt(0, engine.writer.prompt_ids([prompt], []))],
        (YES, NO),
    )
    label = first.labels["swimming pool"]
    assert label.probability == pytest.approx(yes, abs=2e-4)
    assert label.present == (label.probability > 0.5)


def test_what_is_present_is_counted_and_the_tile_described(loaded, monkeypatch):
    model = loaded("llava")
    engine = model.engine.for_dates(1)
    monkeypatch.setattr(
        engine, "choice_probabilities", lambda encoding, prompts, _: [[0.9, 0.1], [0.2, 0.8]] * 3
    )
    first, second = described(model, images(2))
    assert first.present == ("road", "forest")
    assert second.present == ("swimming pool",)
    assert set(first.counts) == {"road", "forest"}
    assert all(0 <= number <= 999 for number in first.counts.values())
    # Tiny models babble; what they say is one line, or there is none and that is told.
    assert "\n" not in first.caption
    assert ("caption" in first.unparsed) == (not first.caption)


def test_models_that_answer_in_words_have_no_probabilities(saved, monkeypatch):
    model = VlmModel.load(str(saved("llava")), VlmOptions.from_dict({"answers": "words"}), "cpu")
    engine = model.engine.for_dates(1)
    replies = ["Yes, there is.", "no", "perhaps"]
    monkeypatch.setattr(engine, "reply_texts", lambda encoding, prompts: replies)
    (answers,) = described(model, images(1), {Task.PRESENCE})
    assert answers.labels == {
        "road": Label(True),
        "swimming pool": Label(False),
        "forest": Label(None),
    }
    assert answers.unparsed == ("forest",)


def test_a_tile_without_finite_numbers_fails(loaded, monkeypatch):
    model = loaded("llava")
    engine = model.engine.for_dates(1)
    rows = [[float("nan"), 0.5], *[[0.4, 0.6]] * 5]
    monkeypatch.setattr(engine, "choice_probabilities", lambda *_: rows)
    monkeypatch.setattr(engine, "reply_texts", lambda encoding, prompts: ["A road."] * 2)
    first, second = model.describe(images(2), scene_questions(LABELS, ALL))
    assert isinstance(first, TileFailure)
    assert second[0].caption == "A road."


def test_a_question_about_one_image_is_streamed(loaded):
    model = loaded("qwen2_vl")
    (tile,) = images(1)
    text = "".join(model.converse(tile, PairFacts(("red",), 1.0, "uint8"), [], "What is it?"))
    other = replace(tile, dates=(np.full_like(tile.before, 7),))
    assert isinstance(text, str)
    prefixes = [model.engine.for_dates(n).writer.prefix_ids for n in (1, 2)]
    token = model.engine.family.token
    assert [ids.count(token) for ids in prefixes] == [1, 2]
    encodings = [model.engine.for_dates(1).encode([shown]) for shown in (tile, other)]
    values = [encoding.cache.layers[0].values for encoding in encodings]
    assert not torch.equal(*values)
