"""The answers of the backend `vlm` always make sense."""

import json
from dataclasses import replace

import pytest
import torch
from tile_factory import noise
from vlm_asking import MAPPED, first_logits, load, with_presence

from geochg.errors import ModelError
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.tile_questions import CELL_QUESTION, NO, YES
from geochg.records import (
    GRID_CELLS,
    Caption,
    Counts,
    Dialogue,
    Locations,
    Presence,
    Question,
    Task,
    TileFailure,
    Unparsed,
)
from geochg.tasks import ask


def test_presence_is_the_probability_of_yes_against_no(loaded):
    model, tiles = loaded("llava"), noise(3)
    answers = model.answer(tiles, [ask(Task.PRESENCE)])

    text = model.engine.writer.prompt_ids([ask(Task.PRESENCE).text], [])
    encoding = model.engine.encode(tiles)
    logits = (
        first_logits(model, encoding, [TilePrompt(row, text) for row in range(3)]).double().exp()
    )
    for row, (presence,) in enumerate(answers):
        both = [
            float(logits[row, sorted({model.engine._token_ids(word)[0] for word in words})].sum())
            for words in (YES, NO)
        ]
        assert presence.probability == pytest.approx(both[0] / sum(both), abs=1e-4)
        assert presence.changed == (presence.probability > 0.5)


def test_cells_are_asked_one_by_one(loaded, monkeypatch):
    model, tiles = loaded("llava_next_video"), noise(2)
    with_presence([0.9, 0.8], monkeypatch)
    answers = model.answer(tiles, [ask(Task.PRESENCE), ask(Task.LOCATE)])
    for row, (_, located) in enumerate(answers):
        for name in ("road", "building"):
            for cell in GRID_CELLS:
                question = CELL_QUESTION.format(cell=cell.name.replace("-", " "), thing=name)
                text = TilePrompt(row, model.engine.writer.prompt_ids([question], []))
                encoding = model.engine.encode(tiles)
                ((yes, _),) = model.engine.choice_probabilities(encoding, [text], (YES, NO))
                expected = pytest.approx(yes, abs=1e-4) if yes > 0.5 else None
                assert located.cells[name].get(cell) == expected


def test_only_changed_tiles_are_asked_more(loaded, monkeypatch):
    model, tiles = loaded("llava"), noise(3)
    with_presence([0.9, 0.2, 0.7], monkeypatch)
    asked = []
    inputs = model.engine._inputs

    def counted(encoding, texts):
        asked.extend(text.row for text in texts)
        return inputs(encoding, texts)

    monkeypatch.setattr(model.engine, "_inputs", counted)
    answers = model.answer(tiles, MAPPED)
    # 18 cells, 2 counts, 1 caption, and the direction of what was located, or counted only.
    further = [
        sum(len(cells) or bool(counts.counts[name]) for name, cells in located.cells.items())
        for _, located, counts, _ in (answers[0], answers[2])
    ]
    assert sorted(asked) == [0] * (21 + further[0]) + [2] * (21 + further[1])
    assert answers[1] == [
        Presence(False, 0.2),
        Locations({"road": {}, "building": {}}),
        Counts({"road": 0, "building": 0}),
        Caption("no change", changed=False),
    ]
    counts = answers[0][2]
    assert isinstance(counts, Counts)
    assert all(0 <= count <= 999 for count in counts.counts.values())
    assert isinstance(answers[0][3], Caption | Unparsed)


def test_a_free_question_is_asked_about_every_tile(loaded, monkeypatch):
    model, tiles = loaded("llava"), noise(2)
    with_presence([0.1, 0.2], monkeypatch)
    question = Question(Task.QUESTION, "Is there a new lake?")
    answers = model.answer(tiles, [ask(Task.PRESENCE), question])
    text = model.engine.writer.prompt_ids([question.text], [])
    encoding = model.engine.encode(tiles)
    reply = model.engine.reply_texts(encoding, [TilePrompt(0, text), TilePrompt(1, text)])
    assert [getattr(answer[1], "text", None) for answer in answers] == reply


def test_a_dialogue_has_the_probability_of_presence(loaded, monkeypatch):
    model = loaded("llava")
    with_presence([0.3], monkeypatch)
    ((presence, dialogue),) = model.answer(noise(1), [ask(Task.PRESENCE), ask(Task.DIALOGUE)])
    assert isinstance(dialogue, Dialogue)
    assert dialogue.presence == presence == Presence(False, 0.3)


@pytest.mark.parametrize("kind", ["llava", "minicpmv4_6", "instructblipvideo"])
def test_lists_hold_nothing_but_cells(saved, kind, monkeypatch):
    model = load(saved(kind), answers="lists")
    with_presence([0.9] * 3, monkeypatch)
    answers = model.answer(noise(3), [ask(Task.PRESENCE), ask(Task.LOCATE)])
    for _, located in answers:
        assert isinstance(located, Locations)
        assert set(located.cells) == {"road", "building"}
        for cells in located.cells.values():
            assert set(cells) <= set(GRID_CELLS)
            # A list has no probabilities of its own: that of the tile is theirs.
            assert all(probability == 0.9 for probability in cells.values())


def test_one_of_takes_the_likeliest_token_that_is_allowed(loaded):
    model = loaded("llava")
    engine = model.engine
    encoding = engine.encode(noise(1))
    answers = ["center", "center-left", "center-left, top", "none"]
    ids = engine.writer.prompt_ids(["Where?"], [])
    reply: list[int] = []
    while True:
        step = first_logits(model, encoding, [TilePrompt(0, [*ids, *reply])])[0]
        spelt = [[*engine._token_ids(answer), engine.ends[0]] for answer in answers]
        allowed = {first[len(reply)] for first in spelt if first[: len(reply)] == reply}
        token = max(allowed, key=lambda item: float(step[item]))
        if token == engine.ends[0]:
            break
        reply.append(token)
    assert engine.reply_choices(encoding, [TilePrompt(0, ids)], answers) == [
        engine.writer.text(reply)
    ]
    assert engine.writer.text(reply) in answers


def test_in_words_all_answers_go_through_the_parsers(saved, monkeypatch):
    model = load(saved("llava"), answers="words")
    replies = {
        "whether these two images have changed": "Yes",
        "3x3 grid": "roads: ['top-left']. buildings: [].",
        "how many roads": "There is 1 new road.",
        "briefly describe": "a road appears",
    }

    def say(encoding, texts):
        asked = [model.engine.writer.text(text.ids) for text in texts]
        return [next(r for key, r in replies.items() if key in item) for item in asked]

    monkeypatch.setattr(model.engine, "reply_texts", say)
    ((presence, located, counts, caption),) = model.answer(noise(1), MAPPED)
    assert presence.changed
    assert [cell.name for cell in located.cells["road"]] == ["top-left"]
    assert counts.counts["road"] == 1
    assert caption.text == "a road appears"


@pytest.mark.parametrize("habit", [{"num_beams": 3}, {"use_cache": False}, {"do_sample": True}])
def test_habits_of_the_folder_do_not_count(copy, habit):
    expected = load(copy, max_tokens=5).answer(noise(2), MAPPED)
    file = copy / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | habit))
    assert load(copy, max_tokens=5).answer(noise(2), MAPPED) == expected


def test_a_penalty_on_repeating_does_not_touch_numbers_and_lists(copy, monkeypatch):
    with_presence([0.9] * 2, monkeypatch)
    questions = [ask(Task.PRESENCE), ask(Task.LOCATE), ask(Task.COUNT)]
    expected = load(copy, answers="lists").answer(noise(2), questions)
    file = copy / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"repetition_penalty": 3.0}))
    assert load(copy, answers="lists").answer(noise(2), questions) == expected


def test_a_model_that_gives_no_numbers_gives_no_answers(saved):
    model = load(saved("llava"))
    with torch.no_grad():
        model.engine.model.lm_head.weight[5, 5] = torch.nan
        model.engine.model.lm_head.weight[:, :] *= torch.nan
    for answer in model.answer(noise(2), MAPPED):
        assert isinstance(answer, TileFailure)
        assert "--dtype float32" in answer.reason


def test_yes_and_no_that_begin_alike_are_told_apart_or_refused(loaded, monkeypatch):
    engine = loaded("llava").engine
    tokens = {"Yes": [7, 1], "yes": [8], "No": [7, 2], "no": [9]}
    monkeypatch.setattr(engine, "_token_ids", lambda word: tokens[word])
    assert engine._first_tokens((("Yes", "yes"), ("No", "no"))) == [[8], [9]]
    with pytest.raises(ModelError, match="do not tell Yes from No"):
        engine._first_tokens((("Yes",), ("No",)))


def test_a_blank_may_stand_before_a_number(loaded, monkeypatch):
    engine = loaded("llava").engine
    spelt = engine._token_ids
    blank = spelt("\n")[0]

    def with_blank(text):
        return [blank, *spelt(text.strip())] if text.startswith(" ") else spelt(text)

    monkeypatch.setattr(engine, "_token_ids", with_blank)
    for name in ("_digit_ids", "_blank_ids"):
        engine.__dict__.pop(name, None)
    assert engine._blank_ids == [blank]
    seen = []
    reply = engine._reply_ids

    def watched(encoding, texts, allowed, **settings):
        seen.extend([allowed([]), allowed([blank]), allowed([engine._digit_ids[0]])])
        return reply(encoding, texts, allowed, **settings)

    monkeypatch.setattr(engine, "_reply_ids", watched)
    assert all(
        n >= 0
        for n in engine.reply_numbers(engine.encode(noise(1)), [TilePrompt(0, spelt("how many"))])
    )
    assert set(seen[0]) == {blank, *engine._digit_ids}
    assert set(seen[1]) == set(engine._digit_ids)
    assert blank not in seen[2]
    for name in ("_digit_ids", "_blank_ids"):
        engine.__dict__.pop(name, None)


def test_a_clue_goes_with_the_question(loaded):
    model = loaded("llava")
    caught = [replace(tile, clue="Clue: a lake dried up.") for tile in noise(2)]
    plain = model.answer(noise(2), [ask(Task.PRESENCE)])
    clued = model.answer(caught, [ask(Task.PRESENCE)])
    assert [row[0].probability for row in plain] != [row[0].probability for row in clued]


def test_prompts_of_ones_own_are_asked_in_words(loaded, monkeypatch):
    model = loaded("llava")
    with_presence([0.9], monkeypatch)
    seen = []
    monkeypatch.setattr(
        model.engine,
        "reply_texts",
        lambda encoding, texts: [
            seen.append(model.engine.writer.text(text.ids)) or "roads: []. buildings: []."
            for text in texts
        ],
    )
    own = ask(Task.LOCATE, "Name the cells that changed.")
    ((_, located),) = model.answer(noise(1), [ask(Task.PRESENCE), own])
    assert "Name the cells that changed." in seen[0]
    assert located == Locations({"road": {}, "building": {}})
