"""Settings of model folders that cannot be meant, and weights that are no numbers."""

import math
import re
import shutil
import time
from dataclasses import replace

import deltavlm_factory
import pytest
import torch
from clip_factory import load as load_clip
from clip_factory import noisy_tile as vlm_tile
from clip_factory import save as save_clip
from clip_factory import tiny_clip
from safetensors.torch import load_file, save_file
from spoiled import spoil
from vlm_factory import save_adapter, save_vlm

from geochg.errors import ModelError
from geochg.models.adapters import adapter_folder
from geochg.models.builtin import FOLDER
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.loading import check_folder, open_model
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.model_files import saved_json
from geochg.models.model_settings import check_normalisation, check_pattern, check_settings
from geochg.models.pretrained import loading_errors, refuse_broken_weights
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.loading import How, open_vlm


@pytest.mark.parametrize(
    "settings",
    [
        {"text_config": {"num_attention_heads": 0}},
        {"text_config": {"num_attention_heads": "many"}},
        {"text_config": {"num_attention_heads": True}},
        {"text_config": {"num_hidden_layers": 10**6}},
        {"vision_config": {"num_hidden_layers": -1}},
        {"vision_config": {"depth": 41}},
        {"vision_config": {"depths": [1, 2, 99]}},
        {"vision_config": {"patch_size": 0}},
        {"vision_config": {"image_size": 10**8}},
        {"vision_config": {"hidden_sizes": [16, 10**7]}},
        {"text_config": {"vocab_size": 10**9}},
        {"text_config": {"hidden_size": 2.5}},
        {"text_config": []},
        {"vision_config": "large"},
        {"dense_config": {"threshold": "low"}},
        {"dense_config": {"presence_threshold": 1.5}},
        {"dense_config": {"temperature": 0}},
        {"dense_config": {"calibration": {"low_threshold": math.nan}}},
        {"dense_config": {"stride_px": 0}},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, tmp_path):
    name = next(iter(_leaves(settings)))
    with pytest.raises(ModelError, match=name):
        check_settings(settings, tmp_path, tensors=40)


def _leaves(settings):
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value)
        else:
            yield name


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"text_config": None, "quantization_config": 5, "pad_token_id": -1},
        {"text_config": {"num_attention_heads": 8, "num_key_value_heads": None}},
        {"vision_config": {"image_size": [224, 224], "num_hidden_layers": 40, "depths": [3, 3]}},
        {"dense_config": {"threshold": 0.25, "temperature": 1.7}},
        {"temperature": 0.0, "quantization_config": {"llm_int8_threshold": 6.0}},
        {"vision_config": {"image_size": {"height": 224, "width": 224}}},
    ],
)
def test_usual_settings_pass(settings, tmp_path):
    check_settings(settings, tmp_path, tensors=40)


def test_settings_without_end_are_refused(tmp_path):
    settings = {}
    for _ in range(500):
        settings = {"a": settings}
    with pytest.raises(ModelError, match="nested"):
        check_settings(settings, tmp_path, tensors=1)


@pytest.mark.parametrize(
    "values",
    [
        {"image_std": [0.0] * 3},
        {"image_std": [0.2, 0.0, 0.2]},
        {"image_std": [math.nan] * 3},
        {"image_std": 0},
        {"image_std": [0.2, 0.2]},
        {"image_std": "half"},
        {"image_mean": [0.5, math.inf, 0.5]},
        {"image_mean": [None] * 3},
        {"size": "x"},
        {"size": {"height": -1, "width": 5}},
        {"image_processor": {"image_std": [0.0] * 3}},
        {"crop_size": 10**9},
        {"crop_size": {"height": 10**5, "width": 10**5}},
    ],
)
def test_pictures_that_become_no_numbers_are_refused(values, tmp_path):
    with pytest.raises(ModelError, match=r"image_|size"):
        check_normalisation(values, tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "crop_size": {"height": 224}},
        {"size": {"shortest_edge": 3136, "longest_edge": 12845056}, "image_std": [0.5]},
        {"size": 224, "crop_size": None},
    ],
)
def test_usual_pictures_pass(values, tmp_path):
    check_normalisation(values, tmp_path)


@pytest.mark.parametrize(
    "pattern", ["(", "[", r"(.*)*(.*)*x", "(a+)+b", r"((\w+\.)+)+x", ".*" * 9 + "x", "x" * 5000]
)
def test_patterns_that_are_none_or_take_for_ever_are_refused(pattern):
    start = time.monotonic()
    with pytest.raises(ModelError, match="regular expression"):
        check_pattern(pattern, "target_modules")
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    "pattern",
    [
        r".*language_model\..*\.(q|k|v|o|gate|up|down)_proj",
        r"^(?!.*vision).*(?:q_proj|v_proj).*$",
        r".*\.layers\.[0-9]+\.(self_attn|mlp)\.[^.]+_proj",
        r"\(\*\)+",
    ],
)
def test_patterns_in_use_pass(pattern):
    re.compile(pattern)
    check_pattern(pattern, "target_modules")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_modules", "("),
        ("target_modules", r"(.*)*(.*)*x"),
        ("rank_pattern", {"(": 3}),
        ("lora_alpha", 0),
        ("lora_alpha", -1e30),
        ("lora_alpha", "large"),
        ("r", 0),
        ("r", 10**9),
        ("r", "two"),
        ("rank_pattern", {"q_proj": 2.5}),
        ("alpha_pattern", {"q_proj": 1e30}),
    ],
)
def test_settings_of_adapters_that_cannot_be_meant_are_refused(tmp_path, name, value):
    folder = save_adapter(save_vlm("llava", tmp_path / "base"), tmp_path / "adapter")
    spoil(folder, "adapter_config.json", name, value=value)
    with pytest.raises(ModelError, match=name):
        adapter_folder(str(folder))


# --- whole folders -------------------------------------------------------------------------------

HOW = How("cpu", torch.float32, None, "", 4)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", '{"model_type": "llava", "a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("config.json", '{"a": ' + "9" * 5000 + "}"),
        ("tokenizer.json", "{"),
        ("tokenizer_config.json", "[]"),
        ("tokenizer_config.json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("chat_template.jinja", "{{ 1/0 }}"),
        ("chat_template.jinja", "{% for i in range(10**12) %}x{% endfor %}"),
        ("chat_template.jinja", "{% for"),
    ],
)
def test_folders_of_vision_language_models_that_make_no_sense(tmp_path, file, text):
    folder = save_vlm("llava", tmp_path)
    (folder / file).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError):
        open_vlm(folder, HOW)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("quantization_config",), {"quant_method": "gptq", "bits": 4}),
        (("quantization_config",), 5),
        (("text_config", "num_attention_heads"), 0),
        (("text_config",), []),
        (("vision_config", "hidden_act"), "evil"),
    ],
)
def test_configurations_that_make_no_sense(tmp_path, keys, value):
    clip = save_clip(tiny_clip(), tmp_path / "clip")
    vlm = save_vlm("llava", tmp_path / "vlm")
    for folder, load in ((clip, load_clip), (vlm, lambda folder: open_vlm(folder, HOW))):
        spoil(folder, "config.json", *keys, value=value)
        with pytest.raises(ModelError):
            load(folder)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("dense_config", "classes"), []),
        (("dense_config", "classes"), ["<b>gold</b>"]),
        (("dense_config", "classes"), ["road", "road"]),
        (("image_mean",), [0.5, 0.5]),
        (("image_std",), [0.0] * 3),
        (("qformer_config", "hidden_size"), 10**7),
        (("qformer_config",), None),
        (("text_config", "num_hidden_layers"), 10**6),
    ],
)
def test_configurations_of_a_deltavlm_that_make_no_sense(tmp_path, keys, value):
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.onnx", "*.py", "pictures"))
    check_folder(folder)
    spoil(folder, "config.json", *keys, value=value)
    with pytest.raises(ModelError, match=keys[-1]):
        check_folder(folder)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e38])
@pytest.mark.parametrize("kind", ["clip", "vlm", "deltavlm"])
def test_weights_that_are_no_numbers_are_refused(tmp_path, kind, value):
    folder = tmp_path / "model"
    if kind == "clip":
        save_clip(tiny_clip(), folder)
    elif kind == "vlm":
        save_vlm("llava", folder)
    else:
        shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.onnx", "*.py"))
    weights = load_file(folder / "model.safetensors")
    spoilt = next(name for name in sorted(weights) if weights[name].is_floating_point())
    changed = weights[spoilt].float()
    changed.view(-1)[0] = value
    save_file({**weights, spoilt: changed}, folder / "model.safetensors", {"format": "pt"})
    load = {
        "clip": load_clip,
        "vlm": lambda folder: open_vlm(folder, HOW),
        "deltavlm": lambda folder: open_model(folder, torch.float32, "cpu"),
    }[kind]
    with pytest.raises(ModelError, match="no finite numbers"):
        load(folder)


def test_sound_weights_pass(tmp_path):
    refuse_broken_weights(
        [("a", torch.ones(2)), ("b", torch.zeros(0)), ("c", torch.arange(3))], tmp_path
    )


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError(), MemoryError(), re.error("x"), ImportError("optimum"), KeyError(1)],
)
def test_what_libraries_raise_becomes_a_line(tmp_path, error):
    with (
        pytest.raises(ModelError, match=r"cannot be loaded|too little"),
        loading_errors(tmp_path, "try again"),
    ):
        raise error


# --- models that see nothing ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"rescale_factor": 0},
        {"rescale_factor": -1},
        {"rescale_factor": 1e38},
        {"image_std": [1e4] * 3},
        {"image_mean": [9e3] * 3, "image_std": [0.25] * 3},
        {"image_processor": {"rescale_factor": 1e-7}},
        {"size": {"shortest_edge": 1}},
    ],
)
def test_pictures_that_all_look_alike_are_refused(values, tmp_path):
    with pytest.raises(ModelError, match=r"rescale_factor|no model sees|size"):
        check_normalisation(values, tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"rescale_factor": 1 / 127.5, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
        {"do_rescale": False, "image_mean": [123.7, 116.3, 103.5], "image_std": [58.4, 57.1, 57.4]},
        {"do_normalize": False, "image_std": [0.0001] * 3},
        {"image_mean": 0.5, "image_std": [0.26, 0.26, 0.27]},
    ],
)
def test_pictures_in_the_units_of_their_settings_pass(values, tmp_path):
    check_normalisation(values, tmp_path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_json_with_numbers_that_are_none_is_refused(number, tmp_path):
    (tmp_path / "config.json").write_text(f'{{"a": [1, {number}]}}', encoding="utf-8")
    with pytest.raises(ModelError, match="no finite number"):
        saved_json(tmp_path / "config.json")


@pytest.mark.parametrize(
    "settings",
    [
        {"vision_config": {"layer_norm_eps": 1e38}},
        {"text_config": {"rms_norm_eps": -1}},
        {"vision_norm_eps": 50},
        {"relation_dropout": 7},
        {"dense_config": {"color_weight": -1}},
        {"language_batch": 0},
    ],
)
def test_settings_that_drown_what_is_seen_are_refused(settings, tmp_path):
    with pytest.raises(ModelError, match=next(iter(_leaves(settings)))):
        check_settings(settings, tmp_path, tensors=40)


def change_weights(folder, part, value):
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if part in name:
            weights[name] = torch.full_like(weights[name], value)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(("part", "value"), [("patch_embedding", 0), ("vision_model.encoder", 0)])
def test_a_clip_that_tells_all_pictures_alike_is_refused(tmp_path, part, value):
    folder = save_clip(tiny_clip(), tmp_path)
    load_clip(folder)
    change_weights(folder, part, value)
    with pytest.raises(ModelError, match="sees nothing"):
        load_clip(folder)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("value", [-100, 0, 0.5, 12, 100, 1e6])
def test_a_clip_whose_scale_hides_or_overflows_likenesses_is_refused(tmp_path, value, dtype):
    folder = save_clip(tiny_clip(), tmp_path)
    load_clip(folder, dtype=dtype)
    change_weights(folder, "logit_scale", value)
    with pytest.raises(ModelError, match="logit_scale"):
        load_clip(folder, dtype=dtype)


@pytest.mark.parametrize("kind", ["llava", "llava_next_video", "qwen2_vl", "idefics3"])
def test_a_vision_language_model_that_sees_nothing_is_refused(tmp_path, kind):
    folder = save_vlm(kind, tmp_path)
    tile = vlm_tile()
    open_vlm(folder, HOW).encode([tile])
    for part in ("patch_embed", "vision_tower.encoder"):
        change_weights(folder, part, 0)
    engine = open_vlm(folder, HOW)
    with pytest.raises(ModelError, match="sees nothing"):
        engine.encode([tile])
    engine.encode([replace(tile, dates=(tile.before,) * 2)])


@pytest.mark.parametrize("vit", [True, False])
def test_a_deltavlm_that_sees_nothing_is_refused(tmp_path, vit):
    config = deltavlm_factory.tiny_config(vit=vit, dense=not vit)
    folder = deltavlm_factory.save(deltavlm_factory.tiny_model(config), tmp_path)
    tile = deltavlm_factory.tile()

    def look():
        return DeltaVLMModel.load(str(folder), DeltaVLMOptions(), "cpu").vision_output([tile])

    look()
    change_weights(folder, "vision", 0)
    with pytest.raises(ModelError, match="sees nothing"):
        look()


@pytest.mark.parametrize("value", [1e10, -3e8, 1e17])
def test_weights_that_drown_all_others_are_refused(tmp_path, value):
    with pytest.raises(ModelError, match="far too large"):
        refuse_broken_weights([("bias", torch.tensor([0.1, value]))], tmp_path)


@pytest.mark.parametrize(
    "setting",
    [
        ("intercept", 1e308),
        ("intercept", "3"),
        ("intercept", None),
        ("hysteresis", -50),
        ("water", -1e30),
        ("confidence", [[0.5, 0.1], [0.1, 0.9]]),
        ("confidence", [[0.1], [0.1, 0.9]]),
        ("more", 1),
    ],
)
def test_calibrations_that_would_hide_change_are_refused(tmp_path, setting):
    folder = deltavlm_factory.save(deltavlm_factory.tiny_model(), tmp_path)
    name, value = setting
    calibration = {"hysteresis": 0.5, "intercept": -0.5, "confidence": [[0.1, 0.9], [0.2, 0.8]]}
    spoil(folder, "config.json", "dense_config", "calibration", value=calibration)
    check_folder(folder)
    calibration[name] = value
    spoil(folder, "config.json", "dense_config", "calibration", value=calibration)
    with pytest.raises(ModelError, match="calibration"):
        check_folder(folder)


@pytest.mark.parametrize(
    "settings",
    [
        {"cache_implementation": "static"},
        {"dola_layers": "low", "max_time": 0.0},
        {"stop_strings": ["a"], "suppress_tokens": [1, 2]},
        {"constraints": 1, "prompt_lookup_num_tokens": 3},
    ],
)
def test_ways_of_generating_that_nobody_asked_for_do_not_count(tmp_path, settings):
    folder = save_vlm("llava", tmp_path)
    text = TilePrompt(0, [3, 4])

    def said():
        engine = open_vlm(folder, HOW)
        return engine.reply_texts(engine.encode([vlm_tile()]), [text])

    plain = said()
    for name, value in settings.items():
        spoil(folder, "generation_config.json", name, value=value)
    assert said() == plain


@pytest.mark.parametrize(
    ("name", "value"),
    [("repetition_penalty", 0), ("repetition_penalty", 1e38), ("no_repeat_ngram_size", -1)],
)
def test_ways_of_generating_that_make_no_words_are_refused(tmp_path, name, value):
    folder = save_vlm("llava", tmp_path)
    spoil(folder, "generation_config.json", name, value=value)
    with pytest.raises(ModelError, match=name):
        open_vlm(folder, HOW)


def test_words_that_are_all_equally_likely_are_no_answer(tmp_path):
    folder = save_vlm("llava", tmp_path)
    change_weights(folder, "lm_head", 0)
    engine = open_vlm(folder, HOW)
    result = engine.choice_probabilities(
        engine.encode([vlm_tile()]), [TilePrompt(0, [3, 4])], (("Yes",), ("No",))
    )
    assert all(math.isnan(share) for share in result[0])
