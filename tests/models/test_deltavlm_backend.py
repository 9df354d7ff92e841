"""The backend `deltavlm`: what it answers, and the folders it refuses."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from deltavlm_factory import SIZE_PX, save, tile, tiny_config, tiny_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig

from geochg.errors import ModelError, OptionError
from geochg.models.deltavlm import sight as sight_module
from geochg.models.deltavlm.backend import DeltaVLMModel, DeltaVLMOptions
from geochg.models.talk import NO_COUNTS
from geochg.records import (
    Caption,
    Change,
    Channel,
    Dialogue,
    Locations,
    Outlines,
    Presence,
    Reply,
    Task,
    Tile,
    TileFailure,
    Unparsed,
)
from geochg.tasks import SPECS, ask

ALL = [
    *(ask(task) for task in Task if task is not Task.QUESTION),
    ask(Task.QUESTION, "What is new?"),
]
SEEN = DeltaVLMOptions(threshold=0.0, presence_threshold=0.0)
UNSEEN = DeltaVLMOptions(presence_threshold=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tiny_model(), tmp_path_factory.mktemp("model"))


def load(folder, options=SEEN):
    return DeltaVLMModel.load(str(folder), options, "cpu")


# --- answers -------------------------------------------------------------------------------------


def test_every_question_gets_an_answer_of_its_kind(folder):
    tiles = [tile(seed) for seed in range(3)]
    kinds = {
        Task.CAPTION: (Caption, Unparsed),
        Task.PRESENCE: Presence,
        Task.COUNT: Unparsed,
        Task.LOCATE: Outlines,
        Task.DIALOGUE: (Dialogue, Unparsed),
        Task.QUESTION: (Reply, Unparsed),
    }
    for answers in load(folder).answer(tiles, ALL):
        for question, answer in zip(ALL, answers, strict=True):
            assert isinstance(answer, kinds[question.task]), question.task


def test_outlines_are_of_the_whole_tile_with_the_calibrated_threshold(folder):
    model = load(folder, DeltaVLMOptions())
    ((found,),) = model.answer([tile()], [ask(Task.LOCATE)])
    assert found.channels[:3] == tuple(Channel("building", change) for change in Change)
    assert found.probability.shape == (6, SIZE_PX, SIZE_PX)
    assert found.probability.dtype == np.float32
    assert found.probability.flags.c_contiguous
    assert found.threshold == model.speaker.model.config.dense_config.threshold == 0.5
    pixels = [model.speaker.processor.pixels([date]) for date in (tile().before, tile().after)]
    with torch.inference_mode():
        wanted = model.speaker.model.detect(*pixels)[0][0].numpy()
    assert np.allclose(found.probability, wanted, atol=1e-4)


def test_a_tile_without_change_gets_fixed_answers_and_no_language(folder, monkeypatch):
    model = load(folder, UNSEEN)
    monkeypatch.setattr(model.speaker.model, "generate", None)
    questions = [question for question in ALL if question.task is not Task.QUESTION]
    caption, presence, count, _, dialogue = model.answer([tile()], questions)[0]
    assert not presence.changed
    assert caption == Caption("There is no difference.", changed=False)
    assert SPECS[Task.CAPTION].parse(caption.text) == caption
    assert count == NO_COUNTS
    assert dialogue == Dialogue(presence, NO_COUNTS, caption.text)


def test_each_pair_is_encoded_once_for_all_questions(folder, monkeypatch):
    model = load(folder)
    seen = []
    forward = type(model.speaker.model.vision).forward
    monkeypatch.setattr(
        type(model.speaker.model.vision),
        "forward",
        lambda self, before, after: seen.append(len(before)) or forward(self, before, after),
    )
    model.answer([tile(seed) for seed in range(6)], ALL)
    assert sum(seen) == 2 * sight_module.VISION_BATCH
    assert set(seen) == {sight_module.VISION_BATCH}


def test_a_tile_does_not_depend_on_its_batch_or_the_order_of_the_questions(folder):
    model = load(folder)
    tiles = [tile(seed) for seed in range(5)]
    together = model.answer(tiles, ALL)
    for place in (4, 1):
        backwards = model.answer([tiles[place]], ALL[::-1])[0][::-1]
        for one, other in zip(together[place], backwards, strict=True):
            if isinstance(one, Outlines):
                assert np.array_equal(one.probability, other.probability)
            else:
                assert one == other


def test_words_come_from_the_picture_and_the_question(folder):
    model = load(folder)
    question = ask(Task.QUESTION, "What is new?")
    said = {str(model.answer([tile(seed)], [question])[0][0]) for seed in range(6)}
    assert len(said) > 1


def test_a_pixel_that_is_no_number_fails_its_tile_only(folder):
    model = load(folder)
    good, bad = tile(1, dtype=np.float32), tile(2, dtype=np.float32)
    bad.after[1, 3, 3] = np.nan
    found = model.answer([good, bad, tile(3, dtype=np.float32)], ALL)
    assert found[1] == TileFailure(bad.window, "1 valid pixels are not finite numbers")
    assert len(found[0]) == len(found[2]) == len(ALL)


def test_invalid_pixels_are_no_change_and_do_not_leak(folder):
    model = load(folder, DeltaVLMOptions())
    plain = tile()
    valid = plain.valid.copy()
    valid[:, :24] = False
    wild = plain.after.copy()
    wild[:, :, :24] = 255
    answers = model.answer(
        [Tile(plain.window, plain.before, after, valid) for after in (plain.after, wild)],
        [ask(Task.LOCATE)],
    )
    (one,), (other,) = answers
    assert not one.probability[:, :, :24].any()
    assert np.array_equal(one.probability, other.probability)


def test_a_tile_with_nothing_valid_has_not_changed(folder):
    plain = tile()
    empty = Tile(plain.window, plain.before, plain.after, plain.valid & False)
    (presence, found) = load(folder).answer([empty], [ask(Task.PRESENCE), ask(Task.LOCATE)])[0]
    assert not presence.changed
    assert not found.probability.any()


@pytest.mark.parametrize("size_px", [32, 50, 96])
def test_tiles_of_other_sizes(folder, size_px):
    found = load(folder).answer([tile(size_px=size_px)], [ask(Task.LOCATE)])[0][0]
    assert found.probability.shape == (6, size_px, size_px)


def test_one_band_is_shown_as_grey(folder):
    plain = tile()
    grey = Tile(plain.window, plain.before[:1], plain.after[:1], plain.valid)
    three = Tile(
        plain.window, *(np.repeat(d[:1], 3, 0) for d in (plain.before, plain.after)), plain.valid
    )
    one, other = load(folder).answer([grey, three], [ask(Task.LOCATE)])
    assert np.allclose(one[0].probability, other[0].probability, atol=1e-6)


def test_without_a_dense_head_the_words_tell_all(tmp_path):
    model = load(save(tiny_model(tiny_config(vit=True, dense=False)), tmp_path), DeltaVLMOptions())
    assert model.capabilities.location == "grid"
    assert DeltaVLMModel.capabilities.location == "mask"
    answers = model.answer([tile()], [ask(Task.LOCATE), ask(Task.PRESENCE)])[0]
    assert all(isinstance(answer, Unparsed | Locations | Presence) for answer in answers)


def test_a_resizing_model_with_a_dense_head_answers_at_the_tiles_size(tmp_path):
    model = load(save(tiny_model(tiny_config(vit=True)), tmp_path))
    presence, found = model.answer([tile()], [ask(Task.PRESENCE), ask(Task.LOCATE)])[0]
    assert found.probability.shape == (6, SIZE_PX, SIZE_PX)
    assert presence.changed


def test_options_stand_above_what_was_calibrated(folder):
    model = load(folder, DeltaVLMOptions(threshold=0.3, presence_threshold=0.1, beams=2))
    assert (model.finder.threshold, model.finder.presence_threshold) == (0.3, 0.1)
    assert model.speaker.settings == {"num_beams": 2}
    for bad in ({"threshold": 1.5}, {"beams": 0}):
        with pytest.raises(OptionError):
            DeltaVLMOptions.from_dict(bad)


def test_identity_follows_the_weights(folder, tmp_path):
    one = load(folder).identity
    assert one.id == f"deltavlm:{folder}"
    assert one.checksum.startswith("sha256:")
    assert one == load(folder).identity
    other = load(save(tiny_model(seed=1), tmp_path)).identity
    assert other.checksum != one.checksum


# --- folders -------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    return save(tiny_model(), tmp_path / "copy")


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "generation_config.json"]
)
def test_a_folder_that_lacks_a_file_is_refused(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        load(copy)


def test_a_pickle_is_refused_by_name(copy):
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model.bin is a pickle"):
        load(copy)


def test_a_pickle_under_another_name_is_not_run(copy):
    (copy / "model.safetensors").write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(ModelError, match="no safetensors file"):
        load(copy)


def test_other_shapes_are_refused(copy):
    weights = load_file(copy / "model.safetensors")
    weights["relation.gate1.weight"] = torch.zeros(3, 3)
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"another shape of relation\.gate1\.weight"):
        load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("query_tokens"), "has no weight query_tokens"),
        (lambda w: w.update(extra=torch.zeros(1)), "not of this model, extra"),
    ],
)
def test_missing_and_left_over_weights_are_named(copy, change, message):
    weights = load_file(copy / "model.safetensors")
    change(weights)
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=message):
        load(copy)


def test_a_checkpoint_of_another_model_is_refused(copy):
    LlamaConfig(hidden_size=8, num_attention_heads=2).save_pretrained(copy)
    with pytest.raises(ModelError, match="a model of type 'llama', not 'deltavlm'"):
        load(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [("no json", "is not JSON"), ("[]", "holds no JSON object"), (None, "cannot be loaded")],
)
def test_a_broken_configuration_is_refused(copy, text, message):
    config = json.loads((copy / "config.json").read_text())
    config["num_query_tokens"] = "many"
    (copy / "config.json").write_text(json.dumps(config) if text is None else text)
    with pytest.raises(ModelError, match=message):
        load(copy)


def test_a_broken_tokenizer_is_refused(copy):
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="tokenizer"):
        load(copy)


@pytest.mark.parametrize(
    ("source", "message"),
    [("", "needs a model"), ("./nowhere", "there is no model folder"), ("x", "no model folder")],
)
def test_a_source_that_is_nothing_is_refused(source, message):
    with pytest.raises(ModelError, match=message):
        load(source)


def test_a_file_is_no_folder(copy):
    with pytest.raises(ModelError, match="is a file"):
        load(copy / "config.json")


def test_a_device_that_is_not_there_is_refused(folder):
    with pytest.raises(ModelError, match="no device 'cuda:99'"):
        DeltaVLMModel.load(str(folder), DeltaVLMOptions(), "cuda:99")


def test_a_sharded_folder_loads(tmp_path, folder):
    model = tiny_model()
    save(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    sharded = load(tmp_path)
    wanted = load(folder).answer([tile()], [ask(Task.LOCATE)])[0][0]
    found = sharded.answer([tile()], [ask(Task.LOCATE)])[0][0]
    assert np.allclose(found.probability, wanted.probability, atol=1e-6)
    next(tmp_path.glob("model-00002*")).unlink()
    with pytest.raises(ModelError, match="has no model-00002"):
        load(tmp_path)


def test_the_presence_of_a_dialogue_has_the_probability_of_the_map(folder, monkeypatch):
    model = load(folder)
    said = iter(["Yes", "There are no changes in roads or buildings.", "A house appeared."])
    monkeypatch.setattr(
        type(model.speaker), "answers", lambda self, encoding, rows, prompts: [next(said)]
    )
    (presence, dialogue) = model.answer([tile()], [ask(Task.PRESENCE), ask(Task.DIALOGUE)])[0]
    assert dialogue.presence == replace(presence, changed=True)
    assert dialogue.description == "A house appeared."
