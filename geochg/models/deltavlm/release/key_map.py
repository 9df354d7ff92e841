"""Maps the keys of the released checkpoint to those of the model."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from geochg.errors import ModelError
from geochg.models.deltavlm.configuration import DeltaVLMConfig

TRAINED_BLOCKS = 2
"""The last blocks of the vision part were trained, so the checkpoint has them."""

_VISION = "visual_encoder."
_UNUSED_IN_CHECKPOINT = re.compile(
    r"temp$|vision_proj\.|text_proj\.|.*rotary_emb\.inv_freq$|.*position_ids$"
)
_UNUSED_IN_EVA = re.compile(r"norm\.|fc_norm\.|head\.|mask_token$|.*position_ids$")
_HINT = "give the files that the release names: checkpoint_best.pth and eva_vit_g.pth"

_BLOCK = {
    "norm1.weight": "layer_norm1.weight",
    "norm1.bias": "layer_norm1.bias",
    "attn.qkv.weight": "self_attn.qkv.weight",
    "attn.proj.weight": "self_attn.projection.weight",
    "attn.proj.bias": "self_attn.projection.bias",
    "norm2.weight": "layer_norm2.weight",
    "norm2.bias": "layer_norm2.bias",
    "mlp.fc1.weight": "mlp.fc1.weight",
    "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.weight": "mlp.fc2.weight",
    "mlp.fc2.bias": "mlp.fc2.bias",
}
_PATCHES = {
    "cls_token": "class_embedding",
    "pos_embed": "position_embedding",
    "patch_embed.proj.weight": "patch_embedding.weight",
    "patch_embed.proj.bias": "patch_embedding.bias",
}
_RELATION = (
    *("context1.weight", "context2.weight", "context2.bias", "context3.weight", "context3.bias"),
    *("gate1.weight", "gate2.weight", "gate2.bias"),
)


@dataclass(frozen=True, slots=True)
class WeightSource:
    """The source of one weight.

    Attributes:
        keys: Keys in the release; those of a vision bias are joined, None standing for zeros of
            the same size (the attention's keys have no bias).
        target: Key in the model.
        trained: Whether it must be in the checkpoint; else EVA-ViT-g's file may have it.
    """

    keys: tuple[str | None, ...]
    target: str
    trained: bool = True


def weight_sources(config: DeltaVLMConfig) -> Iterator[WeightSource]:
    """Every weight of the model but the language model's."""
    yield WeightSource(("query_tokens",), "query_tokens")
    for name in ("weight", "bias"):
        yield WeightSource((f"ln_vision.{name}",), f"vision.model.post_layernorm.{name}")
        yield WeightSource((f"llm_proj.{name}",), f"language_projection.{name}")
    for name in _RELATION:
        yield WeightSource((name,), f"relation.{name}")
    yield from _vision_sources(config.vision_config.num_hidden_layers)
    yield from _qformer_sources(
        config.qformer_config.num_hidden_layers, config.qformer_config.cross_attention_frequency
    )


def _vision_sources(depth: int) -> Iterator[WeightSource]:
    for source, target in _PATCHES.items():
        yield WeightSource((_VISION + source,), f"vision.model.embeddings.{target}", trained=False)
    for number in range(depth):
        trained = number >= depth - TRAINED_BLOCKS
        block, layer = f"{_VISION}blocks.{number}.", f"vision.model.encoder.layers.{number}."
        for source, target in _BLOCK.items():
            yield WeightSource((block + source,), layer + target, trained)
        parts = (f"{block}attn.q_bias", None, f"{block}attn.v_bias")
        yield WeightSource(parts, f"{layer}self_attn.qkv.bias", trained)


def _qformer_sources(depth: int, crossing: int) -> Iterator[WeightSource]:
    for source, target in (
        ("word_embeddings.weight", "word_embeddings.weight"),
        ("position_embeddings.weight", "position_embeddings.weight"),
        ("LayerNorm.weight", "layernorm.weight"),
        ("LayerNorm.bias", "layernorm.bias"),
    ):
        yield WeightSource((f"Qformer.bert.embeddings.{source}",), f"qformer.embeddings.{target}")
    for number in range(depth):
        names = [*_attention("attention"), *_feed_forward()]
        if number % crossing == 0:
            names += _attention("crossattention")
        for source, target in names:
            layer = f"encoder.layer.{number}."
            yield WeightSource((f"Qformer.bert.{layer}{source}",), f"qformer.{layer}{target}")


def _attention(kind: str) -> Iterator[tuple[str, str]]:
    for end in ("weight", "bias"):
        for part in ("query", "key", "value"):
            yield f"{kind}.self.{part}.{end}", f"{kind}.attention.{part}.{end}"
        for part in ("dense", "LayerNorm"):
            yield f"{kind}.output.{part}.{end}", f"{kind}.output.{part}.{end}"


def _feed_forward() -> Iterator[tuple[str, str]]:
    for end in ("weight", "bias"):
        for query in ("", "_query"):
            for part in ("intermediate", "output"):
                name = f"{part}{query}.dense.{end}"
                yield name, name
            name = f"output{query}.LayerNorm.{end}"
            yield name, name


def map_weights(
    config: DeltaVLMConfig, checkpoint: Mapping[str, Tensor], eva: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The release's weights under the keys used here.

    Args:
        config: The model's configuration.
        checkpoint: `model` of the released checkpoint.
        eva: The weights of EVA-ViT-g's file.

    Raises:
        ModelError: If a key is missing or left over; it is named.
    """
    sources = list(weight_sources(config))
    _refuse_left_over(config, sources, checkpoint, eva)
    # Trained weights take precedence over those they were trained from.
    all_weights = {**{_VISION + key: value for key, value in eva.items()}, **checkpoint}
    weights: dict[str, Tensor] = {}
    for source in sources:
        keys = [key for key in source.keys if key is not None]
        for key in keys:
            if key not in (checkpoint if source.trained else all_weights):
                origin = "the checkpoint" if source.trained else "EVA-ViT-g's file"
                name = key if source.trained else key.removeprefix(_VISION)
                raise ModelError(f"{origin} has no weight {name!r}", _HINT)
        parts = [
            torch.zeros_like(all_weights[keys[0]]) if key is None else all_weights[key]
            for key in source.keys
        ]
        weights[source.target] = parts[0] if len(parts) == 1 else torch.cat(parts)
    return weights


def _refuse_left_over(
    config: DeltaVLMConfig,
    sources: list[WeightSource],
    checkpoint: Mapping[str, Tensor],
    eva: Mapping[str, Tensor],
) -> None:
    keys = {key for source in sources for key in source.keys}
    depth = config.vision_config.num_hidden_layers
    for origin, unused, given_names in (
        ("the checkpoint", _UNUSED_IN_CHECKPOINT, {key: key for key in checkpoint}),
        ("EVA-ViT-g's file", _UNUSED_IN_EVA, {key: _VISION + key for key in eva}),
    ):
        for key, name in given_names.items():
            block = re.match(rf"{_VISION}blocks\.(\d+)\.", name)
            # The file has one block more than DeltaVLM uses.
            deeper = block is not None and int(block[1]) >= depth and origin != "the checkpoint"
            if name not in keys and not unused.match(key) and not deeper:
                raise ModelError(
                    f"{origin} has a weight that the model does not need: {key!r}", _HINT
                )
