"""What tuning changes of a DeltaVLM beside its weights: the sentence for pairs without change."""

from __future__ import annotations

import json
from pathlib import Path

from geochg.errors import ModelError
from geochg.models.adapters import WORDING
from geochg.models.model_files import saved_json

_NAME = "no_change_sentence"


def write_sentence(folder: Path, sentence: str) -> None:
    """Keeps a sentence beside an adapter."""
    (folder / WORDING).write_text(json.dumps({_NAME: sentence}, indent=1), encoding="utf-8")


def kept_sentence(folder: Path) -> str | None:
    """The sentence that was kept; None where the base's holds.

    Raises:
        ModelError: If the file is broken.
    """
    sentence = saved_json(folder / WORDING, "make the adapter again").get(_NAME)
    if not isinstance(sentence, str | None):
        raise ModelError(f"{folder / WORDING}: {_NAME} is no text", "make the adapter again")
    return sentence
