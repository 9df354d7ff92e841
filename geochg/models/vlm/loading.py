"""Opens a folder of a vision-language model, and says what is wrong with one that cannot be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer

from geochg.errors import ModelError
from geochg.models.adapters import adapter_folder, apply_adapter
from geochg.models.model_files import known_model_type, saved_json, weight_files
from geochg.models.model_settings import check_settings_files, restrict_generation
from geochg.models.pretrained import check_tokenizer, loading_errors, open_part, open_pretrained
from geochg.models.quantised import quantised_settings
from geochg.models.vlm import instructblip
from geochg.models.vlm.chat_writer import ChatWriter
from geochg.models.vlm.code_elsewhere import refuse_code_elsewhere
from geochg.models.vlm.engine import Engine
from geochg.models.vlm.family import Family
from geochg.models.vlm.llava import Llava, LlavaNextVideo, LlavaOnevision, VideoLlava
from geochg.models.vlm.model_types import (
    FAMILY_CLASSES,
    HINT,
    INSTRUCTBLIP_CLASSES,
    MODEL_TYPES,
    PROCESSOR_FILES,
    WEIGHTS_HINT,
)
from geochg.models.vlm.patches import Idefics, MiniCPMV, MiniCPMV47, QwenVL
from geochg.models.vlm.prefix import PrefixEngine

_FAMILY_TYPES: dict[str, type[Family]] = {
    "llava": Llava,
    "llava_next_video": LlavaNextVideo,
    "video_llava": VideoLlava,
    "llava_onevision": LlavaOnevision,
    "qwen2_vl": QwenVL,
    "qwen2_5_vl": QwenVL,
    "qwen3_vl": QwenVL,
    "idefics3": Idefics,
    "smolvlm": Idefics,
    "minicpmv4_6": MiniCPMV,
    "minicpmv4_7": MiniCPMV47,
}

FAMILIES: dict[str, tuple[type[Family], str]] = {
    model_type: (family_type, FAMILY_CLASSES[model_type])
    for model_type, family_type in _FAMILY_TYPES.items()
}
"""All families that can be loaded with the class in transformers, by the `model_type`."""


@dataclass(frozen=True, slots=True)
class VlmSettings:
    """Settings by which a model is opened and run.

    Attributes:
        device: A torch device.
        dtype: Number type of the weights.
        bits: 4 or 8 to quantise, None not to.
        adapter: A PEFT folder; empty for none.
        max_tokens: Most tokens of an answer.
        double: Whether the scales of 4-bit weights are quantised too, as QLoRA does.
    """

    device: str
    dtype: torch.dtype
    bits: int | None
    adapter: str
    max_tokens: int
    double: bool = False


How = VlmSettings
"""The former name of `VlmSettings`, which scripts of others import."""


def open_vlm(folder: Path, settings: VlmSettings) -> Engine[Any]:
    """Loads model, tokenizer and chat template; never runs code that comes with them.

    Raises:
        ModelError: If the folder has no configuration, is of no known family or one whose code is
            not in transformers, lacks weights or a tokenizer, or cannot be quantised or adapted.
    """
    refuse_code_elsewhere(folder)
    model_type = known_model_type(folder, MODEL_TYPES, HINT)
    check_settings_files(folder, weight_files(folder, WEIGHTS_HINT), PROCESSOR_FILES)
    if settings.adapter:
        adapter_folder(settings.adapter)
    if model_type in INSTRUCTBLIP_CLASSES:
        skips = instructblip.VISION_MODULES
        model = _open_model(folder, INSTRUCTBLIP_CLASSES[model_type], skips, settings)
        restrict_generation(model.language_model, folder, HINT)
        return instructblip.InstructBlipEngine.open(
            model, _open_tokenizer(folder), folder, settings.max_tokens
        )
    family_type, class_name = FAMILIES[model_type]
    model = _open_model(folder, class_name, family_type.vision_modules, settings)
    tokenizer = _open_tokenizer(folder)
    family = family_type.open(model, tokenizer, folder)
    template = _template(folder, tokenizer, family.usual_template)
    return PrefixEngine(
        family, ChatWriter(tokenizer, template, family.content), settings.max_tokens
    )


def _open_model(folder: Path, class_name: str, skips: Sequence[str], settings: VlmSettings) -> Any:
    """The model of a folder on its device, with its adapter; without quantising `skips`."""
    quantised = None
    if settings.bits is not None:
        quantised = quantised_settings(
            settings.bits, settings.dtype, settings.device, skips, double=settings.double
        )
    model_class = getattr(transformers, class_name)
    model = open_pretrained(model_class, folder, "download it again", settings.dtype, quantised)
    if settings.adapter:
        model = apply_adapter(model, settings.adapter, merge=settings.bits is None)
    model.eval()
    restrict_generation(model, folder, HINT)
    return model if settings.bits is not None else model.to(settings.device)


def _open_tokenizer(folder: Path) -> Any:
    tokenizer = open_part("tokenizer", folder, AutoTokenizer.from_pretrained, "download it again")
    with loading_errors(folder, "download it again", "tokenizer"):
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        check_tokenizer(tokenizer)
    return tokenizer


def _template(folder: Path, tokenizer: Any, usual: str) -> str:
    """The model's chat template: of its folder, or the usual one of its family.

    Older folders keep it beside the tokenizer, or have none.
    """
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    for saved_template in (
        saved_json(folder / "chat_template.json").get("chat_template"),
        saved_json(folder / "processor_config.json").get("chat_template"),
        tokenizer.chat_template,
    ):
        template = (
            saved_template.get("default") if isinstance(saved_template, dict) else saved_template
        )
        if isinstance(template, str):
            return template
    if not usual:
        raise ModelError(f"{folder} has no chat template", "download it again")
    return usual
