"""Opens a folder of a CLIP or SigLIP, and says what is wrong with one that cannot be opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from geochg.errors import GeochgError, ModelError
from geochg.models.blind_models import refuse_same, unlike_pictures
from geochg.models.clip.classes import LandClass
from geochg.models.clip.encoder import (
    LEAST_SCALE,
    MOST_SCALE,
    Encoder,
    TextForm,
    text_embeddings,
)
from geochg.models.hub import hub_off
from geochg.models.library_logs import quietly
from geochg.models.model_files import fingerprint, first_line, saved_json, weight_files
from geochg.models.model_settings import check_normalisation, check_settings, tensors_in
from geochg.models.pretrained import broken_errors, opening_told, pretrained

HINT = "name a folder or hub id of a CLIP or SigLIP of the transformers library"
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""How pictures are made ready stands in one of these."""
CONFIG = "config.json"
VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model")
"""A tokenizer has one of these; without, transformers makes one that knows no word."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type of model: its class in transformers, and how it is given texts."""

    model_class: str
    form: TextForm


KINDS = {
    "clip": _Kind("CLIPModel", TextForm(("input_ids", "attention_mask"), "longest")),
    # Trained with its padding unmasked.
    "siglip": _Kind("SiglipModel", TextForm(("input_ids",), "max_length")),
}
"""By the `model_type` of the configuration."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a model is opened.

    Attributes:
        classes: What pictures are told apart as.
        templates: Sentences with `{}` in the place of a class's prompt.
        dtype: Of the weights: a torch dtype's name.
        device: A torch device.
    """

    classes: tuple[LandClass, ...]
    templates: tuple[str, ...]
    dtype: str
    device: str


def open_encoder(folder: Path, wanted: Wanted) -> Encoder:
    """Loads model, tokenizer and image processor; never runs code that comes with them.

    Raises:
        ModelError: If the folder lacks a file, is of another type of model, or its parts do not
            fit each other.
    """
    from transformers import AutoImageProcessor, AutoTokenizer

    kind = _kind(folder)
    weights = weight_files(folder, HINT)
    check_settings(saved_json(folder / CONFIG, HINT), folder, tensors_in(weights), HINT)
    for name in PREPROCESSORS:
        check_normalisation(saved_json(folder / name, HINT), folder, HINT)
    if not any((folder / name).is_file() for name in PREPROCESSORS):
        raise ModelError(f"{folder} has no {PREPROCESSORS[0]}", HINT)
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise ModelError(f"{folder} has no tokenizer: none of {', '.join(VOCABULARIES)}", HINT)
    with quietly(), hub_off():
        model = _model(folder, kind, wanted)
        processor = _part(folder, "image processor", AutoImageProcessor.from_pretrained, "pil")
        tokenizer = _part(folder, "tokenizer", AutoTokenizer.from_pretrained)
        prompts = [each.prompt for each in wanted.classes]
        try:
            texts = text_embeddings(model, tokenizer, kind.form, prompts, wanted.templates)
        except GeochgError:
            raise
        except broken_errors() as error:
            raise ModelError(
                f"the tokenizer in {folder} does not fit the model: {first_line(error)}", HINT
            ) from error
        if not torch.isfinite(texts).all():
            raise ModelError(f"the model in {folder} gives no finite numbers for texts", HINT)
        encoder = Encoder(model, processor, texts)
        if not LEAST_SCALE <= encoder.scale <= MOST_SCALE:
            raise ModelError(
                f"the model in {folder} scales likenesses by {encoder.scale:.3g} (logit_scale), "
                f"where {LEAST_SCALE:g} to {MOST_SCALE:,.0f} makes sense",
                HINT,
            )
        try:
            refuse_same(encoder.probabilities(unlike_pictures()))
        except GeochgError:
            raise
        except broken_errors() as error:
            raise ModelError(
                f"the pictures as {folder} makes them do not fit the model: {first_line(error)}",
                HINT,
            ) from error
    return encoder


def identified(folder: Path, classes: Sequence[LandClass]) -> str:
    """`sha256:...` over all that shapes the answers, but the options."""
    told = [[each.name, each.prompt, each.class_name] for each in classes]
    both = fingerprint(folder, weight_files(folder)) + json.dumps(told)
    return f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"


def _kind(folder: Path) -> _Kind:
    file = folder / CONFIG
    if not file.is_file():
        raise ModelError(f"{folder} has no {CONFIG}", HINT)
    name = saved_json(file, HINT).get("model_type")
    if not isinstance(name, str) or name not in KINDS:
        raise ModelError(
            f"{folder} holds a model of type {name!r}, which is not known here",
            f"known: {', '.join(KINDS)}",
        )
    return KINDS[name]


def _model(folder: Path, kind: _Kind, wanted: Wanted) -> Any:  # noqa: ANN401
    import transformers

    model, found = pretrained(
        getattr(transformers, kind.model_class), folder, HINT, getattr(torch, wanted.dtype)
    )
    if missing := sorted(found["missing_keys"]):
        raise ModelError(f"{folder} has no weight {missing[0]}", "download it again")
    return model.eval().to(wanted.device)


def _part(folder: Path, what: str, load: Callable[..., Any], backend: str | None = None) -> Any:  # noqa: ANN401
    """What goes with a model."""
    given = {} if backend is None else {"backend": backend}
    with opening_told(folder, HINT, what):
        return load(folder, local_files_only=True, trust_remote_code=False, **given)
