"""What lies in a model folder is what is loaded and signed, and the hub is off meanwhile."""

import json
import os
from pathlib import Path

import pytest
from transformers import TOKENIZER_MAPPING

from geochg.errors import ModelError
from geochg.models.adapters import adapter_folder
from geochg.models.folder_checks import _SHAPING, MOST_SETTINGS_BYTES, check_model_folder
from geochg.models.hub import find_folder
from geochg.models.library_guards import hub_offline
from geochg.models.model_files import WEIGHTS_INDEX, fingerprint, saved_json, weight_files


@pytest.fixture
def model(tmp_path):
    """A folder that is whole as far as names go."""
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text('{"model_type": "llava"}')
    return folder


def configure(folder, **members):
    (folder / "config.json").write_text(json.dumps({"model_type": "llava", **members}))


@pytest.mark.parametrize(
    "name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]
)
def test_an_adapter_that_nobody_named_is_refused(model, name):
    weight_files(model)
    (model / name).write_text("{}")
    with pytest.raises(ModelError, match="adapter"):
        weight_files(model)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"attn_implementation": "kernels-community/flash-attn"}, "attn_implementation"),
        ({"_attn_implementation": "someone/evil@main"}, "attention"),
        ({"_attn_implementation": "flash_attention_9"}, "attention"),
        ({"text_config": {"attn_implementation": "paged|eager"}}, "attention"),
        ({"attn_implementation": {"text_config": "a/b", "": "sdpa"}}, "attention"),
        ({"transformers_weights": "pytorch_model.bin"}, "other weights"),
        ({"use_kernels": True}, "kernels"),
        ({"kernels": ["someone/kernel"]}, "kernels"),
        ({"vision_config": {"kernels": {"attention": "someone/kernel"}}}, "kernels"),
        ({"_experts_implementation": "someone/experts"}, "fetched"),
    ],
)
def test_settings_that_bring_in_code_or_weights_are_refused(model, members, words):
    configure(model, **members)
    with pytest.raises(ModelError, match=words) as caught:
        weight_files(model)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "members",
    [
        {"attn_implementation": "sdpa", "vision_config": {"_attn_implementation": "eager"}},
        {"_attn_implementation": None, "kernel_size": [3, 3], "conv_kernel": 4},
        {"attn_implementation": {"text_config": "flash_attention_2"}},
        # Sizes of the kernels of an EfficientNet-Lite.
        {"vision_config": {"model_type": "efficientnet_lite", "kernels": [3, 3, 5]}},
    ],
)
def test_usual_settings_are_taken(model, members):
    configure(model, **members)
    check_model_folder(model)


@pytest.mark.parametrize(
    "name",
    ["a.bin", "../a.safetensors", "/etc/a.safetensors", "in/a.safetensors", "..\\a.safetensors", 5],
)
def test_an_index_names_safetensors_beside_it_only(model, name):
    (model / "model.safetensors").unlink()
    (model / WEIGHTS_INDEX).write_text(
        json.dumps({"weight_map": {"b": "b.safetensors", "a": name}})
    )
    with pytest.raises(ModelError, match="safetensors"):
        weight_files(model)


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"),
        *("merges.txt", "spiece.model", "qwen.tiktoken", "model.safetensors", "eyes.onnx"),
        *("source.spm", "bpe.codes", "prophetnet.tokenizer"),
        "additional_chat_templates/a.jinja",
    ],
)
def test_the_checksum_covers_every_file_that_takes_part(model, name):
    file = model / name
    file.parent.mkdir(exist_ok=True)
    result = set()
    for content in (b"one", b"two"):
        file.write_bytes(content)
        result.add(fingerprint(model, [model / "model.safetensors"]))
    assert len(result) == 2


def test_the_checksum_covers_every_vocabulary_that_transformers_reads():
    names = {
        name
        for kind in TOKENIZER_MAPPING.values()
        if kind is not None
        for name in getattr(kind, "vocab_files_names", {}).values()
    }
    assert len(names) > 5
    assert {Path(name).suffix for name in names} <= _SHAPING


@pytest.mark.parametrize("inside", ["qformer_tokenizer", "a/b", "chat_templates"])
def test_the_checksum_covers_folders_that_are_links(model, tmp_path, inside):
    index = tmp_path / "elsewhere"
    index.mkdir()
    (model / inside).parent.mkdir(parents=True, exist_ok=True)
    (model / inside).symlink_to(index, target_is_directory=True)
    result = set()
    for content in ("one", "two"):
        (index / "tokenizer.json").write_text(content)
        result.add(fingerprint(model, [model / "model.safetensors"]))
    assert len(result) == 2


def put_folder(model):
    (model / "a.json").mkdir()


def put_dangling_link(model):
    (model / "a.json").symlink_to(model / "nowhere")


def put_own_link(model):
    (model / "a.json").symlink_to(model / "a.json")


def put_circle(model):
    (model / "circle").symlink_to(model, target_is_directory=True)


def put_pipe(model):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(model / "a.json")


def put_device(model):
    if not Path("/dev/zero").exists():
        pytest.skip("no such device here")
    (model / "a.txt").symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "put", [put_folder, put_dangling_link, put_own_link, put_circle, put_pipe, put_device]
)
def test_what_is_no_file_takes_no_part(model, put):
    before = fingerprint(model, weight_files(model))
    put(model)
    assert fingerprint(model, weight_files(model)) == before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "in/merges.txt"])
def test_settings_far_too_large_are_refused_unread(model, name):
    (model / name).parent.mkdir(exist_ok=True)
    with (model / name).open("wb") as file:
        file.truncate(MOST_SETTINGS_BYTES + 1)
    with pytest.raises(ModelError, match="too large"):
        weight_files(model)


@pytest.mark.parametrize(
    "settings",
    [
        {"peft_type": "XLORA", "adapters": {"0": "someone/evil"}},
        {"peft_type": "PROMPT_TUNING", "tokenizer_name_or_path": "someone/evil"},
        {"peft_type": 5},
        {"peft_type": "LORA", "auto_mapping": {"base_model_class": "X", "parent_library": "os"}},
        {"peft_type": "LORA", "megatron_config": {}, "megatron_core": "os"},
        {"peft_type": "LORA", "megatron_config": {"a": 1}},
    ],
)
def test_adapters_that_are_no_plain_lora_are_refused(tmp_path, settings):
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="adapter"):
        adapter_folder(str(tmp_path))


def test_a_usual_adapter_is_taken(tmp_path):
    home = {"base_model_class": "X", "parent_library": "transformers.models.llava"}
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "auto_mapping": home, "megatron_core": "megatron.core"})
    )
    assert adapter_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", "\x1b]0;x\x07", "5"])
def test_broken_settings_are_told_in_a_line(model, text):
    (model / "config.json").write_text(text)
    with pytest.raises(ModelError) as caught:
        saved_json(model / "config.json")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("source", ["a" * 300, "a/" + "b" * 300, "../no/such"])
def test_a_source_that_is_no_folder_is_refused(source, monkeypatch):
    monkeypatch.setattr("geochg.models.hub._fetch", lambda *_: pytest.fail("was fetched"))
    if source == "a/" + "b" * 300:
        source = "./" + source
    with pytest.raises(ModelError):
        find_folder(source, "vlm")


def test_the_hub_is_off_within_the_block_and_as_before_after_it(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with hub_offline():
        with hub_offline():
            assert constants.is_offline_mode()
        assert constants.is_offline_mode()
    assert not constants.is_offline_mode()
