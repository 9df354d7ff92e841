"""The released weights' way into a model folder, at small width and with every full shape."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from deltavlm_factory import TOKENIZER, dates, tile, tiny_config, tiny_model
from deltavlm_release import released, write_release
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from geochg.errors import ModelError
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.release.convert import (
    Release,
    check_shapes,
    convert_release,
    read_language_model,
    read_pickle,
)
from geochg.models.deltavlm.release.key_map import map_weights
from geochg.models.deltavlm.sizes import full_config
from geochg.records import Task
from geochg.tasks import ask


@pytest.fixture
def source():
    """The model that was released: three blocks, of which the last two were trained."""
    return tiny_model(tiny_config(vit=True, dense=False))


@pytest.fixture
def release(source, tmp_path):
    return write_release(source, tmp_path)


def converted(release: Release, folder: Path) -> DeltaVLMForConditionalGeneration:
    config = tiny_config(vit=True, dense=False)
    convert_release(release, folder, config, torch.float32)
    return DeltaVLMForConditionalGeneration.from_pretrained(folder).eval()


def test_the_whole_conversion_gives_the_same_outputs(source, release, tmp_path):
    model = converted(release, tmp_path / "out")
    before, after = dates(2, 28)
    wanted = source.encode_pair(before, after).visual
    assert wanted.std() > 0.01
    assert torch.equal(model.encode_pair(before, after).visual, wanted)
    ids = torch.tensor([[1, 5, 9], [1, 7, 8]])
    given = {"pixel_values_before": before, "pixel_values_after": after}
    first, other = (
        m(input_ids=ids, qformer_input_ids=ids, **given).logits for m in (source, model)
    )
    assert torch.allclose(first, other[..., : first.shape[-1]], atol=1e-6)
    assert other.shape[-1] == first.shape[-1] + 1


def test_the_folder_loads_as_a_model_and_decodes_as_released(release, tmp_path):
    folder = tmp_path / "out"
    defaults = converted(release, folder).generation_config
    assert (defaults.num_beams, defaults.repetition_penalty) == (5, 1.5)
    assert (defaults.eos_token_id, defaults.pad_token_id) == (2, len(TOKENIZER))
    texts = DeltaVLMProcessor.from_pretrained(folder)
    assert texts.tokenizer.pad_token_id == len(TOKENIZER)
    # The released code begins a prompt with Vicuna's end token.
    assert texts.questions(["Roads?"]).input_ids[0, 0] == 2
    assert texts.qformer_tokenizer.bos_token == "[DEC]"
    model = DeltaVLMModel.load(str(folder), DeltaVLMOptions(max_tokens=4), "cpu")
    assert len(model.answer([tile()], [ask(Task.CAPTION)])[0]) == 1


@pytest.mark.parametrize(
    ("origin", "key", "message"),
    [
        ("checkpoint", "gate1.weight", "the checkpoint has no weight 'gate1.weight'"),
        (
            "checkpoint",
            "visual_encoder.blocks.2.attn.q_bias",
            "the checkpoint has no weight 'visual_encoder.blocks.2.attn.q_bias'",
        ),
        ("eva", "pos_embed", "EVA-ViT-g's file has no weight 'pos_embed'"),
        ("eva", "blocks.0.mlp.fc1.bias", "EVA-ViT-g's file has no weight 'blocks.0.mlp.fc1.bias'"),
    ],
)
def test_a_missing_weight_is_named(source, origin, key, message):
    checkpoint, eva = released(source)
    {"checkpoint": checkpoint, "eva": eva}[origin].pop(key)
    with pytest.raises(ModelError) as refusal:
        map_weights(source.config, checkpoint, eva)
    assert refusal.value.message == message


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        ("checkpoint", "context4.weight"),
        ("checkpoint", "visual_encoder.blocks.7.norm1.weight"),
        ("checkpoint", "Qformer.cls.predictions.bias"),
        ("eva", "rel_pos"),
    ],
)
def test_a_weight_that_is_left_over_is_named(source, origin, key):
    checkpoint, eva = released(source)
    {"checkpoint": checkpoint, "eva": eva}[origin][key] = torch.zeros(1)
    with pytest.raises(ModelError, match=f"has a weight that the model does not need: '{key}'"):
        map_weights(source.config, checkpoint, eva)


def test_every_weight_of_the_full_size_finds_its_place():
    config = full_config()
    with torch.device("meta"):
        model = DeltaVLMForConditionalGeneration(config)
    state = model.state_dict()
    checkpoint, eva = released(model)
    # Shapes as in the release, not as this project's own code has them.
    shapes = {
        "query_tokens": (1, 32, 768),
        "ln_vision.weight": (1408,),
        "llm_proj.weight": (4096, 768),
        "context1.weight": (1408, 1408),
        "context3.weight": (1408, 4224),
        "visual_encoder.blocks.38.attn.qkv.weight": (4224, 1408),
        "visual_encoder.blocks.37.attn.v_bias": (1408,),
        "visual_encoder.blocks.38.mlp.fc1.weight": (6144, 1408),
        "Qformer.bert.embeddings.word_embeddings.weight": (30523, 768),
        "Qformer.bert.encoder.layer.10.crossattention.self.key.weight": (768, 1408),
        "Qformer.bert.encoder.layer.11.intermediate_query.dense.weight": (3072, 768),
    }
    for key, shape in shapes.items():
        assert tuple(checkpoint[key].shape) == shape, key
    assert "Qformer.bert.encoder.layer.11.crossattention.self.key.weight" not in checkpoint
    assert tuple(eva["pos_embed"].shape) == (1, 257, 1408)
    assert tuple(eva["patch_embed.proj.weight"].shape) == (1408, 3, 14, 14)
    language = {key: value for key, value in state.items() if key.startswith("language_model.")}
    assert tuple(language["language_model.model.embed_tokens.weight"].shape) == (32001, 4096)
    check_shapes(model, map_weights(config, checkpoint, eva) | language)


def test_a_weight_of_another_shape_is_named(source):
    state = source.state_dict()
    with pytest.raises(ModelError, match="'query_tokens' has the shape"):
        check_shapes(source, state | {"query_tokens": torch.zeros(1, 9, 9)})


def test_a_checkpoint_that_could_run_code_is_refused(release, tmp_path):
    torch.save({"model": {}, "config": Path("x")}, tmp_path / "evil.pth")
    evil = replace(release, checkpoint=tmp_path / "evil.pth")
    with pytest.raises(ModelError, match=r"evil\.pth is no checkpoint of tensors"):
        converted(evil, tmp_path / "out")
    with pytest.raises(ModelError, match="cannot read"):
        converted(replace(release, eva=tmp_path / "nowhere.pth"), tmp_path / "out")
    with pytest.raises(ModelError, match="cannot read the language model"):
        converted(replace(release, vicuna=tmp_path / "nowhere"), tmp_path / "out")


@pytest.mark.parametrize("inner", [3, [torch.zeros(1)]])
def test_a_checkpoint_without_weights_is_refused(release, tmp_path, inner):
    torch.save({"model": inner}, release.checkpoint)
    with pytest.raises(ModelError, match="the checkpoint has no weight"):
        converted(release, tmp_path / "out")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_pickle_is_refused_whatever_the_damage(tmp_path, zipped):
    path, rng = tmp_path / "w.pth", np.random.default_rng(0)
    weights = {"model": {"a.weight": torch.zeros(4, 4)}, "config": {"a": [1, 2]}}
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    whole, refused = path.read_bytes(), 0
    for _ in range(200):
        spoilt = bytearray(whole[: rng.integers(1, len(whole))])
        spoilt[rng.integers(len(spoilt))] = rng.integers(256)
        path.write_bytes(spoilt)
        try:
            read_pickle(path)
        except ModelError:
            refused += 1
    assert refused > 150


LAYER = "model.layers.0.input_layernorm.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({LAYER: None}, f"has no weight '{LAYER}'"),
        (
            {"extra.weight": torch.zeros(2)},
            "is not of this model, 'extra.weight'",
        ),
        ({LAYER: torch.zeros(3)}, f"has another shape of '{LAYER}'"),
    ],
)
def test_a_language_model_is_not_made_up_where_a_weight_does_not_fit(release, change, message):
    path = release.vicuna / "model.safetensors"
    weights = load_file(path) | change
    kept = {key: value for key, value in weights.items() if value is not None}
    save_file(kept, path, {"format": "pt"})
    with pytest.raises(ModelError, match=message):
        read_language_model(release.vicuna, torch.float16)


def test_old_weights_of_a_language_model_that_nothing_uses_do_no_harm(release):
    path = release.vicuna / "model.safetensors"
    unused = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(2)}
    wanted = read_language_model(release.vicuna, torch.float16)[1]
    save_file(load_file(path) | unused, path, {"format": "pt"})
    assert read_language_model(release.vicuna, torch.float16)[1].keys() == wanted.keys()


def test_a_pickled_language_model_is_read_unless_it_could_run_code(release):
    wanted = read_language_model(release.vicuna, torch.float32)[1]
    weights, pickled = release.vicuna / "model.safetensors", release.vicuna / "pytorch_model.bin"
    # Vicuna comes as pickles.
    torch.save(load_file(weights), pickled)
    weights.unlink()
    result = read_language_model(release.vicuna, torch.float32)[1]
    assert all(torch.equal(result[key], value) for key, value in wanted.items())
    torch.save({"evil": Path("x")}, pickled)
    with pytest.raises(ModelError, match=r"cannot read the language model in .*vicuna"):
        read_language_model(release.vicuna, torch.float32)


def test_code_that_comes_with_a_language_model_is_not_run(monkeypatch, tmp_path):
    auto = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": auto}))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...\n")
    # Nor is the user asked whether to run it.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(ModelError, match="cannot read the language model"):
        read_language_model(tmp_path, torch.float32)
    assert not (tmp_path / "ran").exists()


def test_another_language_model_is_refused(tmp_path):
    config = GPT2Config(
        n_layer=1, n_embd=8, n_head=1, vocab_size=30, bos_token_id=1, eos_token_id=2
    )
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="holds a model of type 'gpt2', not 'llama'"):
        read_language_model(tmp_path, torch.float32)


@pytest.mark.parametrize("name", ["vicuna", "bert"])
def test_a_tokenizer_that_cannot_be_read_is_named(release, tmp_path, name):
    (getattr(release, name) / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=f"cannot read the tokenizer in .*{name}"):
        converted(release, tmp_path / "out")
