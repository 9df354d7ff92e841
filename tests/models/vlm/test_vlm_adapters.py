"""Adapters, quantisation and other options of the backend `vlm`."""

import json
import sys

import pytest
import torch
import transformers
from tile_factory import noise
from vlm_asking import load
from vlm_factory import CHAT, save_adapter, save_vlm

from geochg.errors import ModelError, OptionError
from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.options import VlmOptions
from geochg.records import (
    Task,
)
from geochg.tasks import ask


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
    result = adapted.engine.model.state_dict()
    assert all(torch.equal(result[name], weight) for name, weight in expected.items())


def test_an_adapter_on_a_quantised_model(saved, tmp_path):
    """Qwen-VL keeps state on the model, which an adapter must not hide."""
    pytest.importorskip("bitsandbytes")
    base = saved("qwen2_5_vl")
    adapter = save_adapter(base, tmp_path / "adapter")
    model = load(base, adapter=str(adapter), quantize="4bit", max_tokens=4)
    rest = model.engine.writer.prompt_ids(["Why?"], [])
    texts = [TilePrompt(row, rest) for row in (0, 1, 1)]
    encoding = model.engine.encode(noise(2))
    together = model.engine._reply_ids(encoding, texts, max_new_tokens=4)
    alone = [model.engine._reply_ids(encoding, [text], max_new_tokens=4)[0] for text in texts]
    assert together == alone
    assert model.engine._reply_ids(
        load(base, quantize="4bit").engine.encode(noise(2)), texts, max_new_tokens=4
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
    with pytest.raises(ModelError, match=r"vision part|cannot be loaded|has no weight|describe"):
        load(copy)


def test_no_adapter_folder(saved, tmp_path):
    with pytest.raises(ModelError, match="is no adapter folder"):
        load(saved("llava"), adapter=str(tmp_path))


def test_an_adapter_of_another_base_is_refused(saved, tmp_path):
    adapter = save_adapter(saved("llava"), tmp_path / "adapter")
    for kind in ("idefics3", "instructblip"):
        with pytest.raises(ModelError, match="does not fit this model"):
            load(saved(kind), adapter=str(adapter))


def changed_settings(**changes):
    """A damage that gives settings of an adapter other values."""

    def damage(adapter):
        file = adapter / "adapter_config.json"
        settings = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(settings | changes), encoding="utf-8")

    return damage


def changed_weights(change):
    """A damage that puts other weights into an adapter, from those by name."""

    def damage(adapter):
        from safetensors.torch import load_file, save_file

        file = adapter / "adapter_model.safetensors"
        save_file({n: w.contiguous() for n, w in change(load_file(file)).items()}, file)

    return damage


def every(change):
    """A damage that changes each weight."""
    return changed_weights(lambda weights: {n: change(w) for n, w in weights.items()})


def move_inside(adapter):
    (adapter / "inner").mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (adapter / name).rename(adapter / "inner" / name)


def link_to_itself(adapter):
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.safetensors").symlink_to("adapter_model.safetensors")


def link_settings_to_a_device(adapter):
    (adapter / "adapter_config.json").unlink()
    (adapter / "adapter_config.json").symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (changed_settings(modules_to_save=["nowhere"]), "'nowhere' .modules_to_save"),
        (changed_settings(modules_to_save=[5]), "'5' .modules_to_save"),
        (changed_settings(modules_to_save="lm_head"), "modules_to_save of .* is no list"),
        (changed_settings(modules_to_save=["lm_head"]), "does not fit"),
        (changed_settings(r=3), "does not fit"),
        (changed_settings(r=10**9), "no rank"),
        (changed_settings(r=0), "no rank"),
        (changed_settings(lora_alpha=1e30), "lora_alpha of"),
        (changed_settings(lora_alpha=-8), "lora_alpha of"),
        (changed_settings(alpha_pattern={"q_proj": "x"}), "alpha_pattern of"),
        (every(torch.flatten), "does not fit"),
        (every(lambda w: w[:, :-1]), "does not fit"),
        (every(lambda w: w * float("nan")), "no finite numbers"),
        (every(lambda w: w.fill_(float("inf"))), "no finite numbers"),
        (every(lambda w: w.fill_(1e7)), "no finite numbers, or far too large"),
        (every(lambda w: w.to(torch.int32)), r"type torch\.int32"),
        (every(lambda w: w > 0), r"type torch\.bool"),
        (every(lambda w: w.to(torch.complex64)), r"type torch\.complex64"),
        (changed_weights(lambda w: dict([*w.items()][1:])), "does not fit"),
        (changed_weights(lambda w: {"x": torch.zeros(1)}), "does not fit"),
        (move_inside, "is no adapter folder"),
        (link_to_itself, "has no adapter_model"),
        (link_settings_to_a_device, "is no adapter folder"),
    ],
)
def test_a_damaged_adapter_is_refused_in_a_line(saved, tmp_path, damage, names):
    adapter = save_adapter(saved("llava"), tmp_path / "adapter")
    damage(adapter)
    with pytest.raises(ModelError, match=names) as caught:
        load(saved("llava"), adapter=str(adapter))
    assert len(caught.value.message.splitlines()) == 1
    assert caught.value.exit_code == 2


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
    with pytest.raises(ModelError, match="bitsandbytes is not installed") as caught:
        load(saved("llava"), quantize="4bit")
    assert caught.value.message.endswith('pip install "geochg[vlm]"')


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
