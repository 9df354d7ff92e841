"""Samples and what models learn of them: tokens, labels, moved answers, the choice of rows."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import deltavlm_factory
import numpy as np
import pytest
import torch
from PIL import Image
from tuning_rows import write_rows
from vlm_factory import MAKERS, save_vlm

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS, UNKNOWN_LABEL
from geochg.datasets.example import Example, ExampleTurn
from geochg.datasets.examples import read_examples
from geochg.datasets.ground.covers import ANY, NOTHING, UNKNOWN_CHANGE, Cover
from geochg.errors import InputError
from geochg.models.deltavlm.processing import IGNORED
from geochg.models.vlm.chat_writer import VICUNA, ChatWriter
from geochg.models.vlm.loading import How, open_vlm
from geochg.records import Change, GridCell, Task
from geochg.tasks import SPECS
from geochg.training.finetune.augmentation import Augmentation, augmented_sample
from geochg.training.finetune.deltavlm import TrainableDeltaVLM
from geochg.training.finetune.sample import UNKNOWN, ChangeMasks, Sample, load_sample
from geochg.training.finetune.training_set import (
    balanced_subset,
    count_leaks,
    example_order,
    split_examples,
)
from geochg.training.finetune.vlm import token_rows, trainable_vlm


def sample(task=Task.PRESENCE, answers=("Yes",), masks=None, side=64):
    rng = np.random.default_rng(1)
    dates = rng.integers(0, 255, (2, 3, side, side), np.uint8)
    questions = SPECS[task].prompts
    questions = questions if len(answers) == len(questions) else ("Why?",)
    return Sample(tuple(dates), task, questions, answers, masks)


TINY = deltavlm_factory.tiny_model()
DATE = np.zeros((3, 50, 64), np.uint8)
TALK = sample(Task.DIALOGUE, ("Yes", "1 road has changed.", "A new road crosses the place."))


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    folder = save_vlm("llava", tmp_path_factory.mktemp("llava"))
    return open_vlm(folder, How("cpu", torch.float32, None, "", 8)), folder


def answers_in(labels, tokenizer):
    """The runs of labelled tokens as text."""
    runs, run = [], []
    for label in [*labels, IGNORED]:
        if label != IGNORED:
            run.append(label)
        elif run:
            runs.append(tokenizer.decode(run))
            run = []
    return runs


def test_all_answers_of_a_talk_and_nothing_else_are_learned(llava):
    engine, _ = llava
    rows = token_rows(engine.writer, TALK.questions, TALK.answers, engine.ends)
    assert len(rows) == 1
    assert answers_in(rows[0].labels, engine.writer.tokenizer) == [f"{t}</s>" for t in TALK.answers]
    # What stands before the last answer is what the model is given when it is asked.
    prompt = engine.writer.prompt_ids(TALK.questions, TALK.answers[:2])
    assert rows[0].ids[: len(prompt)] == prompt
    assert all(a in (b, IGNORED) for a, b in zip(rows[0].labels, rows[0].ids, strict=True))


def test_the_blank_before_an_answer_belongs_to_it(llava):
    engine, _ = llava
    writer = ChatWriter(engine.writer.tokenizer, VICUNA, engine.writer.content)
    (row,) = token_rows(writer, ["Changed?"], ["Yes"], engine.ends)
    assert answers_in(row.labels, writer.tokenizer) == [" Yes</s>"]
    prompt = writer.prompt_ids(["Changed?"], [])
    assert row.ids[: len(prompt)] == prompt
    assert row.labels.count(IGNORED) == len(prompt)


def test_turns_that_do_not_nest_become_rows_of_their_own(llava):
    engine, _ = llava
    # Of earlier answers this template keeps nothing but a mark, as some do with thoughts.
    template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{% for p in m['content'] %}"
        "{% if p['type'] == 'text' %}{{ p['text'] }}{% else %}<image>{% endif %}{% endfor %}: "
        "{% elif loop.last %}{{ m['content'][0]['text'] }}</s>{% else %}[...]{% endif %}"
        "{% endfor %}"
    )
    writer = ChatWriter(engine.writer.tokenizer, template, engine.writer.content)
    rows = token_rows(writer, TALK.questions, TALK.answers, engine.ends)
    assert len(rows) == 3
    for place, row in enumerate(rows):
        assert answers_in(row.labels, writer.tokenizer) == [f"{TALK.answers[place]}</s>"]
        prompt = writer.prompt_ids(TALK.questions[: place + 1], TALK.answers[:place])
        assert row.ids[: len(prompt)] == prompt


def test_a_template_without_an_end_still_teaches_to_stop(llava):
    engine, _ = llava
    template = (
        "{% for m in messages %}{% for p in m['content'] %}{% if p['type'] == 'text' %}"
        "{{ p['text'] }}{% else %}<image>{% endif %}{% endfor %}: {% endfor %}"
    )
    writer = ChatWriter(engine.writer.tokenizer, template, engine.writer.content)
    (row,) = token_rows(writer, ["Changed?"], ["Yes"], engine.ends)
    assert row.labels[-1] == engine.ends[0]


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_the_loss_is_that_of_the_answer_as_the_model_would_give_it(kind, tmp_path):
    """Pictures of two sizes in one batch lose what each loses alone."""
    folder = save_vlm(kind, tmp_path / kind)
    engine = open_vlm(folder, How("cpu", torch.float32, None, "", 8))
    model = trainable_vlm(engine, folder, 512).eval()
    both = [TALK, sample(side=48)]

    def words(samples):
        with torch.no_grad():
            return float(model(**model.inputs(samples))["text"])

    assert words(both) == pytest.approx(sum(words([each]) for each in both), rel=1e-4)
    # The first answer's first token is as likely as inference says it is.
    one = sample()
    inputs = model.inputs([one])
    first = next(label for label in inputs["labels"][0].tolist() if label != IGNORED)
    from geochg.models.vlm.engine import TilePrompt

    glance = engine.encode([one.tile()])
    texts = [TilePrompt(0, engine.writer.prompt_ids(one.questions, []))]
    logits = engine._generate(glance, texts, max_new_tokens=1, output_logits=True).logits[0]
    expected = -float(logits[0].float().log_softmax(0)[first])
    labels = inputs["labels"]
    place = int((labels[0] != IGNORED).nonzero()[0])
    labels[:, place + 1 :] = IGNORED
    with torch.no_grad():
        assert float(model(**inputs)["text"]) == pytest.approx(expected, abs=1e-3)


def test_deltavlm_learns_each_turn_with_the_turns_before_it():
    config = deltavlm_factory.tiny_config()
    model = TrainableDeltaVLM(
        deltavlm_factory.tiny_model(config), deltavlm_factory.processor(config), None, 999, 1.0
    )
    inputs = model.inputs([sample(), TALK])
    tokenizer = model.processor.tokenizer
    said = [answers_in(row.tolist(), tokenizer) for row in inputs["labels"]]
    assert inputs["pair_index"].tolist() == [0, 1, 1, 1]
    plain = [[text.replace(" ", "") for text in row] for row in said]
    ends = tokenizer.eos_token
    assert plain == [[text.replace(" ", "") + ends] for text in ("Yes", *TALK.answers)]
    assert inputs["before"].shape == (2, 3, 64, 64)
    whole = tokenizer.decode(inputs["input_ids"][2]).replace(" ", "")
    assert whole.index("Yes") < whole.index("Ifchangeshaveoccurred")


def masks(at=3, side=64):
    """A building, at the top left unless told otherwise."""
    classes = np.zeros((side, side), np.uint8)
    classes[at : at + 12, at : at + 12] = 1
    return ChangeMasks(classes, classes.copy())


def test_places_move_with_the_pictures():
    truth = SPECS[Task.LOCATE]
    there = masks(at=18)
    whole = sample(Task.LOCATE, (truth.render(there.locations()),), there)
    # The changed ground is marked in the picture too, so that both can be compared.
    whole = replace(
        whole, dates=(np.repeat(there.classes[None] * np.uint8(255), 3, axis=0), whole.dates[1])
    )
    augmentation = Augmentation(0.5, 15)
    moved = [
        augmented_sample(whole, augmentation, np.random.default_rng(seed)) for seed in range(40)
    ]
    told = Counter(each.answers[0] for each in moved)
    assert len(told) > 3
    for each in moved:
        assert each.shape_px == whole.shape_px
        assert each.answers == (truth.render(each.masks.locations()),)
        agree = (each.dates[0][0] > 127) == (each.masks.classes > 0)
        assert agree.mean() > 0.98
        assert set(np.unique(each.masks.classes)) <= {0, 1}


def test_a_full_turn_of_fifteen_degrees_makes_no_pixel_up():
    flat = replace(sample(masks=masks()), dates=(np.full((3, 64, 64), 200, np.uint8),) * 2)
    for seed in range(20):
        framed = augmented_sample(flat, Augmentation(0.9, 15), np.random.default_rng(seed))
        assert (framed.dates[0] == 200).all()


def test_presence_follows_what_is_left_in_the_frame():
    corner = np.zeros((64, 64), np.uint8)
    corner[:4, :4] = 1
    whole = sample(Task.PRESENCE, ("Yes",), ChangeMasks(corner, corner))
    said = {
        augmented_sample(whole, Augmentation(0.4, 0), np.random.default_rng(s)).answers
        for s in range(30)
    }
    assert said == {("Yes",), ("No",)}


def test_only_classes_that_the_answer_names_are_told_of_in_a_frame():
    """A set of buildings alone knows nothing of roads."""
    there = masks(at=18)
    truth = SPECS[Task.LOCATE].render(there.locations(["building"]))
    assert "roads" not in truth
    whole = sample(Task.LOCATE, (truth,), there)
    told = {
        augmented_sample(whole, Augmentation(0.5, 0), np.random.default_rng(s)).answers
        for s in range(20)
    }
    assert len(told) > 1
    assert not any("road" in said for (said,) in told)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        # Of trees, say, which the masks leave out.
        (Task.PRESENCE, "Yes"),
        (Task.LOCATE, "roads: ['top-left']. buildings: []."),
        (Task.LOCATE, "somewhere"),
    ],
)
def test_an_answer_that_the_masks_do_not_bear_out_stays(task, said):
    nothing = np.zeros((64, 64), np.uint8)
    whole = sample(task, (said,), ChangeMasks(nothing, nothing))
    for seed in range(5):
        assert augmented_sample(whole, Augmentation(0.5, 15), np.random.default_rng(seed)) is whole


@pytest.mark.parametrize(
    ("task", "said", "with_masks"),
    [
        (Task.LOCATE, ("roads: []. buildings: ['top-left'].",), False),
        (Task.COUNT, ("1 building has changed.",), True),
        (Task.CAPTION, ("A house appears at the top left.",), True),
        (Task.CAPTION, ("Two houses appear.",), True),
        (Task.QUESTION, ("Because.",), True),
        (Task.DIALOGUE, TALK.answers, True),
    ],
)
def test_what_cannot_be_moved_stays(task, said, with_masks):
    whole = sample(task, said, masks() if with_masks else None)
    for seed in range(5):
        assert augmented_sample(whole, Augmentation(0.5, 15), np.random.default_rng(seed)) is whole


def test_masks_are_read_beside_the_pictures(tmp_path):

    rows = write_rows(tmp_path / "world")
    found = load_sample(read_examples(rows)[1], masks=True).masks
    assert list(found.locations().cells["building"]) == [GridCell(0, 0)]
    # LEVIR-MCI: grey values, no directions.
    mci = np.zeros((64, 64), np.uint8)
    mci[40:60, 40:60], mci[2:20, 40:60] = 255, 128
    Image.fromarray(mci).save(tmp_path / "world" / "label" / "0.png")
    (tmp_path / "world" / "direction" / "0.png").unlink()
    from geochg.training.finetune.sample import _mask_file

    _mask_file.cache_clear()
    found = load_sample(read_examples(rows)[1], masks=True).masks
    assert GridCell(2, 2) in found.locations().cells["building"]
    assert GridCell(0, 2) in found.locations().cells["road"]
    assert set(np.unique(found.directions)) == {0, UNKNOWN}
    Image.fromarray(mci[:10]).save(tmp_path / "world" / "label" / "0.png")
    with pytest.raises(InputError, match="its pictures have 64 x 64"):
        load_sample(read_examples(rows)[1], masks=True)


def test_other_changes_are_no_class_of_the_head_and_not_nothing_either():
    classes = np.zeros((64, 64), np.uint8)
    classes[:8], classes[8:16] = CLASS_NAMES.index("building"), CLASS_NAMES.index("other")
    found = sample(masks=ChangeMasks(classes, (classes > 0).astype(np.uint8)))
    config = deltavlm_factory.tiny_config()
    model = TrainableDeltaVLM(
        deltavlm_factory.tiny_model(config), deltavlm_factory.processor(config), None, 999, 1.0
    )
    model.wants_masks = model.learns_from_masks()
    inputs = model.inputs([found])
    known = inputs["cover_after"][0] == Cover.BUILDING
    assert known.sum() == 8 * 64
    assert known[:8].all()
    # Of the others it is known that they changed, but not what they were or are.
    assert inputs["change"][0].sum() == 16 * 64
    for date in ("cover_before", "cover_after"):
        assert (inputs[date][0][8:] == NOTHING).all()
    assert inputs["teaches_change"].tolist() == [True]


def test_pixels_of_which_nobody_knows_take_no_part(tmp_path):
    rows = write_rows(tmp_path / "world")
    label = tmp_path / "world" / "label" / "0.png"
    values = np.asarray(Image.open(label)).copy()
    values[32:] = UNKNOWN_LABEL
    Image.fromarray(values).save(label)
    examples = read_examples(rows)
    found = load_sample(examples[0], masks=True)
    assert found.masks.changed
    assert not found.masks.known[32:].any()
    assert load_sample(examples[-1], masks=True).masks.known is None
    model = TrainableDeltaVLM(TINY, deltavlm_factory.processor(TINY.config), None, 999, 1.0)
    model.wants_masks = model.learns_from_masks()
    change = model.inputs([found])["change"][0]
    assert (change[32:] == UNKNOWN_CHANGE).all()
    assert set(change[:32].unique().tolist()) == {0, 1}
    # A frame within it may hold nothing that is known, so its answer cannot follow.
    rng = np.random.default_rng(0)
    assert augmented_sample(found, Augmentation(crop=0.5, rotate_deg=20), rng) is found


@pytest.mark.parametrize(
    ("direction", "before", "after"),
    [
        (Change.APPEARED, ANY - Cover.WATER, Cover.WATER),
        (Change.DISAPPEARED, Cover.WATER, ANY - Cover.WATER),
        (Change.ALTERED, Cover.WATER, Cover.WATER),
    ],
)
def test_class_and_direction_tell_what_the_ground_was_and_is(direction, before, after):
    classes = np.zeros((50, 64), np.uint8)
    classes[:8] = CLASS_NAMES.index("water")
    directions = np.where(classes > 0, DIRECTIONS.index(direction), 0).astype(np.uint8)
    found = replace(sample(masks=ChangeMasks(classes, directions)), dates=(DATE, DATE))
    unknown = replace(found, masks=ChangeMasks(classes, np.full_like(classes, UNKNOWN)))
    model = TrainableDeltaVLM(TINY, deltavlm_factory.processor(TINY.config), None, 999, 1.0)
    model.wants_masks = model.learns_from_masks()
    inputs = model.inputs([found, unknown, replace(found, masks=None)])
    told = [inputs[name] for name in ("cover_before", "cover_after", "change")]
    assert [int(part[0, 0, 0]) for part in told] == [before, after, 1]
    assert [int(part[1, 0, 0]) for part in told] == [NOTHING, NOTHING, 1]
    assert [int(part[0, 20, 0]) for part in told] == [NOTHING, NOTHING, 0]
    # Beyond the picture, which is padded, and without masks nobody knows.
    assert (inputs["change"][0, 50:] == UNKNOWN_CHANGE).all()
    assert (inputs["change"][2] == UNKNOWN_CHANGE).all()
    assert inputs["teaches_change"].tolist() == [True, True, False]
    losses = model.losses(inputs)
    assert torch.isfinite(losses["seeing"])
    losses["seeing"].backward()
    assert TINY.dense.change.weight.grad is not None


def test_masks_of_all_classes_that_build_writes_are_read(tmp_path):
    rows = write_rows(tmp_path / "d")
    mask = np.full((64, 64), CLASS_NAMES.index("other"), np.uint8)
    Image.fromarray(mask).save(tmp_path / "d" / "label" / "0.png")
    assert (load_sample(read_examples(rows)[0], masks=True).masks.classes == 6).all()
    Image.fromarray(mask + 1).save(tmp_path / "d" / "label" / "0.png")
    with pytest.raises(InputError, match="the value 7, which is no class"):
        load_sample(read_examples(rows)[0], masks=True)


def test_few_rows_are_drawn_evenly(tmp_path):
    examples = read_examples(write_rows(tmp_path / "d", pairs=10))
    few = balanced_subset(examples, 12, seed=0)
    assert set(Counter((e.task, e.changed) for e in few).values()) == {2}
    assert [e.id for e in few] == [e.id for e in balanced_subset(examples, 12, seed=0)]
    assert [e.id for e in few] != [e.id for e in balanced_subset(examples, 12, seed=1)]
    assert balanced_subset(examples, None, 0) == examples


def test_pairs_are_never_on_both_sides(tmp_path):
    examples = read_examples(write_rows(tmp_path / "d", pairs=10))
    examples = [replace(example, split="") for example in examples]
    training, validation, _ = split_examples(examples, [], 0.3, 0)
    assert len({e.before for e in validation}) == 3
    assert not {e.before for e in training} & {e.before for e in validation}
    assert len(training) + len(validation) == len(examples)
    with pytest.raises(InputError, match="no rows to learn from"):
        split_examples([replace(example, split="test") for example in examples], [], 0.3, 0)


def test_all_rows_come_before_one_comes_again():
    order = example_order(5, 12, seed=3)
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4]
    assert order.tolist() == example_order(5, 12, seed=3).tolist()
    assert json.dumps(order.tolist()) != json.dumps(example_order(5, 12, seed=4).tolist())


def pair_of(before, after, split="", location=""):
    turns = (ExampleTurn("Changed?", "Yes"),)
    return Example("", turns, Path(before), Path(after), split=split, location=location)


def test_links_of_a_chain_stay_on_one_side():
    chains = [(f"{n}-{i}.png", f"{n}-{i + 1}.png") for n in range(6) for i in range(4)]
    training, validation, _ = split_examples([pair_of(*names) for names in chains], [], 0.3, 0)
    assert len(validation) == 2 * 4
    assert not {p for e in training for p in e.paths} & {p for e in validation for p in e.paths}


def test_rows_of_a_location_stay_on_one_side(tmp_path):
    rows = [
        {
            "image": [f"{n}a.png", f"{n}b.png"],
            "location_id": n % 5 if n % 2 else str(n % 5),
            "conversations": [
                {"from": "human", "value": "<image> <image> Changed?"},
                {"from": "gpt", "value": "Yes"},
            ],
        }
        for n in range(20)
    ]
    for name in {name for row in rows for name in row["image"]}:
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    training, validation, _ = split_examples(read_examples(tmp_path / "rows.json"), [], 0.4, 0)
    assert (len(training), len(validation)) == (12, 8)
    assert not {e.location for e in training} & {e.location for e in validation}


def test_validation_rows_that_are_also_learned_are_counted():
    learned = [pair_of("a.png", "b.png"), pair_of("e.png", "f.png", location="here")]
    held = [
        pair_of("b.png", "c.png"),
        pair_of("c.png", "d.png"),
        pair_of("g.png", "h.png", location="here"),
    ]
    assert count_leaks(split_examples(learned, held, 0.1, 0)) == 2
