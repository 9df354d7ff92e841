"""Tiny video classes and classes of several images, shown three dates at once."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tile_factory import noise
from vlm_asking import MAPPED, QUESTIONS, first_logits, naive
from vlm_factory import MAKERS

from geochg.errors import ModelError
from geochg.models.chat.dialogue import span_sentence
from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.options import VlmOptions
from geochg.records import Presence, Span, Tile, TileFailure

PAIRS_ONLY = {"llava", "instructblip"}
MANY = [kind for kind in MAKERS if kind not in PAIRS_ONLY]
SPANS = (Span(0, 1), Span(1, 2), Span(0, 2))


def noisy_series(count: int, dates: int = 3) -> list[Tile]:
    """Tiles of noise at several dates."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (count, dates, 3, 64, 64), dtype=np.uint8)
    return [
        replace(tile, dates=tuple(images))
        for tile, images in zip(noise(count), pixels, strict=True)
    ]


@pytest.mark.parametrize("kind", MAKERS)
def test_models_say_how_many_dates_they_take(loaded, kind):
    assert (loaded(kind).capabilities.most_dates > 2) == (kind in MANY)


@pytest.mark.parametrize("kind", MANY)
def test_three_dates_are_looked_at_as_the_model_itself_does(loaded, kind):
    """Token for token what `generate` says to the whole prompt."""
    engine, tiles = loaded(kind).engine.for_dates(3), noisy_series(2)
    rest = engine.writer.prompt_ids
    texts = [TilePrompt(row, rest([asked], [])) for row in range(2) for asked in QUESTIONS]
    replies = engine._reply_ids(engine.encode(tiles), texts, max_new_tokens=6)
    alone = SimpleNamespace(engine=engine)
    for text, result in zip(texts, replies, strict=True):
        assert result == engine._without_end(naive(alone, tiles[text.row], list(text.ids)))


@pytest.mark.parametrize("kind", MANY)
def test_every_date_matters(loaded, kind):
    engine = loaded(kind).engine.for_dates(3)
    (tile,) = noisy_series(1)
    others = [tile]
    for number in range(3):
        dates = list(tile.dates)
        dates[number] = 255 - dates[number]
        others.append(replace(tile, dates=tuple(dates)))
    text = engine.writer.prompt_ids([QUESTIONS[0]], [])
    logits = first_logits(
        SimpleNamespace(engine=engine),
        engine.encode(others),
        [TilePrompt(row, text) for row in range(4)],
    )
    for changed in logits[1:]:
        assert not torch.allclose(logits[0], changed, atol=1e-4)


@pytest.mark.parametrize("kind", ["llava_next_video", "qwen2_vl", "instructblipvideo"])
def test_each_span_is_asked_about_with_the_images_that_it_is_of(loaded, kind, monkeypatch):
    model, tiles = loaded(kind), noisy_series(2)
    engine = model.engine.for_dates(3)
    asked, encoded = [], []
    prompt_ids, encode = engine.writer.prompt_ids, type(engine).encode
    monkeypatch.setattr(type(model.engine), "for_dates", lambda own, dates: engine)
    monkeypatch.setattr(
        engine.writer, "prompt_ids",
        lambda questions, answers: asked.append(questions[0]) or prompt_ids(questions, answers),
    )  # fmt: skip
    monkeypatch.setattr(
        type(engine), "encode", lambda own, part: encoded.append(part) or encode(own, part)
    )
    questions = [replace(question, span=span) for span in SPANS for question in MAPPED[:1]]
    rows = model.answer(tiles, questions)
    assert len(encoded) == 1
    assert [len(row) for row in rows] == [3, 3]
    assert all(isinstance(answer, Presence) for row in rows for answer in row)
    wanted = [f"{span_sentence(span, 3)} {MAPPED[0].text}" for span in SPANS for _ in tiles]
    assert asked == wanted


@pytest.mark.parametrize("answers", ["probabilities", "words"])
def test_spans_are_answered_in_any_order_of_the_questions(saved, answers):
    options = VlmOptions.from_dict({"max_tokens": 4, "answers": answers})
    model = VlmModel.load(str(saved("llava_next_video")), options, "cpu")
    tiles = noisy_series(2)
    by_span = [replace(question, span=span) for span in SPANS for question in MAPPED[:2]]
    by_task = [replace(question, span=span) for question in MAPPED[:2] for span in SPANS]
    first, second = model.answer(tiles, by_span), model.answer(tiles, by_task)
    for row, other in zip(first, second, strict=True):
        assert not isinstance(row, TileFailure)
        assert [row[by_span.index(question)] for question in by_task] == list(other)


def test_more_tokens_than_the_model_has_room_for_are_refused(loaded, monkeypatch):
    engine = loaded("llava_next_video").engine
    config = engine.model.config.get_text_config()
    monkeypatch.setattr(config, "max_position_embeddings", 600)
    engine.for_dates(3).encode(noisy_series(1))
    with pytest.raises(ModelError, match=r"30 dates are \d+ tokens.*room for 600") as caught:
        engine.for_dates(30).encode(noisy_series(1, dates=30))
    assert "--in-turn" in str(caught.value.hint)
