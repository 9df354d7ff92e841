"""Settings that make no sense together are the folder's fault, told in a line at the first tile."""

import numpy as np
import pytest
from deltavlm_factory import save as save_deltavlm
from deltavlm_factory import tile, tiny_config, tiny_model
from spoiled import spoil
from vlm_factory import save_vlm

from geochg.errors import ModelError
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.library_guards import time_limit
from geochg.models.pretrained import FirstUse
from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.options import VlmOptions
from geochg.records import Task
from geochg.tasks import ask

ASKED = [ask(Task.PRESENCE), ask(Task.CAPTION)]


def refused(answered):
    with pytest.raises(ModelError) as caught:
        answered()
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("config.json", ["vision_feature_layer"], -5),
        ("config.json", ["is_encoder_decoder"], {"a": None}),
        ("config.json", ["text_config", "sliding_window"], "x"),
        ("generation_config.json", ["repetition_penalty"], 0),
        ("generation_config.json", ["no_repeat_ngram_size"], "x"),
        ("generation_config.json", ["eos_token_id"], [None]),
    ],
)
def test_a_vision_language_model_that_cannot_run(tmp_path, file, keys, value):
    folder = save_vlm("llava", tmp_path)
    spoil(folder, file, *keys, value=value)

    def answered():
        model = VlmModel.load(str(folder), VlmOptions(max_tokens=4), "cpu")
        model.answer([tile()], ASKED)

    refused(answered)


@pytest.mark.parametrize(
    ("vit", "file", "keys", "value"),
    [
        (False, "config.json", ["vision_norm_eps"], "x"),
        (False, "config.json", ["dense_config", "stride_px"], {}),
        (False, "config.json", ["dense_config", "stride_px"], []),
        (False, "config.json", ["dense_config", "color_weight"], None),
        (False, "config.json", ["dense_config", "calibration"], [None]),
        (False, "config.json", ["dense_config", "calibration"], {"hysteresis": "x"}),
        (False, "config.json", ["dense_config", "calibration"], {"hysteresis": 0, "gold": 1}),
        (False, "config.json", ["language_batch"], 0),
        (True, "generation_config.json", ["max_new_tokens"], 10**12),
    ],
)
def test_a_deltavlm_that_cannot_run(tmp_path, vit, file, keys, value):
    folder = save_deltavlm(tiny_model(tiny_config(vit=vit)), tmp_path)
    spoil(folder, file, *keys, value=value)

    def answered():
        model = DeltaVLMModel.load(str(folder), DeltaVLMOptions(), "cpu")
        model.answer([tile()], [ask(Task.PRESENCE), ask(Task.LOCATE), ask(Task.CAPTION)])

    refused(answered)


@pytest.mark.parametrize("stride_px", [1, 2, 3, 5, 8, 32])
def test_a_dense_head_of_another_stride_than_the_encoder(tmp_path, stride_px):
    folder = save_deltavlm(tiny_model(), tmp_path)
    spoil(folder, "config.json", "dense_config", "stride_px", value=stride_px)
    with pytest.raises(ModelError, match=f"stride_px is {stride_px}, but .* for 4 pixels"):
        DeltaVLMModel.load(str(folder), DeltaVLMOptions(), "cpu")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("forced_eos_token_id", 10**9),
        ("dola_layers", "high"),
        ("bad_words_ids", [[10**9]]),
        ("stop_strings", ["x"]),
        ("cache_implementation", "offloaded"),
    ],
)
def test_settings_that_belong_to_the_caller_are_left_out(tmp_path, name, value):
    folder = save_deltavlm(tiny_model(tiny_config(vit=True)), tmp_path)
    asked = [ask(Task.PRESENCE), ask(Task.CAPTION)]
    before = DeltaVLMModel.load(str(folder), DeltaVLMOptions(), "cpu").answer([tile()], asked)
    spoil(folder, "generation_config.json", name, value=value)
    model = DeltaVLMModel.load(str(folder), DeltaVLMOptions(), "cpu")
    assert model.answer([tile()], asked) == before


@pytest.mark.parametrize("error", [TypeError("x"), MemoryError(), RuntimeError("size 3, not 4")])
def test_after_the_first_success_a_failure_is_its_own(error):
    first_use = FirstUse("vlm:m")
    with pytest.raises(ModelError, match="vlm:m"), first_use.guard("map"):
        raise error
    with first_use.guard("map"):
        pass
    with pytest.raises(type(error)), first_use.guard("map"):
        raise error
    with pytest.raises(ModelError), first_use.guard("words"):
        raise error


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{% for i in 'x' * 99999 %}{% for j in 'x' * 99999 %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{% for i in range(9) %}{{ m(n) if n else '' }}{% endfor %}{% endmacro %}"
        "{{ m(1) }}",
    ],
)
def test_a_chat_template_that_loops_for_ever(tmp_path, monkeypatch, template):
    monkeypatch.setattr("geochg.models.vlm.chat_writer._TIME_LIMIT_S", 0.5)
    folder = save_vlm("llava", tmp_path)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")

    def answered():
        VlmModel.load(str(folder), VlmOptions(max_tokens=4), "cpu").answer([tile()], ASKED)

    refused(answered)


def test_patience_leaves_what_ends_alone():
    with time_limit(60):
        assert np.arange(3).sum() == 3
