"""Tiny CLIPs and SigLIPs, trained on drawn ground by whole pictures and whole sentences."""

from __future__ import annotations

import math
from pathlib import Path

import drawn_ground
import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy, normalize
from transformers import (
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from geochg.models.clip.loading import TEXT_FORMS
from geochg.models.clip.options import ClipOptions

SIDE_PX, PATCH_PX, WIDTH, TEXT_TOKENS = 64, 8, 64, 24
PICTURES, BATCH = 3000, 64
_TOWER = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}


def trained_folder(kind: str, steps: int, folder: Path) -> Path:
    """Trains a model of a type (`clip` or `siglip`) and saves it with all that belongs to it."""
    torch.manual_seed(0)
    words, model = _tokenizer(), _model(kind)
    processor = _processor(kind)
    pixels, labels = _pictures(processor)
    texts = _texts(kind, words)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(10))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, 2 * (steps - step) / steps)
    )
    rng = np.random.default_rng(2)
    for step in range(steps):
        batch = torch.from_numpy(rng.integers(0, len(pixels), BATCH))
        seen = normalize(model.get_image_features(pixel_values=pixels[batch]).pooler_output)
        read = normalize(model.get_text_features(**texts[step % len(texts)]).pooler_output)
        loss = cross_entropy(model.logit_scale.exp() * seen @ read.T, labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for part in (model, words, processor):
        part.save_pretrained(folder)
    return folder


def _model(kind: str) -> CLIPModel | SiglipModel:
    vision = _TOWER | {"image_size": SIDE_PX, "patch_size": PATCH_PX}
    text = _TOWER | {
        "vocab_size": len(_tokenizer()),
        "max_position_embeddings": TEXT_TOKENS,
        "pad_token_id": 1,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    if kind == "clip":
        return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))
    return SiglipModel(SiglipConfig(text_config=text, vision_config=vision))


def _processor(kind: str) -> CLIPImageProcessorPil | SiglipImageProcessorPil:
    size = {"height": SIDE_PX, "width": SIDE_PX}
    if kind == "clip":
        return CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size=size)
    return SiglipImageProcessorPil(size=size)


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=["<unk>", "<pad>", "<s>", "</s>"])
    words.train_from_iterator([*_sentences("{}"), *ClipOptions().templates], trainer)
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


def _sentences(template: str) -> list[str]:
    return [template.replace("{}", kind.phrase) for kind in drawn_ground.KINDS]


def _texts(kind: str, words: PreTrainedTokenizerFast) -> list[dict[str, torch.Tensor]]:
    form = TEXT_FORMS[kind]
    texts = []
    for template in ClipOptions().templates:
        tokens = words(
            _sentences(template),
            padding=form.padding,
            max_length=TEXT_TOKENS,
            return_tensors="pt",
        )
        texts.append({name: tokens[name] for name in form.inputs})
    return texts


def _pictures(
    processor: CLIPImageProcessorPil | SiglipImageProcessorPil,
) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = drawn_ground.samples(np.random.default_rng(1), PICTURES, SIDE_PX)
    pixels = processor(
        images=list(images.transpose(0, 2, 3, 1)),
        input_data_format="channels_last",
        return_tensors="pt",
    )["pixel_values"]
    return pixels, torch.from_numpy(labels)
