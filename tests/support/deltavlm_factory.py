"""DeltaVLMs of a few thousand parameters, and tiles for them."""

from pathlib import Path

import numpy as np
import torch
from transformers import GenerationConfig

from geochg.models.deltavlm.configuration import DeltaVLMConfig, DeltaVLMDenseConfig
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.records import PixelWindow, Tile, TileWindow
from geochg.tasks import SPECS
from geochg.training.builtin.tokenizer import train_tokenizer

SIZE_PX = 64
TOKENIZER = train_tokenizer([p for spec in SPECS.values() for p in spec.prompts], 320)


LITE = {
    "model_type": "efficientnet_lite",
    "stem_width": 8,
    "widths": [8, 8, 12, 16],
    "repeats": [1, 2, 1, 1],
    "kernel_sizes": [3, 5, 3, 3],
    "strides": [2, 2, 2, 2],
    "expansions": [1, 2, 2, 2],
    "out_indices": [1, 2, 3, 4],
}
"""An EfficientNet-Lite with levels of stride 4, 8, 16 and 32."""

CLASSES = ("building", "water")


def tiny_config(*, vit: bool = False, dense: bool = True, **changes: object) -> DeltaVLMConfig:
    """A ViT of three blocks on 28 px without a head, or a `LITE` with one on 64 px."""
    vision = (
        {
            "model_type": "instructblip_vision_model",
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 28,
        }
        if vit
        else LITE
    )
    head = DeltaVLMDenseConfig(classes=CLASSES, width=8, statistics_width=4, norm_groups=2)
    values = {
        "vision_config": vision,
        "qformer_config": {
            "vocab_size": len(TOKENIZER),
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "encoder_hidden_size": 16,
            "max_position_embeddings": 256,
        },
        "text_config": {
            "model_type": "llama",
            "vocab_size": len(TOKENIZER),
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "tie_word_embeddings": True,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        "dense_config": head if dense and not vit else None,
        "num_query_tokens": 4,
        "image_size": 28 if vit else SIZE_PX,
        "resize": vit,
        "token_grid": 2,
    }
    return DeltaVLMConfig(**{**values, **changes})


PICTURES = ("vision.model.stem", "vision.model.stages", "dense.")
"""Weights that begin as they do in training."""


def tiny_model(
    config: DeltaVLMConfig | None = None, seed: int = 0
) -> DeltaVLMForConditionalGeneration:
    """In evaluation mode, with weights large enough for pictures and words to matter."""
    torch.manual_seed(seed)
    model = DeltaVLMForConditionalGeneration(config or tiny_config()).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and not name.startswith(PICTURES):
                weight.normal_(std=0.4)
    model.generation_config = GenerationConfig(
        max_new_tokens=8, do_sample=False, pad_token_id=0, bos_token_id=1, eos_token_id=2
    )
    return model


def processor(config: DeltaVLMConfig) -> DeltaVLMProcessor:
    return DeltaVLMProcessor(config, TOKENIZER, TOKENIZER)


def dates(pairs: int = 2, size_px: int = SIZE_PX, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Both dates, `(pairs, 3, size, size)` float32 twice."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, pairs, 3, size_px, size_px, generator=generator))


def save(model: DeltaVLMForConditionalGeneration, folder: Path) -> Path:
    """A whole model folder."""
    model.save_pretrained(folder)
    processor(model.config).save_pretrained(folder)
    return folder


def tile(
    seed: int = 0,
    size_px: int = SIZE_PX,
    dtype: type = np.uint8,
    bands: int = 3,
    valid: np.ndarray | None = None,
) -> Tile:
    """Two noisy pictures, all valid unless told otherwise."""
    window = PixelWindow(0, size_px, 0, size_px)
    shape = (2, bands, size_px, size_px)
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)
    inside = np.ones((size_px,) * 2, bool) if valid is None else valid
    return Tile(TileWindow(seed, 0, seed, window, window), tuple(pixels), inside)
