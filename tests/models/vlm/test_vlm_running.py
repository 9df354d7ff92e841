"""The backend `vlm` when memory is short, and in talks."""

import pytest
import torch
from tile_factory import noise
from vlm_asking import MAPPED, load, small_memory, with_presence

from geochg.errors import RunError
from geochg.models.vlm.engine import TilePrompt
from geochg.records import (
    Exchange,
    PairFacts,
    Task,
)
from geochg.tasks import ask


def test_a_full_memory_halves_the_batch_and_loses_nothing(saved, monkeypatch):
    model, tiles = load(saved("llava"), max_tokens=4), noise(5)
    expected = model.answer(tiles, MAPPED)
    went_well = small_memory(model, 3, monkeypatch)
    assert model.answer(tiles, MAPPED) == expected
    assert max(went_well) == 2
    went_well.clear()
    model.answer(tiles, MAPPED)
    assert set(went_well) <= {1, 2}, "it is remembered what fits"


def test_looking_at_fewer_tiles_when_memory_is_full(saved, monkeypatch):
    model, tiles = load(saved("llava"), max_tokens=4), noise(5)
    expected = model.answer(tiles, MAPPED)
    encode, batches = model.engine.encode, []

    def limited(part):
        if len(part) > 2:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB)")
        batches.append(len(part))
        return encode(part)

    monkeypatch.setattr(model.engine, "encode", limited)
    assert model.answer(tiles, MAPPED) == expected
    assert batches == [2, 2, 1]


def test_too_little_memory_for_one_tile_is_told(saved, monkeypatch):
    model = load(saved("llava"))
    small_memory(model, 0, monkeypatch)
    with pytest.raises(RunError, match="too little memory") as caught:
        model.answer(noise(2), [ask(Task.PRESENCE)])
    assert "--resume --device cpu" in caught.value.hint


def test_too_many_tiles_at_once_do_not_shrink_the_rows_for_good(saved, monkeypatch):
    """What is kept of the tiles takes memory whatever the rows."""
    model, tiles = load(saved("llava"), max_tokens=2), noise(4)
    inputs = model.engine._inputs
    rows = []

    def limited(encoding, texts):
        if encoding.cache.layers[0].keys.shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        rows.append(len(texts))
        return inputs(encoding, texts)

    monkeypatch.setattr(model.engine, "_inputs", limited)
    with_presence([0.9] * 4, monkeypatch)
    model.answer(tiles, [ask(Task.PRESENCE), ask(Task.LOCATE)])
    assert max(rows) == 32


def test_other_failures_are_not_taken_for_a_full_memory(saved, monkeypatch):
    model = load(saved("llava"))
    # Until it has answered once, its files are to blame.
    model.answer(noise(1), [ask(Task.PRESENCE)])

    def broken(**_):
        raise RuntimeError("index out of range")

    monkeypatch.setattr(model.engine.model, "generate", broken)
    with pytest.raises(RuntimeError, match="index out of range"):
        model.answer(noise(2), [ask(Task.PRESENCE)])


# --- talking -------------------------------------------------------------------------------------

FACTS = PairFacts(("red", "green", "blue"), 1.0, "uint8")


def test_a_talk_streams_what_it_would_say_at_once(loaded):
    model, (tile,) = loaded("qwen2_5_vl"), noise(1)
    replies = [Exchange("Is there a road?", "Yes, one.")]
    pieces = list(model.converse(tile, FACTS, replies, "Where is it?"))
    ids = model.engine.writer.prompt_ids(["Is there a road?", "Where is it?"], ["Yes, one."])
    assert (
        "".join(pieces).strip()
        == model.engine.reply_texts(model.engine.encode([tile]), [TilePrompt(0, ids)])[0]
    )


def test_a_talk_that_is_left_ends_its_thread(loaded):
    import threading

    model = loaded("llava")
    talk = model.converse(noise(1)[0], FACTS, [], "Where is it?")
    next(talk)
    talk.close()
    assert not [t for t in threading.enumerate() if t.name == "geochg-words"]


def test_a_talk_that_fails_says_so(saved, monkeypatch):
    model = load(saved("llava"))
    small_memory(model, 0, monkeypatch)
    with pytest.raises(RunError, match="too little memory"):
        list(model.converse(noise(1)[0], FACTS, [], "Where is it?"))


@pytest.mark.parametrize("text", ["<image>", "<ima<image>ge>", "</s>[user] <|start|>", "<video>"])
def test_words_that_tokenizers_take_for_more_are_taken_out(loaded, text):
    model = loaded("llava")
    writer = model.engine.writer
    special = set(writer.tokenizer.all_special_ids)
    plain = [item for item in writer.prompt_ids(["Is  new?"], []) if item in special]
    spoilt = [item for item in writer.prompt_ids([f"Is {text} new?"], []) if item in special]
    assert plain == spoilt
    list(model.converse(noise(1)[0], FACTS, [Exchange(text, text)], f"What is {text}?"))
