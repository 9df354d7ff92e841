"""The backend `deltavlm`: what it answers, and the folders it refuses."""

import json
import pickle
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import torch
from deltavlm_factory import SIZE_PX, save, tile, tiny_config, tiny_model
from safetensors.torch import load_file, save_file
from scipy.special import expit
from transformers import LlamaConfig

from geochg.errors import CancelledRunError, ModelError, OptionError
from geochg.events import Progress
from geochg.models.chat.dialogue import NO_COUNTS
from geochg.models.deltavlm import tile_map
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.calibration import Calibration
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.postprocessing import OutlineMaker
from geochg.models.deltavlm.runtime.torch_vision import TorchVision
from geochg.models.deltavlm.runtime.vision_output import VISION_BATCH
from geochg.options import AnalyzeOptions
from geochg.pipeline.analyze import analyze
from geochg.pipeline.outputs import Outputs
from geochg.records import (
    Caption,
    Change,
    Channel,
    Dialogue,
    Locations,
    Outlines,
    PairFacts,
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
SEEN = DeltaVLMOptions(threshold=0.0)
RGB = ("red", "green", "blue")
FACTS = PairFacts(RGB, 0.25, "uint8")
UNSEEN = DeltaVLMOptions(threshold=1.0)


@pytest.fixture(scope="module")
def folder(plain_deltavlm):
    return plain_deltavlm


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
    ((result,),) = model.answer([tile()], [ask(Task.LOCATE)])
    assert result.channels[:3] == tuple(Channel("building", change) for change in Change)
    assert result.layers_at().shape == (7, SIZE_PX, SIZE_PX)
    assert result.layers_at().dtype == np.float32
    assert result.layers_at().flags.c_contiguous
    assert result.threshold == pytest.approx(0.5)
    assert result.low_threshold <= result.threshold
    assert result.change.shape == result.covers().before.shape == (SIZE_PX, SIZE_PX)
    assert result.not_seen.dtype == bool


def test_a_calibration_in_the_folder_is_used(tmp_path):
    model = tiny_model()
    plain = Calibration(0.25, of_resolution=-0.25, confidence=((0, 1), (0, 1)))
    model.config.dense_config.calibration = plain.to_dict()
    model = load(save(model, tmp_path), DeltaVLMOptions())
    for side_m, logit in ((1.0, 0.25), (4.0, -0.25)):
        model.survey(PairFacts(RGB, side_m**2, "uint8"), [tile()])
        ((result,),) = model.answer([tile()], [ask(Task.LOCATE)])
        assert result.threshold == pytest.approx(expit(logit), abs=1e-6)
        assert result.calibration == ((0, 1), (0, 1))


@pytest.mark.parametrize("threshold", [None, 0.2, 0.35, 0.5, 0.8])
def test_no_head_overrules_the_map(folder, threshold):
    model = load(folder, DeltaVLMOptions(threshold=threshold))
    tiles = [tile(seed) for seed in range(3)]
    model.survey(FACTS, tiles)
    for presence, outlines in model.answer(tiles, [ask(Task.PRESENCE), ask(Task.LOCATE)]):
        seen = ~outlines.not_seen
        highest = outlines.change[seen].max()
        assert presence.changed == (highest >= outlines.threshold)
        assert presence.probability == pytest.approx(highest, abs=1e-6)


# --- the survey ----------------------------------------------------------------------------------


def test_a_survey_is_fixed_until_the_next(folder):
    tiles = [tile(seed) for seed in range(4)]
    asked = [ask(Task.LOCATE)]
    model = load(folder, DeltaVLMOptions())
    model.survey(FACTS, tiles[:2])
    ((first,),) = model.answer([tiles[3]], asked)
    model.answer(tiles, asked)
    ((again,),) = model.answer([tiles[3]], asked)
    assert first.change.tobytes() == again.change.tobytes()
    # As in a run that goes on in another process, with the same tiles of the survey.
    other = load(folder, DeltaVLMOptions())
    other.survey(FACTS, tiles[:2])
    ((resumed,),) = other.answer([tiles[3]], asked)
    assert first.change.tobytes() == resumed.change.tobytes()
    assert first.layers_at().tobytes() == resumed.layers_at().tobytes()
    other.survey(FACTS, tiles[2:])
    ((elsewhere,),) = other.answer([tiles[3]], asked)
    assert not np.array_equal(first.change, elsewhere.change)


def test_tiles_that_show_nothing_are_no_part_of_the_survey(folder):
    empty = tile(5, valid=np.zeros((SIZE_PX, SIZE_PX), bool))
    wild = tile(6, dtype=np.float32)
    wild.before[0, 0, 0] = np.nan
    vectors = []
    for sample in ([tile(0), tile(1)], [empty, tile(0), wild, tile(1)]):
        model = load(folder)
        model.survey(FACTS, iter(sample))
        vectors.append(model.scene.vectors)
    for single, other in zip(*vectors, strict=True):
        assert np.array_equal(single, other)


def test_where_nothing_can_be_surveyed_each_tile_is_a_scene_of_its_own(folder):
    model = load(folder)
    empty = tile(5, valid=np.zeros((SIZE_PX, SIZE_PX), bool))
    model.survey(FACTS, [empty])
    assert model.scene is None
    ((single,),) = model.answer([tile()], [ask(Task.LOCATE)])
    model.survey(FACTS, [tile()])
    ((other,),) = model.answer([tile()], [ask(Task.LOCATE)])
    assert np.array_equal(single.change, other.change)


@pytest.mark.parametrize(
    ("area_m2", "side_m"), [(100.0, 10.0), (0.25, 0.5), (float("nan"), None), (0.0, None)]
)
def test_the_resolution_is_that_of_the_pair(folder, area_m2, side_m):
    model = load(folder)
    model.survey(PairFacts(RGB, area_m2, "uint8"), [tile()])
    assert model.scene.resolution_m == side_m


def test_a_run_that_goes_on_finds_the_same(folder, tmp_path, make_raster):
    rng = np.random.default_rng(0)
    pair = [
        make_raster(f"{name}.tif", rng.integers(0, 256, (3, 192, 192)).astype(np.uint8))
        for name in "ab"
    ]
    options = {
        "model": f"deltavlm:{folder}",
        "model_options": {"threshold": 0.1},
        "tile_size_px": 64,
        "overlap_px": 0,
        "align": "off",
        "batch_size": 2,
        "device": "cpu",
    }
    cancel = Event()

    def stop_soon(event):
        if isinstance(event, Progress) and event.stage == "tiles" and event.done:
            cancel.set()

    def run(name, resume=False, **told):
        outputs = Outputs(tmp_path / f"{name}.geojson")
        return analyze(
            *pair, AnalyzeOptions.from_dict(options | {"resume": resume}), outputs=outputs, **told
        )

    run("whole")
    with pytest.raises(CancelledRunError):
        run("stopped", listener=stop_soon, cancel=cancel)
    run("stopped", resume=True)
    whole, resumed = (
        json.loads((tmp_path / f"{name}.geojson").read_text(encoding="utf-8"))["features"]
        for name in ("whole", "stopped")
    )
    assert whole
    assert whole == resumed


# --- more answers --------------------------------------------------------------------------------


def test_a_tile_without_change_gets_fixed_answers_and_no_language(folder, monkeypatch):
    model = load(folder, UNSEEN)
    monkeypatch.setattr(model.language.model, "generate", None)
    questions = [question for question in ALL if question.task is not Task.QUESTION]
    caption, presence, count, _, dialogue = model.answer([tile()], questions)[0]
    assert not presence.changed
    assert caption == Caption("There is no difference.", changed=False)
    assert SPECS[Task.CAPTION].parse(caption.text) == caption
    assert count == NO_COUNTS
    assert dialogue == Dialogue(presence, NO_COUNTS, caption.text)


def test_each_pair_is_encoded_once_for_all_questions(folder, monkeypatch):
    model = load(folder)
    tiles = [tile(seed) for seed in range(3)]
    model.survey(FACTS, tiles)
    seen = []
    encode = TorchVision.encode
    monkeypatch.setattr(
        TorchVision,
        "encode",
        lambda self, pixels: seen.append(pixels.shape) or encode(self, pixels),
    )
    model.answer(tiles, ALL)
    # Both dates in two views.
    assert len(seen) == 3 * 2 * 2
    assert {shape[0] for shape in seen} == {VISION_BATCH}


def test_a_tile_does_not_depend_on_its_batch_or_the_order_of_the_questions(folder):
    model = load(folder)
    tiles = [tile(seed) for seed in range(5)]
    model.survey(FACTS, tiles[:2])
    together = model.answer(tiles, ALL)
    for index in (4, 1):
        backwards = model.answer([tiles[index]], ALL[::-1])[0][::-1]
        for single, other in zip(together[index], backwards, strict=True):
            if isinstance(single, Outlines):
                assert np.array_equal(single.layers_at(), other.layers_at())
            else:
                assert single == other


def test_words_come_from_the_picture_and_the_question(folder):
    model = load(folder)
    question = ask(Task.QUESTION, "What is new?")
    replies = {str(model.answer([tile(seed)], [question])[0][0]) for seed in range(6)}
    assert len(replies) > 1


def test_a_pixel_that_is_no_number_fails_its_tile_only(folder):
    model = load(folder)
    good, bad = tile(1, dtype=np.float32), tile(2, dtype=np.float32)
    bad.after[1, 3, 3] = np.nan
    result = model.answer([good, bad, tile(3, dtype=np.float32)], ALL)
    assert result[1] == TileFailure(bad.window, "1 valid pixels are not finite numbers")
    assert len(result[0]) == len(result[2]) == len(ALL)


def test_invalid_pixels_are_no_change_and_do_not_leak(folder):
    model = load(folder, DeltaVLMOptions())
    plain = tile()
    valid = plain.valid.copy()
    valid[:, :24] = False
    wild = plain.after.copy()
    wild[:, :, :24] = 255
    answers = model.answer(
        [Tile(plain.window, (plain.before, after), valid) for after in (plain.after, wild)],
        [ask(Task.LOCATE)],
    )
    (single,), (other,) = answers
    assert not single.layers_at()[:, :, :24].any()
    assert np.array_equal(single.layers_at(), other.layers_at())


def test_a_tile_with_nothing_valid_has_not_changed(folder):
    plain = tile()
    empty = Tile(plain.window, (plain.before, plain.after), plain.valid & False)
    (presence, result) = load(folder).answer([empty], [ask(Task.PRESENCE), ask(Task.LOCATE)])[0]
    assert not presence.changed
    assert not result.layers_at().any()


@pytest.mark.parametrize("size_px", [32, 50, 96])
def test_tiles_of_other_sizes(folder, size_px):
    result = load(folder).answer([tile(size_px=size_px)], [ask(Task.LOCATE)])[0][0]
    assert result.layers_at().shape == (7, size_px, size_px)


def test_one_band_is_shown_as_grey(folder):
    plain = tile()
    grey = Tile(plain.window, (plain.before[:1], plain.after[:1]), plain.valid)
    three = Tile(
        plain.window,
        tuple(np.repeat(d[:1], 3, 0) for d in (plain.before, plain.after)),
        plain.valid,
    )
    single, other = load(folder).answer([grey, three], [ask(Task.LOCATE)])
    assert np.allclose(single[0].layers_at(), other[0].layers_at(), atol=1e-6)


def test_without_a_dense_head_the_words_tell_all(tmp_path):
    model = load(save(tiny_model(tiny_config(vit=True)), tmp_path), DeltaVLMOptions())
    assert model.capabilities.location == "grid"
    assert DeltaVLMModel.backend_capabilities.location == "mask"
    answers = model.answer([tile()], [ask(Task.LOCATE), ask(Task.PRESENCE)])[0]
    assert all(isinstance(answer, Unparsed | Locations | Presence) for answer in answers)


def test_options_stand_above_what_was_calibrated(folder):
    model = load(folder, DeltaVLMOptions(threshold=0.3, beams=2))
    ((result,),) = model.answer([tile()], [ask(Task.LOCATE)])
    assert result.threshold == pytest.approx(0.3)
    assert model.language.settings == {"num_beams": 2}
    for bad in ({"threshold": 1.5}, {"beams": 0}):
        with pytest.raises(OptionError):
            DeltaVLMOptions.from_dict(bad)


def test_identity_follows_the_weights(folder, tmp_path):
    single = load(folder).identity
    assert single.id == f"deltavlm:{folder}"
    assert single.checksum.startswith("sha256:")
    assert single == load(folder).identity
    other = load(save(tiny_model(seed=1), tmp_path)).identity
    assert other.checksum != single.checksum


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
    with pytest.raises(ModelError, match=r"another shape of 'relation\.gate1\.weight'"):
        load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("query_tokens"), "has no weight 'query_tokens'"),
        (lambda w: w.update(extra=torch.zeros(1)), "not of this model, 'extra"),
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


def test_a_compact_model_of_before_is_refused_with_the_way_out(copy):
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["dense_config"] = {"widths": [64, 64, 64, 64], "presence_threshold": 0.5}
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="of an older geochg") as caught:
        load(copy)
    assert "geochg train compact" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("older", [{"intercept": 0.0, "building": 0.0}, {}])
def test_cuts_of_an_older_head_are_refused_with_the_way_out(copy, older):
    """Its logits were weighed otherwise: with the same cuts the map would be wrong."""
    file = copy / "config.json"
    config = json.loads(file.read_text("utf-8"))
    config["dense_config"]["calibration"] = older
    file.write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match="made by an older geochg") as caught:
        DeltaVLMModel.load(str(copy), DeltaVLMOptions(), "cpu")
    assert "geochg train compact" in caught.value.hint


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


def test_a_sharded_folder_loads(tmp_path, folder, tiny_deltavlm):
    save(tiny_deltavlm, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    tiny_deltavlm.save_pretrained(tmp_path, max_shard_size="20KB")
    sharded = load(tmp_path)
    wanted = load(folder).answer([tile()], [ask(Task.LOCATE)])[0][0]
    result = sharded.answer([tile()], [ask(Task.LOCATE)])[0][0]
    assert np.allclose(result.layers_at(), wanted.layers_at(), atol=1e-6)
    next(tmp_path.glob("model-00002*")).unlink()
    with pytest.raises(ModelError, match="has no model-00002"):
        load(tmp_path)


def test_the_presence_of_a_dialogue_has_the_probability_of_the_map(folder, monkeypatch):
    model = load(folder)
    replies = iter(["Yes", "There are no changes in roads or buildings.", "A house appeared."])
    monkeypatch.setattr(
        type(model.language), "answers", lambda self, encoding, rows, prompts: [next(replies)]
    )
    (presence, dialogue) = model.answer([tile()], [ask(Task.PRESENCE), ask(Task.DIALOGUE)])[0]
    assert dialogue.presence == replace(presence, changed=True)
    assert dialogue.description == "A house appeared."


@pytest.mark.parametrize("is_quiet", [True, False])
def test_outlines_do_not_depend_on_what_else_is_asked(folder, monkeypatch, is_quiet):
    monkeypatch.setattr(OutlineMaker, "is_quiet", lambda *_: is_quiet)
    model, tiles = load(folder), [tile(seed) for seed in range(2)]
    model.survey(FACTS, tiles)
    locate = ask(Task.LOCATE)
    alone = [answers[0] for answers in model.answer(tiles, [locate])]
    beside = [answers[-1] for answers in model.answer(tiles, [ask(Task.CAPTION), locate])]
    for single, other in zip(alone, beside, strict=True):
        assert single.change.tobytes() == other.change.tobytes()
        assert single.layers_at().tobytes() == other.layers_at().tobytes()


def test_presence_is_made_only_where_it_is_asked(folder, monkeypatch):
    model = load(folder)
    model.survey(FACTS, [tile()])
    made = []
    monkeypatch.setattr(tile_map, "presence_of", lambda *given: made.append(1) or Presence(True, 1))
    model.answer([tile()], [ask(Task.LOCATE)])
    assert not made
    model.answer([tile()], [ask(Task.PRESENCE), ask(Task.LOCATE), ask(Task.COUNT)])
    assert len(made) == 1
