"""The backend `vlm` on tiny models of all the real classes, with random weights."""

import contextlib
import json
import shutil
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tile_factory import noise
from vlm_factory import CHAT, MAKERS, VISION, make_tokenizer, save_adapter, save_vlm

from geochg.errors import ModelError, OptionError, RunError
from geochg.models.pictures import picture
from geochg.models.vlm.asking import CELL_QUESTION, NO, YES
from geochg.models.vlm.backend import VlmModel, VlmOptions
from geochg.models.vlm.engine import Text
from geochg.records import (
    GRID_CELLS,
    Caption,
    Counts,
    Dialogue,
    Exchange,
    Locations,
    PairFacts,
    Presence,
    Question,
    Task,
    Tile,
    TileFailure,
    Unparsed,
)
from geochg.tasks import ask

QUESTIONS = ["Has any road changed?", "How many are there, really, and where exactly?"]
MAPPED = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)]
BLIP = ("instructblip", "instructblipvideo")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a model by its type, made once."""
    return cache(lambda kind: save_vlm(kind, tmp_path_factory.mktemp(kind)))


@pytest.fixture(scope="module")
def loaded(saved):
    """A model by its type, loaded once, with answers of at most 6 tokens."""
    return cache(lambda kind: VlmModel.load(str(saved(kind)), VlmOptions(max_tokens=6), "cpu"))


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of LLaVA's folder, to be spoilt."""
    return shutil.copytree(saved("llava"), tmp_path / "copy")


def with_presence(probabilities: list[float], monkeypatch) -> None:
    """Lets models say of tiles, in their order, how likely they changed."""
    from geochg.models.vlm.asking import Asking

    def presence(self, question):
        return [Presence(p > 0.5, p) for p in probabilities[: len(self.tiles)]]

    monkeypatch.setattr(Asking, "_presence", presence)


def load(folder, **options) -> VlmModel:
    return VlmModel.load(str(folder), VlmOptions.from_dict(options), "cpu")


def first_logits(model: VlmModel, glance, texts: list[Text]) -> torch.Tensor:
    """`(texts, vocabulary)` of the first token of each answer."""
    found = model.engine._generated(glance, texts, max_new_tokens=1, output_logits=True)
    return found.logits[0]


# --- looking once --------------------------------------------------------------------------------


def naive(model: VlmModel, tile: Tile, ids: list[int], most: int = 6) -> list[int]:
    """What `generate` says to one whole prompt about one tile, without anything kept."""
    engine = model.engine
    if not hasattr(engine, "family"):
        return naive_blip(model, tile, ids, most)
    shown = engine.family.show([tile])
    counts = iter(enumerate(shown.features))
    whole: list[int] = []
    for token in engine.writer.opening:
        is_picture = token == engine.family.token
        whole += engine.family.surrounded(*next(counts)) if is_picture else [token]
    rows = torch.tensor([[*whole, *ids]])
    more = dict(shown.inputs)
    if engine.family.marks_pictures:
        more["mm_token_type_ids"] = (rows == engine.family.token).int()
    engine.family.state = None
    said = engine.model.generate(
        input_ids=rows,
        attention_mask=torch.ones_like(rows),
        max_new_tokens=most,
        do_sample=False,
        pad_token_id=0,
        **more,
    )
    return said[0, rows.shape[1] :].tolist()


def naive_blip(model: VlmModel, tile: Tile, ids: list[int], most: int) -> list[int]:
    """Both dates through InstructBLIP-Video's own `generate`."""
    engine = model.engine
    pixels = engine.squares.tensor([picture(tile.before), picture(tile.after)])[None]
    own = [*engine.writer.opening, *ids]
    video = engine.model.config.video_token_id
    rows = torch.tensor([[video] * 6 + own])
    said = engine.model.generate(
        pixel_values=pixels,
        qformer_input_ids=torch.tensor([own]),
        input_ids=rows,
        attention_mask=torch.ones_like(rows),
        max_new_tokens=most,
        do_sample=False,
    )
    return said[0, rows.shape[1] if said.shape[1] > most else 0 :].tolist()


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "instructblip"])
def test_what_is_kept_of_a_look_changes_no_token(loaded, kind):
    model, tiles = loaded(kind), noise(3)
    rest = model.engine.writer.rest
    texts = [Text(row, rest([asked], [])) for row in range(3) for asked in QUESTIONS]
    texts.append(Text(1, rest([*QUESTIONS, "Why?"], ["No.", "Two."])))

    said = model.engine._said(model.engine.look(tiles), texts, max_new_tokens=6)

    for text, found in zip(texts, said, strict=True):
        assert found == model.engine._ended(naive(model, tiles[text.row], list(text.ids)))


@pytest.mark.parametrize("kind", MAKERS)
def test_pictures_matter_and_their_order_does(loaded, kind):
    model = loaded(kind)
    tiles = noise(2)
    tiles.append(replace(tiles[0], before=tiles[0].after, after=tiles[0].before))
    text = model.engine.writer.rest([QUESTIONS[0]], [])
    glance = model.engine.look(tiles)
    logits = first_logits(model, glance, [Text(row, text) for row in range(3)])
    assert not torch.allclose(logits[0], logits[1], atol=1e-4)
    assert not torch.allclose(logits[0], logits[2], atol=1e-4)


def test_instructblip_for_images_takes_both_dates_as_the_one_for_videos_does(saved, loaded):
    own = loaded("instructblip").engine.model.state_dict()
    video = loaded("instructblipvideo").engine.model.state_dict()
    assert own.keys() == video.keys()
    tiles = noise(1)
    texts = [Text(0, loaded("instructblip").engine.writer.rest([QUESTIONS[1]], []))]
    said = [
        loaded(kind).engine.say(loaded(kind).engine.look(tiles), texts)
        for kind in ("instructblip", "instructblipvideo")
    ]
    # Both are made from one seed, so they hold the same weights.
    assert said[0] == said[1]


def test_a_look_at_one_pair_survives_a_look_at_another(loaded):
    model = loaded("qwen2_vl")
    texts = [Text(0, model.engine.writer.rest([QUESTIONS[1]], []))]
    small, large = noise(1), [replace(noise(1)[0])]
    large[0] = replace(
        large[0],
        before=np.kron(large[0].before, np.ones((1, 2, 2), np.uint8)),
        after=np.kron(large[0].after, np.ones((1, 2, 2), np.uint8)),
    )
    first = model.engine.look(small)
    expected = model.engine.say(first, texts)
    model.engine.look(large)
    assert model.engine.say(first, texts) == expected


def test_the_opening_is_that_of_the_official_processor(loaded):
    model = loaded("llava")
    tokenizer = model.engine.writer.tokenizer
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 28}, crop_size=28, image_mean=[0.5] * 3, image_std=[0.25] * 3
        ),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
    )
    (tile,) = noise(1)
    pictures = [picture(tile.before), picture(tile.after)]
    written = model.engine.writer._written([QUESTIONS[0]], [])
    made = processor(text=written, images=pictures, return_tensors="pt")

    glance = model.engine.look([tile])
    ids = [*glance.ids, *model.engine.writer.rest([QUESTIONS[0]], [])]
    assert ids == made["input_ids"][0].tolist()
    shown = model.engine.family.show([tile]).inputs["pixel_values"]
    assert torch.allclose(shown, made["pixel_values"], atol=1e-2)


def test_idefics_pictures_are_those_of_the_official_processor(loaded, saved):
    model = loaded("idefics3")
    processor = transformers.Idefics3Processor(
        model.engine.family.processor, model.engine.writer.tokenizer, image_seq_len=4
    )
    (tile,) = noise(1)
    written = model.engine.writer._written([QUESTIONS[0]], [])
    made = processor(
        text=written,
        images=[picture(tile.before), picture(tile.after)],
        do_image_splitting=False,
        size={"longest_edge": 56},
        max_image_size={"longest_edge": 56},
        return_tensors="pt",
    )
    glance = model.engine.look([tile])
    ids = [*glance.ids, *model.engine.writer.rest([QUESTIONS[0]], [])]
    assert ids == made["input_ids"][0].tolist()


# --- answers that make sense ---------------------------------------------------------------------


def test_presence_is_the_probability_of_yes_against_no(loaded):
    model, tiles = loaded("llava"), noise(3)
    answers = model.answer(tiles, [ask(Task.PRESENCE)])

    text = model.engine.writer.rest([ask(Task.PRESENCE).text], [])
    glance = model.engine.look(tiles)
    logits = first_logits(model, glance, [Text(row, text) for row in range(3)]).double().exp()
    for row, (presence,) in enumerate(answers):
        both = [
            float(logits[row, sorted({model.engine._spelt(word)[0] for word in words})].sum())
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
                text = Text(row, model.engine.writer.rest([question], []))
                glance = model.engine.look(tiles)
                ((yes, _),) = model.engine.choose(glance, [text], (YES, NO))
                expected = pytest.approx(yes, abs=1e-4) if yes > 0.5 else None
                assert located.cells[name].get(cell) == expected


def test_only_changed_tiles_are_asked_more(loaded, monkeypatch):
    model, tiles = loaded("llava"), noise(3)
    with_presence([0.9, 0.2, 0.7], monkeypatch)
    asked = []
    inputs = model.engine._inputs

    def counted(glance, texts):
        asked.extend(text.row for text in texts)
        return inputs(glance, texts)

    monkeypatch.setattr(model.engine, "_inputs", counted)
    answers = model.answer(tiles, MAPPED)
    # 18 cells, 2 counts, 1 caption
    assert sorted(asked) == [0] * 21 + [2] * 21
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
    text = model.engine.writer.rest([question.text], [])
    glance = model.engine.look(tiles)
    said = model.engine.say(glance, [Text(0, text), Text(1, text)])
    assert [getattr(answer[1], "text", None) for answer in answers] == said


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
            assert all(probability == 1.0 for probability in cells.values())


def test_one_of_takes_the_likeliest_token_that_is_allowed(loaded):
    model = loaded("llava")
    engine = model.engine
    glance = engine.look(noise(1))
    answers = ["center", "center-left", "center-left, top", "none"]
    ids = engine.writer.rest(["Where?"], [])
    said: list[int] = []
    while True:
        step = first_logits(model, glance, [Text(0, [*ids, *said])])[0]
        spelt = [[*engine._spelt(answer), engine.ends[0]] for answer in answers]
        allowed = {one[len(said)] for one in spelt if one[: len(said)] == said}
        token = max(allowed, key=lambda each: float(step[each]))
        if token == engine.ends[0]:
            break
        said.append(token)
    assert engine.one_of(glance, [Text(0, ids)], answers) == [engine.writer.words(said)]
    assert engine.writer.words(said) in answers


def test_in_words_all_answers_go_through_the_parsers(saved, monkeypatch):
    model = load(saved("llava"), answers="words")
    replies = {
        "whether these two images have changed": "Yes",
        "3x3 grid": "roads: ['top-left']. buildings: [].",
        "how many roads": "There is 1 new road.",
        "briefly describe": "a road appears",
    }

    def say(glance, texts):
        asked = [model.engine.writer.words(text.ids) for text in texts]
        return [next(r for key, r in replies.items() if key in each) for each in asked]

    monkeypatch.setattr(model.engine, "say", say)
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
    monkeypatch.setattr(engine, "_spelt", lambda word: tokens[word])
    assert engine._first_tokens((("Yes", "yes"), ("No", "no"))) == [[8], [9]]
    with pytest.raises(ModelError, match="do not tell Yes from No"):
        engine._first_tokens((("Yes",), ("No",)))


def test_a_blank_may_stand_before_a_number(loaded, monkeypatch):
    engine = loaded("llava").engine
    spelt = engine._spelt
    blank = spelt("\n")[0]

    def with_blank(text):
        return [blank, *spelt(text.strip())] if text.startswith(" ") else spelt(text)

    monkeypatch.setattr(engine, "_spelt", with_blank)
    for name in ("_digits", "_blanks"):
        engine.__dict__.pop(name, None)
    assert engine._blanks == [blank]
    seen = []
    said = engine._said

    def watched(glance, texts, allowed, **settings):
        seen.extend([allowed([]), allowed([blank]), allowed([engine._digits[0]])])
        return said(glance, texts, allowed, **settings)

    monkeypatch.setattr(engine, "_said", watched)
    assert all(n >= 0 for n in engine.number(engine.look(noise(1)), [Text(0, spelt("how many"))]))
    assert set(seen[0]) == {blank, *engine._digits}
    assert set(seen[1]) == set(engine._digits)
    assert blank not in seen[2]
    for name in ("_digits", "_blanks"):
        engine.__dict__.pop(name, None)


def test_a_clue_goes_with_the_question(loaded):
    model = loaded("llava")
    told = [replace(tile, clue="Clue: a lake dried up.") for tile in noise(2)]
    plain = model.answer(noise(2), [ask(Task.PRESENCE)])
    clued = model.answer(told, [ask(Task.PRESENCE)])
    assert [row[0].probability for row in plain] != [row[0].probability for row in clued]


def test_prompts_of_ones_own_are_asked_in_words(loaded, monkeypatch):
    model = loaded("llava")
    with_presence([0.9], monkeypatch)
    seen = []
    monkeypatch.setattr(
        model.engine,
        "say",
        lambda glance, texts: [
            seen.append(model.engine.writer.words(text.ids)) or "roads: []. buildings: []."
            for text in texts
        ],
    )
    own = ask(Task.LOCATE, "Name the cells that changed.")
    ((_, located),) = model.answer(noise(1), [ask(Task.PRESENCE), own])
    assert "Name the cells that changed." in seen[0]
    assert located == Locations({"road": {}, "building": {}})


# --- memory --------------------------------------------------------------------------------------


def small_memory(model: VlmModel, rows: int, monkeypatch) -> list[int]:
    """Lets `generate` fail for more rows than this; gives the rows of the calls that went well."""
    generate, went_well = model.engine.model.generate, []

    def limited(**inputs):
        if len(inputs["input_ids"]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        went_well.append(len(inputs["input_ids"]))
        return generate(**inputs)

    monkeypatch.setattr(model.engine.model, "generate", limited)
    return went_well


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
    look, looked = model.engine.look, []

    def limited(part):
        if len(part) > 2:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB)")
        looked.append(len(part))
        return look(part)

    monkeypatch.setattr(model.engine, "look", limited)
    assert model.answer(tiles, MAPPED) == expected
    assert looked == [2, 2, 1]


def test_too_little_memory_for_one_tile_is_told(saved, monkeypatch):
    model = load(saved("llava"))
    small_memory(model, 0, monkeypatch)
    with pytest.raises(RunError, match="too little memory") as told:
        model.answer(noise(2), [ask(Task.PRESENCE)])
    assert "--resume --device cpu" in told.value.hint


def test_too_many_tiles_at_once_do_not_shrink_the_rows_for_good(saved, monkeypatch):
    """What is kept of the tiles takes memory whatever the rows."""
    model, tiles = load(saved("llava"), max_tokens=2), noise(4)
    inputs = model.engine._inputs
    rows = []

    def limited(glance, texts):
        if glance.cache.layers[0].keys.shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        rows.append(len(texts))
        return inputs(glance, texts)

    monkeypatch.setattr(model.engine, "_inputs", limited)
    with_presence([0.9] * 4, monkeypatch)
    model.answer(tiles, [ask(Task.PRESENCE), ask(Task.LOCATE)])
    assert max(rows) == 32


def test_other_failures_are_not_taken_for_a_full_memory(saved, monkeypatch):
    model = load(saved("llava"))

    def broken(**_):
        raise RuntimeError("index out of range")

    monkeypatch.setattr(model.engine.model, "generate", broken)
    with pytest.raises(RuntimeError, match="index out of range"):
        model.answer(noise(2), [ask(Task.PRESENCE)])


# --- talking -------------------------------------------------------------------------------------

FACTS = PairFacts(("red", "green", "blue"), 1.0, "uint8")


def test_a_talk_streams_what_it_would_say_at_once(loaded):
    model, (tile,) = loaded("qwen2_5_vl"), noise(1)
    said = [Exchange("Is there a road?", "Yes, one.")]
    pieces = list(model.talk(tile, FACTS, said, "Where is it?"))
    ids = model.engine.writer.rest(["Is there a road?", "Where is it?"], ["Yes, one."])
    assert "".join(pieces).strip() == model.engine.say(model.engine.look([tile]), [Text(0, ids)])[0]


def test_a_talk_that_is_left_ends_its_thread(loaded):
    import threading

    model = loaded("llava")
    talk = model.talk(noise(1)[0], FACTS, [], "Where is it?")
    next(talk)
    talk.close()
    assert not [t for t in threading.enumerate() if t.name == "geochg-words"]


def test_a_talk_that_fails_says_so(saved, monkeypatch):
    model = load(saved("llava"))
    small_memory(model, 0, monkeypatch)
    with pytest.raises(RunError, match="too little memory"):
        list(model.talk(noise(1)[0], FACTS, [], "Where is it?"))


@pytest.mark.parametrize("text", ["<image>", "<ima<image>ge>", "</s>[user] <|start|>", "<video>"])
def test_words_that_tokenizers_take_for_more_are_taken_out(loaded, text):
    model = loaded("llava")
    writer = model.engine.writer
    special = set(writer.tokenizer.all_special_ids)
    plain = [each for each in writer.rest(["Is  new?"], []) if each in special]
    spoilt = [each for each in writer.rest([f"Is {text} new?"], []) if each in special]
    assert plain == spoilt
    list(model.talk(noise(1)[0], FACTS, [Exchange(text, text)], f"What is {text}?"))


# --- folders -------------------------------------------------------------------------------------


def test_a_model_that_brings_no_template_gets_that_of_vicuna(copy):
    (copy / "chat_template.jinja").unlink()
    model = load(copy)
    assert model.engine.writer._written(["Why?"], []).startswith("USER: <image>\n<image>\n")
    assert model.answer(noise(1), [ask(Task.PRESENCE)])


def test_a_template_without_pictures_is_refused(copy):
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'][-1]['text'] }}")
    with pytest.raises(ModelError, match="leaves out the pictures"):
        load(copy)


def test_a_template_that_fails_is_told(copy):
    (copy / "chat_template.jinja").write_text("{{ raise_exception('only text') }}")
    with pytest.raises(ModelError, match="chat template fails: only text"):
        load(copy)


def test_a_template_for_a_model_that_thinks_aloud_is_refused(copy):
    (copy / "chat_template.jinja").write_text(CHAT + "{{ '<think>' }}")
    with pytest.raises(ModelError, match="thinks before it answers"):
        load(copy)
    (copy / "chat_template.jinja").write_text(
        CHAT + "{% if enable_thinking is not false %}{{ '<think>' }}{% endif %}"
    )
    load(copy)


def test_of_several_templates_the_default_is_taken(copy):
    (copy / "chat_template.jinja").unlink()
    named = {"default": "QUESTION " + CHAT, "tools": "nonsense"}
    (copy / "chat_template.json").write_text(json.dumps({"chat_template": named}))
    assert load(copy).engine.writer._written(["Why?"], []).startswith("QUESTION [user]")


def test_a_model_that_needs_a_template_of_its_own_is_refused_without(saved, tmp_path):
    folder = shutil.copytree(saved("idefics3"), tmp_path / "copy")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        load(folder)


def test_a_template_cannot_reach_out(copy):
    (copy / "chat_template.jinja").write_text(
        "{{ messages.__class__.__mro__[-1].__subclasses__() }}" + CHAT
    )
    with pytest.raises(ModelError, match="chat template fails"):
        load(copy)


def test_a_folder_without_configuration(tmp_path):
    with pytest.raises(ModelError, match=r"has no config\.json"):
        load(tmp_path)


def test_an_unknown_architecture_is_refused_with_the_known(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(ModelError, match="'gpt2', which is not known") as told:
        load(copy)
    assert all(kind in told.value.hint for kind in MAKERS)


def test_pickled_weights_are_refused(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is a pickle"):
        load(copy)


def test_weights_that_are_none_are_told(copy):
    (copy / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="no safetensors file"):
        load(copy)


def test_a_missing_weight_is_named(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    name = next(name for name in weights if "multi_modal_projector" in name)
    del weights[name]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"has no weight .*multi_modal_projector"):
        load(copy)


def test_a_missing_tokenizer_is_told(copy):
    for file in copy.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match=r"tokenizer in .* cannot be loaded"):
        load(copy)


def test_a_missing_picture_processor_is_told(saved, tmp_path):
    folder = shutil.copytree(saved("qwen2_vl"), tmp_path / "copy")
    for file in folder.glob("*processor_config.json"):
        file.unlink()
    with pytest.raises(ModelError, match="how its pictures are made ready"):
        load(folder)


def test_an_instructblip_without_its_second_tokenizer_is_told(saved, tmp_path):
    folder = shutil.copytree(saved("instructblip"), tmp_path / "copy")
    shutil.rmtree(folder / "qformer_tokenizer")
    with pytest.raises(ModelError, match="tokenizer of its Q-Former"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "part"),
    [("config.json", "AutoConfig"), ("tokenizer_config.json", "AutoTokenizer"),
     ("preprocessor_config.json", "AutoImageProcessor")],
)  # fmt: skip
def test_code_in_a_folder_is_not_run(saved, tmp_path, file, part):
    folder = shutil.copytree(saved("qwen2_vl"), tmp_path / "copy")
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Evil: pass\n")
    settings = json.loads((folder / file).read_text())
    evil = ["evil.Evil", "evil.Evil"] if part == "AutoTokenizer" else "evil.Evil"
    settings["auto_map"] = {part: evil}
    if part == "AutoConfig":
        settings["model_type"] = "evil"
    (folder / file).write_text(json.dumps(settings))
    refused = part == "AutoConfig"
    with pytest.raises(ModelError) if refused else contextlib.nullcontext():
        load(folder)
    assert not ran.exists()
    # Whoever trusts it does run it.
    with contextlib.suppress(Exception):
        getattr(transformers, part).from_pretrained(folder, trust_remote_code=True)
    assert ran.exists()


def test_pictures_are_normalised_as_the_folder_says(saved):
    model = load(saved("llava"))
    white = [picture(np.full((3, 8, 8), 255, np.uint8))]
    assert model.engine.family.squares.tensor(white).unique().tolist() == [2.0]


def test_an_encoder_decoder_can_be_asked(tmp_path):
    """InstructBLIP with Flan-T5, whose answers begin with a token of their own."""
    folder = save_t5_blip(tmp_path)
    model = load(folder, max_tokens=5)
    engine = model.engine
    texts = [Text(0, engine.writer.rest([QUESTIONS[0]], []))]
    said = engine._said(engine.look(noise(1)), texts, max_new_tokens=5)
    start = engine.speaker.config.decoder_start_token_id
    assert said[0][:1] != [start]
    whole = [*engine.writer.opening, *texts[0].ids]
    assert whole[-1] == engine.writer.tokenizer.eos_token_id
    assert whole.count(engine.writer.tokenizer.eos_token_id) == 1
    assert all(0 <= count <= 999 for count in engine.number(engine.look(noise(1)), texts))


def save_t5_blip(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    text = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config = transformers.InstructBlipConfig(
        vision_config=VISION,
        qformer_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "encoder_hidden_size": 32,
        },
        text_config=text.to_dict(),
        num_query_tokens=3,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    transformers.InstructBlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tokenizer.save_pretrained(folder / "qformer_tokenizer")
    return folder


# --- adapters and quantisation -------------------------------------------------------------------


def test_an_adapter_changes_what_is_said_and_stands_in_the_identity(saved, tmp_path):
    adapter = save_adapter(saved("llava"), tmp_path / "adapter")
    plain, adapted = load(saved("llava")), load(saved("llava"), adapter=str(adapter))
    before, after = (m.answer(noise(2), [ask(Task.PRESENCE)]) for m in (plain, adapted))
    assert before != after
    assert adapted.identity.checksum == plain.identity.checksum
    assert adapted.identity.adapter.startswith(f"{adapter} sha256:")

    from peft import PeftModel

    base = transformers.AutoModelForImageTextToText.from_pretrained(saved("llava"))
    expected = PeftModel.from_pretrained(base, adapter).merge_and_unload().state_dict()
    found = adapted.engine.model.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_an_adapter_on_a_quantised_model(saved, tmp_path):
    """Qwen-VL keeps state on the model, which an adapter must not hide."""
    pytest.importorskip("bitsandbytes")
    base = saved("qwen2_5_vl")
    adapter = save_adapter(base, tmp_path / "adapter")
    model = load(base, adapter=str(adapter), quantize="4bit", max_tokens=4)
    rest = model.engine.writer.rest(["Why?"], [])
    texts = [Text(row, rest) for row in (0, 1, 1)]
    glance = model.engine.look(noise(2))
    together = model.engine._said(glance, texts, max_new_tokens=4)
    alone = [model.engine._said(glance, [text], max_new_tokens=4)[0] for text in texts]
    assert together == alone
    assert model.engine._said(
        load(base, quantize="4bit").engine.look(noise(2)), texts, max_new_tokens=4
    )


def test_an_adapter_saved_by_an_older_transformers_fits(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    adapter = save_adapter(saved("llava"), tmp_path / "adapter")
    file = adapter / "adapter_model.safetensors"
    expected = load(saved("llava"), adapter=str(adapter)).answer(noise(1), [ask(Task.PRESENCE)])
    weights = {
        name.replace(".model.model.language_model.", ".model.language_model.model."): weight
        for name, weight in load_file(file).items()
    }
    assert weights.keys() != load_file(file).keys()
    save_file(weights, file)
    model = load(saved("llava"), adapter=str(adapter))
    assert model.answer(noise(1), [ask(Task.PRESENCE)]) == expected


def test_an_adapter_of_pickles_is_refused(saved, tmp_path):
    adapter = save_adapter(saved("llava"), tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"has no adapter_model\.safetensors"):
        load(saved("llava"), adapter=str(adapter))


def test_settings_of_an_adapter_and_of_a_model_stand_in_the_identity(saved, copy, tmp_path):
    adapter = save_adapter(saved("llava"), tmp_path / "adapter")
    before = load(copy, adapter=str(adapter)).identity
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 80}))
    (copy / "chat_template.jinja").write_text(CHAT + " ")
    after = load(copy, adapter=str(adapter)).identity
    assert before.adapter != after.adapter
    assert before.checksum != after.checksum


def test_a_llava_with_a_siglip_has_no_class_token(tmp_path):
    folder = save_vlm("llava", tmp_path / "model", tower="siglip", strategy="full")
    assert load(folder).answer(noise(1), [ask(Task.PRESENCE)])


def test_a_llava_with_another_vision_part_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    config["vision_config"] = {"model_type": "pixtral"}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"vision part|cannot be loaded|has no weight"):
        load(copy)


def test_no_adapter_folder(saved, tmp_path):
    with pytest.raises(ModelError, match="is no adapter folder"):
        load(saved("llava"), adapter=str(tmp_path))


def test_an_adapter_of_another_base_is_refused(saved, tmp_path):
    adapter = save_adapter(saved("llava"), tmp_path / "adapter")
    for kind in ("idefics3", "instructblip"):
        with pytest.raises(ModelError, match="does not fit this model"):
            load(saved(kind), adapter=str(adapter))


@pytest.mark.parametrize(("bits", "layer"), [("4bit", "Linear4bit"), ("8bit", "Linear8bitLt")])
def test_quantised_models_answer_much_the_same(saved, bits, layer):
    pytest.importorskip("bitsandbytes")
    model = load(saved("llava"), quantize=bits)
    kinds = {name: type(module).__name__ for name, module in model.engine.model.named_modules()}
    assert kinds["model.language_model.layers.0.self_attn.q_proj"] == layer
    seen = [kind for name, kind in kinds.items() if "vision" in name or "projector" in name]
    assert layer not in seen
    whole, quantised = (
        [row[0].probability for row in m.answer(noise(3), [ask(Task.PRESENCE)])]
        for m in (load(saved("llava")), model)
    )
    assert quantised == pytest.approx(whole, abs=0.25)
    assert quantised != whole


def test_quantisation_without_bitsandbytes_names_what_to_install(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ModelError, match="needs bitsandbytes") as told:
        load(saved("llava"), quantize="4bit")
    assert "geochg[models]" in told.value.hint


def test_there_is_no_quantisation_on_mps(saved, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ModelError, match="no quantisation on mps"):
        VlmModel.load(str(saved("llava")), VlmOptions.from_dict({"quantize": "8bit"}), "mps")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(saved, dtype):
    model = load(saved("llava"), dtype=dtype)
    assert model.engine.model.dtype == getattr(torch, dtype)
    ((presence,),) = model.answer(noise(1), [ask(Task.PRESENCE)])
    ((whole,),) = load(saved("llava")).answer(noise(1), [ask(Task.PRESENCE)])
    assert presence.probability == pytest.approx(whole.probability, abs=0.1)


@pytest.mark.parametrize(
    "options",
    [{"quantize": "2bit"}, {"dtype": "float64"}, {"answers": "yes"}, {"max_tokens": 0}],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(OptionError):
        VlmOptions.from_dict(options)
