"""Which runtime runs the language model of a folder whose vision encoder ONNX Runtime runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geochg.models.deltavlm.loading import open_model
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.runtime.onnx_file import can_run
from geochg.models.deltavlm.runtime.onnx_language import (
    LANGUAGE,
    QUESTION,
    OnnxLanguage,
    generation_settings,
    is_greedy,
)

if TYPE_CHECKING:
    from geochg.models.deltavlm.runtime.language import LanguageRunner


def open_language(folder: Path, made_from: str, options: DeltaVLMOptions) -> LanguageRunner:
    """The language model of a folder whose vision encoder ONNX Runtime runs."""
    settings = options.generation()
    greedy = is_greedy(generation_settings(folder) | settings)
    if greedy and can_run(folder, (QUESTION, LANGUAGE), "cpu"):
        return OnnxLanguage.open(folder, made_from, settings)

    import torch

    from geochg.models.deltavlm.runtime.torch_language import TorchLanguage

    return TorchLanguage(*open_model(folder, torch.float32, "cpu"), dict(settings))
