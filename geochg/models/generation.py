"""How a model folder says that words are searched for, without what nobody asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.models.model_settings import is_number

_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
_RANGES = {
    "num_beams": (1, 64),
    "max_new_tokens": (1, 100_000),
    "min_new_tokens": (0, 1000),
    "max_length": (1, 1_000_000),
    "length_penalty": (-100, 100),
    "repetition_penalty": (1e-2, 100),
    "no_repeat_ngram_size": (0, 1000),
}
"""What is kept, with its least and its greatest. The rest of what transformers knows (other models
to guess ahead, code from the hub, caches, times, words to stop at) belongs to those who call it."""


def keep_plain_settings(model: Any, folder: Path, hint: str) -> None:  # noqa: ANN401
    """Takes from a model's way of generating whatever is not known here.

    Args:
        model: Of transformers, changed in place.
        folder: Where it comes from, for the message.
        hint: What to do about it.

    Raises:
        ModelError: If a setting is out of its range.
    """
    from transformers import GenerationConfig

    saved = model.generation_config
    kept = {name: getattr(saved, name, None) for name in _TOKENS}
    for name, (least, greatest) in _RANGES.items():
        value = getattr(saved, name, None)
        if value is not None and not is_number(value, least, greatest):
            raise ModelError(
                f"{folder} cannot be used: {name} {str(value)[:40]} of its generation settings is "
                f"no number from {least:g} to {greatest:,}",
                hint,
            )
        kept[name] = value
    given = {name: value for name, value in kept.items() if value is not None}
    model.generation_config = GenerationConfig(**given)  # type: ignore[no-untyped-call]
