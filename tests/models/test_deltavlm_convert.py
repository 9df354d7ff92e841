"""The released weights' way into a model folder, at small width and with every full shape."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from deltavlm_factory import TOKENIZER, dates, tile, tiny_config, tiny_model
from transformers import LlamaForCausalLM

from geochg.errors import ModelError
from geochg.models.deltavlm.backend import DeltaVLMModel, DeltaVLMOptions
from geochg.models.deltavlm.convert import Release, check_shapes, convert
from geochg.models.deltavlm.key_map import mapped, places
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.presets import full_config
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.records import Task
from geochg.tasks import ask

UNUSED = {
    "temp": torch.tensor(0.07),
    "vision_proj.weight": torch.zeros(2, 2),
    "text_proj.bias": torch.zeros(2),
    "llm_model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(2),
    "Qformer.bert.embeddings.position_ids": torch.zeros(1, 4),
}


def released(model: DeltaVLMForConditionalGeneration) -> tuple[dict, dict]:
    """A model's weights under the names of the release: the checkpoint and EVA-ViT-g's file."""
    state = model.state_dict()
    checkpoint, eva = dict(UNUSED), {}
    for place in places(model.config):
        parts = state[place.target].chunk(len(place.source))
        for key, value in zip(place.source, parts, strict=True):
            if key is None:
                value.zero_()
            elif place.trained:
                checkpoint[key] = value.clone()
            else:
                eva[key.removeprefix("visual_encoder.")] = value.clone()
    for number in (1, 2, 3):
        # What the file has of the trained blocks and beyond is not what the model uses.
        eva |= {
            key.replace("blocks.0.", f"blocks.{number}."): torch.full_like(value, 9.0)
            for key, value in eva.items()
            if key.startswith("blocks.0.")
        }
    return checkpoint, eva | {"head.weight": torch.zeros(1), "norm.bias": torch.zeros(1)}


@pytest.fixture
def source():
    """The model that was released: three blocks, of which the last two were trained."""
    return tiny_model(tiny_config(vit=True, dense=False))


@pytest.fixture
def release(source, tmp_path):
    checkpoint, eva = released(source)
    paths = Release(*(tmp_path / name for name in ("best.pth", "eva.pth", "vicuna", "bert")))
    torch.save({"model": checkpoint, "optimizer": {}, "epoch": 3}, paths.checkpoint)
    torch.save(eva, paths.eva)
    language = LlamaForCausalLM(source.config.text_config)
    language.load_state_dict(source.language_model.state_dict())
    language.save_pretrained(paths.vicuna)
    for folder in (paths.vicuna, paths.bert):
        TOKENIZER.save_pretrained(folder)
    return paths


def converted(release: Release, folder: Path) -> DeltaVLMForConditionalGeneration:
    config = tiny_config(vit=True, dense=False)
    convert(release, folder, config, torch.float32)
    return DeltaVLMForConditionalGeneration.from_pretrained(folder).eval()


def test_the_whole_conversion_gives_the_same_outputs(source, release, tmp_path):
    model = converted(release, tmp_path / "out")
    before, after = dates(2, 28)
    wanted = source.encode_pair(before, after).visual
    assert wanted.std() > 0.01
    assert torch.equal(model.encode_pair(before, after).visual, wanted)
    ids = torch.tensor([[1, 5, 9], [1, 7, 8]])
    given = {"pixel_values_before": before, "pixel_values_after": after}
    one, other = (m(input_ids=ids, qformer_input_ids=ids, **given).logits for m in (source, model))
    assert torch.allclose(one, other[..., : one.shape[-1]], atol=1e-6)
    assert other.shape[-1] == one.shape[-1] + 1


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
        mapped(source.config, checkpoint, eva)
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
    with pytest.raises(ModelError, match=f"has a weight that has no place: '{key}'"):
        mapped(source.config, checkpoint, eva)


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
    check_shapes(model, mapped(config, checkpoint, eva) | language)


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
