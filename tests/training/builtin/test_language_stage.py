import shutil

import numpy as np
import pytest
import torch
from deltavlm_factory import LITE
from paired_ground import built_ground
from transformers import TrainingArguments

from geochg.models.base import ModelIdentity
from geochg.models.chat.dialogue import TileDialogue
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.configuration import DeltaVLMDenseConfig
from geochg.models.deltavlm.efficientnet_lite import EfficientNetLiteConfig
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.processing import IGNORED, DeltaVLMProcessor
from geochg.models.deltavlm.runtime.language import run_dialogues
from geochg.models.deltavlm.sizes import compact_config, compact_generation
from geochg.records import PixelWindow, Question, Task, Tile, TileWindow
from geochg.tasks import SPECS, ask
from geochg.training.builtin import language_pairs
from geochg.training.builtin import pairs as pairs_module
from geochg.training.builtin.language_pairs import LanguagePair, make_language_pairs
from geochg.training.builtin.language_stage import (
    LEARNED,
    LanguageOptions,
    LanguageTrainer,
    pairs_tokenizer,
    train_language,
)
from geochg.training.builtin.text_batches import (
    TASK_SHARES,
    TextBatches,
    pair_order,
    rows_of,
    sampled_rows,
)

CORNERS = {"top-left": (4, 4), "bottom-right": (40, 40)}


def told(number, cell):
    """Instruction rows about some new buildings in a cell."""
    count = f"There are no changed roads and {number} new buildings."
    side = cell.split("-")[1]
    said = {
        Task.CAPTION: f"{number} houses appear in the {cell} corner",
        Task.PRESENCE: "Yes",
        Task.COUNT: count,
        Task.LOCATE: f"roads: []. buildings: ['{cell}'].",
        Task.DIALOGUE: f"Yes\n{count}\nOn the {side} {number} houses have been built.",
    }
    turns = [(str(task), ask(task).text, answer) for task, answer in said.items()]
    return [*turns, ("question", "Where have buildings changed?", f"In the {cell}.")]


class Corners:
    """Two pairs in which a square appears in a corner, and one in which nothing does.

    One has dark lines as well, so that a model that cannot see yet tells them apart.
    """

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        before = rng.integers(60, 120, (3, 64, 64), dtype=np.uint8)
        after = before.copy()
        number, turns = 0, [(task, question, "nothing") for task, question, _ in told(0, "-")[:1]]
        if index < 2:
            cell, (row, col) = list(CORNERS.items())[index]
            if index:
                after[:, ::4] //= 4
            after[:, row : row + 20, col : col + 20] = 255
            number, turns = index + 2, told(index + 2, cell)
        counts = [("building", "appeared", number)] if number else []
        return LanguagePair(before, after, counts, turns)

    def has_changed(self, index):
        return index < 2


PAIRS = Corners()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pairs as they are made for training."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (pairs_module, language_pairs):
            patch.setattr(module, "SIDE_PX", 64)
        grounds = [built_ground(seed) for seed in range(3)]
        return make_language_pairs(tmp_path_factory.mktemp("pairs"), 6, grounds)


def tiny(pairs=PAIRS, seed=0):
    """A model of a few ten thousand parameters and its processor."""
    tokenizer = pairs_tokenizer(pairs, 700)
    torch.manual_seed(seed)
    config = compact_config(len(tokenizer))
    sizes = {name: value for name, value in LITE.items() if name != "model_type"}
    config.vision_config = EfficientNetLiteConfig(**sizes)
    config.qformer_config.encoder_hidden_size = 16
    config.dense_config = DeltaVLMDenseConfig(width=8, statistics_width=4, norm_groups=2)
    config.image_size = 64
    config.token_grid = 2
    # Narrow layers need larger weights, or else pictures hardly reach the words at first.
    config.initializer_range = config.qformer_config.initializer_range = 0.15
    for part in (config.qformer_config, config.text_config):
        part.hidden_size = 64
        part.intermediate_size = 96
        part.num_hidden_layers = 2
    config.text_config.head_dim = 16
    config.num_query_tokens = 4
    model = DeltaVLMForConditionalGeneration(config)
    model.generation_config = compact_generation()
    return model, DeltaVLMProcessor(config, tokenizer, tokenizer)


def options(**changes):
    given = {"steps": 4, "pairs_per_batch": 3, "save_steps": 1000, "learning_rate": 3e-3}
    return LanguageOptions(**{**given, **changes})


def whole_batch(pairs, processor):
    """All rows of all pairs."""
    return TextBatches(pairs, processor, np.arange(len(pairs))[None], 100, 0)[0]


def tile(pair):
    side_px = pair.before.shape[-1]
    window = PixelWindow(0, side_px, 0, side_px)
    place = TileWindow(0, 0, 0, window, window)
    return Tile(place, (pair.before, pair.after), np.ones((side_px, side_px), bool))


def state(model, *parts):
    return {n: w.clone() for n, w in model.state_dict().items() if n.startswith(parts)}


# --- learning ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model trained on the corners, its weights before, and the folder of the stage."""
    model, processor = tiny()
    before = state(model, "")
    folder = tmp_path_factory.mktemp("language")
    # More rows than there are: each batch has them all.
    how = options(steps=160, pairs_per_batch=3, rows_per_pair=20, learning_rate=5e-3)
    train_language(model, processor, PAIRS, folder, how)
    return model, processor, before, folder


def test_a_small_model_answers_as_it_learned(trained):
    model, processor = trained[0].eval(), trained[1]
    sure = DeltaVLMOptions(threshold=0)
    built = DeltaVLMModel.of(model, processor, sure, ModelIdentity("tiny", ""))
    tiles = [tile(PAIRS[index]) for index in range(2)]
    asked = [
        (place, Question(Task(task), question), answer)
        for place in range(2)
        for task, question, answer in PAIRS[place].turns
    ]
    talks = [TileDialogue(place, question) for place, question, _ in asked]
    with torch.inference_mode():
        run_dialogues(built.language, built.vision_output(tiles), talks)
    for talk, (_, _, answer) in zip(talks, asked, strict=True):
        assert "\n".join(talk.replies) == answer
    spoken = (Task.CAPTION, Task.COUNT, Task.DIALOGUE)
    for place, answers in enumerate(built.answer(tiles, [ask(task) for task in spoken])):
        said = {task: answer for task, _, answer in PAIRS[place].turns}
        wanted = [SPECS[task].parse(said[task]) for task in spoken]
        assert list(answers[:2]) == wanted[:2]
        assert answers[2].counts == wanted[2].counts
        assert answers[2].description == wanted[2].description


def test_vision_part_and_head_stay_bit_for_bit_and_all_else_learns(trained):
    model, _, before, folder = trained
    for name, weight in state(model, "vision.", "dense.").items():
        assert torch.equal(weight, before[name]), name
    for part in LEARNED:
        assert any(not torch.equal(w, before[n]) for n, w in state(model, part).items()), part
    assert {name.split(".")[0] for name in before} == {
        "vision",
        "dense",
        *(part.strip(".") for part in LEARNED),
    }
    assert list(folder.rglob("events.out.tfevents.*"))


def test_a_stopped_training_goes_on_as_if_it_had_not(tmp_path):
    model, processor = tiny()
    whole = tmp_path / "whole"
    train_language(model, processor, PAIRS, whole, options(steps=6, save_steps=3))
    shutil.copytree(whole / "checkpoint-3", tmp_path / "stopped" / "checkpoint-3")
    other, _ = tiny(seed=1)
    train_language(other, processor, PAIRS, tmp_path / "stopped", options(steps=6, save_steps=3))
    for name, weight in state(model, "").items():
        assert torch.equal(weight, state(other, name)[name]), name


def test_the_loss_is_the_mean_over_the_answers_of_all_rows(tmp_path):
    model, processor = tiny()
    model.eval()
    batch = whole_batch(PAIRS, processor)
    assert len(batch.rows) > 1
    trainer = LanguageTrainer(model=model, args=TrainingArguments(str(tmp_path), report_to=[]))
    with torch.no_grad():
        loss, encoding = trainer.compute_loss(model, batch._asdict(), return_outputs=True)
        alone = model.encode_pair(batch.before, batch.after)
        assert torch.allclose(encoding.visual, alone.visual, atol=1e-4)
        assert torch.allclose(encoding.summary, alone.summary, atol=1e-4)
        missed = []
        for group in batch.rows:
            rows = {**group, "labels": None}
            guess = model(**rows, encoding=alone).logits[:, :-1].log_softmax(-1)
            for row, labels in zip(guess, group["labels"][:, 1:], strict=True):
                places = (labels != IGNORED).nonzero()[:, 0]
                missed += [-float(row[place, labels[place]]) for place in places]
    assert float(loss) == pytest.approx(np.mean(missed), rel=1e-4)


# --- batches -------------------------------------------------------------------------------------


def test_the_rows_are_worded_as_inference_asks(made):
    for index in range(len(made)):
        asked = {Task(task): question for task, question, _ in made[index].turns}
        assert set(asked) == set(Task)
        for task, spec in SPECS.items():
            if spec.prompts:
                assert asked[task] == ask(task).text


def answer_tokens(batch):
    """By pair and prompt tokens of both tokenizers: the answer's tokens."""
    found = {}
    for group in batch.rows:
        for row in range(len(group["labels"])):
            part = {name: values[row] for name, values in group.items()}
            seen = part["attention_mask"].bool()
            prompt = part["input_ids"][seen & (part["labels"] == IGNORED)]
            asked = part["qformer_input_ids"][part["qformer_attention_mask"].bool()]
            key = (int(part["pair_index"]), tuple(prompt.tolist()), tuple(asked.tolist()))
            found[key] = part["labels"][part["labels"] != IGNORED].tolist()
    return found


def test_inference_prompts_token_for_token_what_was_learned(made, monkeypatch):
    model, processor = tiny(made)
    model.eval()
    trained = answer_tokens(whole_batch(made, processor))
    asked = []

    def generate(input_ids, attention_mask, qformer_input_ids, qformer_attention_mask, **given):
        answers = []
        for row, place in enumerate(given["pair_index"].tolist()):
            prompt = input_ids[row][attention_mask[row].bool()].tolist()
            query = qformer_input_ids[row][qformer_attention_mask[row].bool()].tolist()
            asked.append((place, tuple(prompt), tuple(query)))
            answers.append(trained[asked[-1]])
        longest = max(map(len, answers))
        return torch.tensor([ids + [0] * (longest - len(ids)) for ids in answers])

    monkeypatch.setattr(model, "generate", generate)
    talks = {
        (place, task): TileDialogue(place, Question(Task(task), question))
        for place in range(len(made))
        for task, question, _ in made[place].turns
    }
    with torch.inference_mode():
        built = DeltaVLMModel.of(model, processor, DeltaVLMOptions(), ModelIdentity("tiny", ""))
        seen = built.vision_output([tile(made[place]) for place in range(len(made))])
        run_dialogues(built.language, seen, list(talks.values()))
    assert set(asked) == set(trained)
    for place in range(len(made)):
        for task, _, answer in made[place].turns:
            assert talks[place, task].replies == SPECS[Task(task)].turns(answer)


def test_a_batch_shows_the_pairs_as_inference_does(made):
    _, processor = tiny(made)
    batch = whole_batch(made, processor)
    for name in ("before", "after"):
        wanted = processor.pixels([getattr(made[index], name) for index in range(len(made))])
        assert torch.allclose(getattr(batch, name), wanted, atol=0.01)


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    _, processor = tiny()
    order = np.array([[0, 1], [1, 2], [1, 2]])
    batches, others = (TextBatches(PAIRS, processor, order, 3, 0) for _ in range(2))
    batches[0]
    one, again, next_one = batches[1], others[1], batches[2]
    assert torch.equal(one.before, again.before)
    for a, b in zip(one.rows, again.rows, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
    answers = [[group["labels"].tolist() for group in batch.rows] for batch in (one, next_one)]
    assert answers[0] != answers[1]


def test_rows_are_sampled_by_the_shares_of_their_tasks():
    rows = rows_of(PAIRS[0])
    # The first turn of the dialogue is the presence task's.
    assert len(rows) == 7
    rng = np.random.default_rng(0)
    sampled = [sampled_rows(rows, 3, rng) for _ in range(4000)]
    assert all(len(set(some)) == 3 for some in sampled)
    for task, share in TASK_SHARES.items():
        found = np.mean([row.task is task for some in sampled for row in some])
        assert found == pytest.approx(share, abs=0.015), task
    assert sum(TASK_SHARES.values()) == pytest.approx(1)


def test_pairs_without_change_are_few_and_spread():
    changed = [index % 2 == 0 for index in range(40)]
    order = pair_order(changed, 160, 0.125, 0).reshape(10, 16)
    assert {int((row % 2).sum()) for row in order} == {2}
    often = np.bincount(order[order % 2 == 0], minlength=40)[::2]
    assert set(often) == {7}
    assert not np.array_equal(order, pair_order(changed, 160, 0.125, 1).reshape(10, 16))
    # More steps begin with the same pairs.
    assert np.array_equal(order.ravel(), pair_order(changed, 320, 0.125, 0)[:160])


@pytest.mark.parametrize("kind", [True, False])
def test_pairs_of_one_kind_are_taken_as_they_are(kind):
    assert sorted(pair_order([kind] * 5, 10, 0.1, 0)) == sorted([*range(5)] * 2)


def test_the_tokenizer_is_the_same_for_the_same_pairs_and_writes_all_answers_back(made):
    one, other = (pairs_tokenizer(made, 500) for _ in range(2))
    assert one.backend_tokenizer.to_str() == other.backend_tokenizer.to_str()
    for index in range(len(made)):
        for row in rows_of(made[index]):
            ids = one(row.answer, add_special_tokens=False)["input_ids"]
            assert one.decode(ids, skip_special_tokens=True).strip() == row.answer
