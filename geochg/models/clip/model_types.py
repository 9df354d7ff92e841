"""The CLIPs that can be opened and the files that they need, told without loading torch."""

from __future__ import annotations

from pathlib import Path

from geochg.errors import ModelError
from geochg.models.model_files import known_model_type, weight_files
from geochg.models.model_settings import check_settings_files

MODEL_CLASSES = {"clip": "CLIPModel", "siglip": "SiglipModel", "siglip2": "Siglip2Model"}
"""The class in transformers, by the `model_type` of the configuration."""

HINT = "name a folder or hub id of a CLIP or SigLIP of the transformers library"
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
"""Files that say how images are prepared; a folder has one of these."""
VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model")
"""A tokenizer has one of these; without, transformers makes one that knows no word."""


def check_clip_folder(folder: Path) -> str:
    """The `model_type` of a checked folder that holds a CLIP or SigLIP.

    Raises:
        ModelError: If it lacks a file or is of another type of model.
    """
    model_type = known_model_type(folder, MODEL_CLASSES, HINT)
    check_settings_files(folder, weight_files(folder, HINT), PROCESSOR_FILES, HINT)
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        raise ModelError(f"{folder} has no {PROCESSOR_FILES[0]}", HINT)
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise ModelError(f"{folder} has no tokenizer: none of {', '.join(VOCABULARIES)}", HINT)
    return model_type
