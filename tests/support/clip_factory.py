"""CLIPs and SigLIPs of a few thousand parameters, classes for them, and tiles."""

from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from geochg.class_list import ListedClass
from geochg.models.clip.backend import ClipModel
from geochg.models.clip.classes import usual_classes
from geochg.models.clip.options import ClipOptions
from geochg.records import PixelWindow, Tile, TileWindow

SIDE_PX = 28
TEXT_TOKENS = 24
_Model = TypeVar("_Model", CLIPModel, SiglipModel, Siglip2Model)
_VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE_PX,
    "patch_size": 14,
}

LAND = tuple(
    ListedClass(name, prompt=prompt, class_name=class_name)
    for name, prompt, class_name in (
        ("meadow", "a meadow", "vegetation"),
        ("houses", "houses", "building"),
        ("soil", "bare ground", "bare"),
        ("lake", "a lake", "water"),
        ("wood", "a forest", "vegetation"),
        ("thing", "a thing", "other"),
    )
)
MEADOW, HOUSES, SOIL, LAKE, WOOD, THING = range(6)
"""Classes of the texts, as indices."""


def tokenizer() -> PreTrainedTokenizerFast:
    """Knows the words of geochg's prompts and templates."""
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=["<unk>", "<pad>", "<s>", "</s>"])
    prompts = [each.phrase for each in usual_classes().classes]
    words.train_from_iterator([*prompts, *ClipOptions().templates], trainer)
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
    )


def tiny_clip(seed: int = 0) -> CLIPModel:
    torch.manual_seed(seed)
    return _lively(
        CLIPModel(CLIPConfig(text_config=_text(), vision_config=_VISION, projection_dim=12))
    )


def tiny_siglip(seed: int = 0) -> SiglipModel:
    torch.manual_seed(seed)
    return _lively(SiglipModel(SiglipConfig(text_config=_text(), vision_config=_VISION)))


def tiny_siglip2(seed: int = 0, patches: int = 4) -> Siglip2Model:
    """One of the type that takes pictures of any shape."""
    torch.manual_seed(seed)
    vision = {name: value for name, value in _VISION.items() if name != "image_size"}
    vision |= {"num_patches": patches}
    return _lively(Siglip2Model(Siglip2Config(text_config=_text(), vision_config=vision)))


def save(model: CLIPModel | SiglipModel | Siglip2Model, folder: Path) -> Path:
    """A whole model folder."""
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    side = {"height": SIDE_PX, "width": SIDE_PX}
    if isinstance(model, CLIPModel):
        processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size=side)
    elif isinstance(model, SiglipModel):
        processor = SiglipImageProcessorPil(size=side)
    else:
        processor = Siglip2ImageProcessorPil(patch_size=14, max_num_patches=4)
    processor.save_pretrained(folder)
    return folder


def load(folder: Path, **options: object) -> ClipModel:
    return ClipModel.load(str(folder), ClipOptions(**options), "cpu")


def noisy_tile(seed: int = 0, size_px: int = 48) -> Tile:
    """Two pictures of large coloured blocks that have nothing to do with each other."""
    blocks = np.random.default_rng(seed).integers(0, 256, (2, 3, 4, 4)).astype(np.uint8)
    return make_tile(*blocks.repeat(size_px // 4, axis=2).repeat(size_px // 4, axis=3))


def make_tile(before: np.ndarray, after: np.ndarray, valid: np.ndarray | None = None) -> Tile:
    """A tile of its own grid, all of it core; pixels are `(3, height, width)`."""
    window = PixelWindow(0, before.shape[1], 0, before.shape[2])
    whole = np.ones(before.shape[1:], bool)
    return Tile(
        TileWindow(0, 0, 0, window, window), (before, after), whole if valid is None else valid
    )


def _text() -> dict[str, object]:
    return {
        "vocab_size": len(tokenizer()),
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": TEXT_TOKENS,
        "pad_token_id": 1,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }


def _lively(model: _Model) -> _Model:
    """With weights large enough for pictures and words to matter."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.3)
        model.logit_scale.fill_(2.0)
    return model.eval()
