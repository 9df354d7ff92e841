"""What folders the backend `vlm` takes, and what it says of those it does not."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tile_factory import noise
from vlm_asking import QUESTIONS, load
from vlm_factory import CHAT, MAKERS, VISION, make_tokenizer

from geochg.errors import ModelError
from geochg.models.images import rgb_image
from geochg.models.vlm.engine import TilePrompt
from geochg.records import (
    Task,
)
from geochg.tasks import ask


def test_a_model_that_brings_no_template_gets_that_of_vicuna(copy):
    (copy / "chat_template.jinja").unlink()
    model = load(copy)
    assert model.engine.writer._chat_text(["Why?"], []).startswith("USER: <image>\n<image>\n")
    assert model.answer(noise(1), [ask(Task.PRESENCE)])


def test_a_template_without_pictures_is_refused(copy):
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'][-1]['text'] }}")
    with pytest.raises(ModelError, match="leaves out the images"):
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
    assert load(copy).engine.writer._chat_text(["Why?"], []).startswith("QUESTION [user]")


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
    with pytest.raises(ModelError, match="'gpt2', which is not known") as caught:
        load(copy)
    assert all(kind in caught.value.hint for kind in MAKERS)


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
    with pytest.raises(ModelError, match="image processor in"):
        load(folder)


def test_an_instructblip_without_its_second_tokenizer_is_told(saved, tmp_path):
    folder = shutil.copytree(saved("instructblip"), tmp_path / "copy")
    shutil.rmtree(folder / "qformer_tokenizer")
    with pytest.raises(ModelError, match="the Q-Former's tokenizer in"):
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
    white = [rgb_image(np.full((3, 8, 8), 255, np.uint8))]
    assert model.engine.family.squares.tensor(white).unique().tolist() == [2.0]


def test_an_encoder_decoder_can_be_asked(tmp_path):
    """InstructBLIP with Flan-T5, whose answers begin with a token of their own."""
    folder = save_t5_blip(tmp_path)
    model = load(folder, max_tokens=5)
    engine = model.engine
    texts = [TilePrompt(0, engine.writer.prompt_ids([QUESTIONS[0]], []))]
    replies = engine._reply_ids(engine.encode(noise(1)), texts, max_new_tokens=5)
    start = engine.generator.config.decoder_start_token_id
    assert replies[0][:1] != [start]
    whole = [*engine.writer.prefix_ids, *texts[0].ids]
    assert whole[-1] == engine.writer.tokenizer.eos_token_id
    assert whole.count(engine.writer.tokenizer.eos_token_id) == 1
    assert all(0 <= count <= 999 for count in engine.reply_numbers(engine.encode(noise(1)), texts))


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


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("vision_config", {"image_size": 14_000, "patch_size": 1}),
        ("text_config", {"vocab_size": 1_000_000, "hidden_size": 4096}),
        ("vision_config", {"intermediate_size": 30_000, "hidden_size": 2048}),
    ],
)
def test_settings_of_a_model_far_larger_than_its_weights_are_refused(copy, part, changes):
    """Before memory is taken for it."""
    file = copy / "config.json"
    config = json.loads(file.read_text())
    config[part].update(changes)
    file.write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"describe|cannot be loaded|no whole number"):
        load(copy)


@pytest.mark.parametrize("mean", [0.5, [0.5], [0.4, 0.5, 0.6]])
def test_one_mean_holds_for_all_bands(copy, mean):
    file = copy / "preprocessor_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "image_mean": mean}))
    assert load(copy).answer(noise(1), [ask(Task.PRESENCE)])
