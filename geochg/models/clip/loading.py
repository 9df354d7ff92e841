"""Opens a folder of a CLIP or SigLIP, and says what is wrong with one that cannot be opened."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoImageProcessor, AutoTokenizer

from geochg.class_list import ClassList, ListedClass
from geochg.errors import ModelError
from geochg.models.blind_models import refuse_same, unlike_images
from geochg.models.clip.encoder import MAX_SCALE, MIN_SCALE, Encoder, TextForm, text_embeddings
from geochg.models.clip.model_types import HINT, MODEL_CLASSES, check_clip_folder
from geochg.models.library_guards import quiet_libraries
from geochg.models.model_files import fingerprint, weight_files
from geochg.models.pretrained import model_errors, open_part, open_pretrained

TEXT_FORMS = {
    "clip": TextForm(("input_ids", "attention_mask"), "longest"),
    # Trained with its padding unmasked.
    "siglip": TextForm(("input_ids",), "max_length"),
    # Those of fixed size are of type siglip.
    "siglip2": TextForm(("input_ids",), "max_length"),
}
"""How models are given texts, by the `model_type` of the configuration."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Settings by which a model is opened.

    Attributes:
        classes: The classes of the texts.
        templates: Sentences with `{}` in the place of a class's prompt.
        dtype: Number type of the weights: a torch dtype's name.
        device: A torch device.
    """

    classes: tuple[ListedClass, ...]
    templates: tuple[str, ...]
    dtype: str
    device: str


def open_encoder(folder: Path, settings: EncoderSettings) -> Encoder:
    """Loads model, tokenizer and image processor; never runs code that comes with them.

    Raises:
        ModelError: If the folder lacks a file, is of another type of model, or its parts do not
            fit each other.
    """
    model_type = check_clip_folder(folder)
    model_class = getattr(transformers, MODEL_CLASSES[model_type])
    with quiet_libraries():
        model: Any = open_pretrained(model_class, folder, HINT, getattr(torch, settings.dtype))
        model = model.eval().to(settings.device)
        processor = open_part(
            "image processor", folder, AutoImageProcessor.from_pretrained, HINT, backend="pil"
        )
        tokenizer = open_part("tokenizer", folder, AutoTokenizer.from_pretrained, HINT)
        prompts = [_phrases(land_class) for land_class in settings.classes]
        with model_errors(f"the tokenizer in {folder}", HINT, "used with the model"):
            texts = text_embeddings(
                model, tokenizer, TEXT_FORMS[model_type], prompts, settings.templates
            )
        if not torch.isfinite(texts).all():
            raise ModelError(f"the model in {folder} gives no finite numbers for texts", HINT)
        encoder = Encoder(model, processor, texts)
        if not MIN_SCALE <= encoder.scale <= MAX_SCALE:
            raise ModelError(
                f"the model in {folder} scales likenesses by {encoder.scale:.3g} (logit_scale), "
                f"where {MIN_SCALE:g} to {MAX_SCALE:,.0f} makes sense",
                HINT,
            )
        with model_errors(f"the image processor in {folder}", HINT, "used with the model"):
            refuse_same(encoder.probabilities(unlike_images()))
    return encoder


def _phrases(land_class: ListedClass) -> tuple[str, ...]:
    """The noun phrases of a class and its synonyms."""
    return (land_class.phrase, *(ListedClass(word).phrase for word in land_class.synonyms))


def encoder_checksum(folder: Path, class_list: ClassList) -> str:
    """`sha256:...` over all that shapes the answers, but the options."""
    values = [[item.name, *_phrases(item), item.class_name] for item in class_list.classes]
    values += [list(class_list.templates)] if class_list.templates else []
    text = fingerprint(folder, weight_files(folder)) + json.dumps(values)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
