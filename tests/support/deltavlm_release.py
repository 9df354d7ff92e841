"""The files of a small release of DeltaVLM, with the key names of the real one."""

from pathlib import Path

import torch
from deltavlm_factory import TOKENIZER
from transformers import LlamaForCausalLM

from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.release.convert import Release
from geochg.models.deltavlm.release.key_map import weight_sources

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
    for source in weight_sources(model.config):
        parts = state[source.target].chunk(len(source.keys))
        for key, value in zip(source.keys, parts, strict=True):
            if key is None:
                value.zero_()
            elif source.trained:
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


def write_release(model: DeltaVLMForConditionalGeneration, folder: Path) -> Release:
    """The four parts of a model's release: best.pth, eva.pth, vicuna and bert."""
    checkpoint, eva = released(model)
    paths = Release(*(folder / name for name in ("best.pth", "eva.pth", "vicuna", "bert")))
    torch.save({"model": checkpoint, "optimizer": {}, "epoch": 3}, paths.checkpoint)
    torch.save(eva, paths.eva)
    language = LlamaForCausalLM(model.config.text_config)
    language.load_state_dict(model.language_model.state_dict())
    language.save_pretrained(paths.vicuna)
    for place in (paths.vicuna, paths.bert):
        TOKENIZER.save_pretrained(place)
    return paths
