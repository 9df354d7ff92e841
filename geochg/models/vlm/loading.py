"""Opens a folder of a vision-language model, and says what is wrong with one that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.models.adapters import adapted, adapter_folder
from geochg.models.generation import keep_plain_settings
from geochg.models.model_files import saved_json, weight_files
from geochg.models.model_settings import check_normalisation, check_settings, tensors_in
from geochg.models.pretrained import opening_told, pretrained
from geochg.models.quantised import quantised_settings
from geochg.models.vlm import instructblip
from geochg.models.vlm.chat import ChatWriter
from geochg.models.vlm.families import FAMILIES
from geochg.models.vlm.prefix import PrefixEngine

if TYPE_CHECKING:
    import torch

    from geochg.models.vlm.engine import Engine

PROCESSOR_FILES = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
"""How pictures are made ready stands in some of these."""

_SAFE = "name a model, or a --revision of it, whose weights are saved as safetensors"
HINT = "name a folder or hub id of a model of the transformers library, see docs/models.md"


@dataclass(frozen=True, slots=True)
class How:
    """How a model is run.

    Attributes:
        device: A torch device.
        dtype: Of the weights.
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


def open_vlm(folder: Path, how: How) -> Engine[Any]:
    """Loads model, tokenizer and chat template; never runs code that comes with them.

    Raises:
        ModelError: If the folder has no configuration, is of no known family, lacks weights or a
            tokenizer, or cannot be quantised or adapted.
    """
    kind = _model_type(folder)
    weights = weight_files(folder, _SAFE)
    check_settings(saved_json(folder / "config.json"), folder, tensors_in(weights))
    for name in PROCESSOR_FILES:
        check_normalisation(saved_json(folder / name), folder)
    if how.adapter:
        adapter_folder(how.adapter)
    if kind in instructblip.MODEL_CLASSES:
        whole = instructblip.VISION_PARTS
        model = _model(folder, instructblip.MODEL_CLASSES[kind], whole, how)
        keep_plain_settings(model.language_model, folder, HINT)
        return instructblip.InstructBlipEngine.open(
            model, _tokenizer(folder), folder, how.max_tokens
        )
    family_type = FAMILIES[kind]
    model = _model(folder, family_type.model_classes[kind], family_type.vision_parts, how)
    tokenizer = _tokenizer(folder)
    family = family_type.open(model, tokenizer, folder)
    writer = ChatWriter(
        tokenizer, _template(folder, tokenizer, family.usual_template), family.content
    )
    return PrefixEngine(family, writer, how.max_tokens)


def _model_type(folder: Path) -> str:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json", HINT)
    name = saved_json(folder / "config.json").get("model_type")
    known = {*FAMILIES, *instructblip.MODEL_CLASSES}
    if name not in known:
        raise ModelError(
            f"{folder} holds a model of type {name!r}, which is not known here",
            f"known: {', '.join(sorted(known))}",
        )
    return str(name)


def _model(folder: Path, class_name: str, whole: Sequence[str], how: How) -> Any:  # noqa: ANN401
    import transformers

    settings = None
    if how.bits is not None:
        settings = quantised_settings(how.bits, how.dtype, how.device, whole, double=how.double)
    model, found = pretrained(getattr(transformers, class_name), folder, HINT, how.dtype, settings)
    if missing := sorted(found["missing_keys"]):
        raise ModelError(f"{folder} has no weight {missing[0]}", "download it again")
    if how.adapter:
        model = adapted(model, how.adapter, merge=how.bits is None)
    model.eval()
    keep_plain_settings(model, folder, HINT)
    return model if how.bits is not None else model.to(how.device)


def _tokenizer(folder: Path) -> Any:  # noqa: ANN401
    from transformers import AutoTokenizer

    with opening_told(folder, "download it again", "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _template(folder: Path, tokenizer: Any, usual: str) -> str:  # noqa: ANN401
    """The model's chat template; older folders keep it beside the tokenizer, or have none.

    Args:
        folder: Of the model.
        tokenizer: Its tokenizer.
        usual: That of the family, for folders that bring none; empty where there is none either.

    Raises:
        ModelError: If there is none.
    """
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    for saved in (
        saved_json(folder / "chat_template.json").get("chat_template"),
        saved_json(folder / "processor_config.json").get("chat_template"),
        tokenizer.chat_template,
    ):
        found = saved.get("default") if isinstance(saved, dict) else saved
        if isinstance(found, str):
            return found
    if not usual:
        raise ModelError(f"{folder} has no chat template", "download it again")
    return usual
