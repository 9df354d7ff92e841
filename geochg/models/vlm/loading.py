"""Opens a folder of a vision-language model, and says what is wrong with one that cannot be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.models.vlm.chat import VICUNA
from geochg.models.vlm.family import FAMILIES, Family, PictureSettings

if TYPE_CHECKING:
    import torch

_HINT = "name a folder or hub id of a model of the transformers library, see docs/models.md"
_VISION = [".*vision_tower.*", ".*vision_model.*", ".*visual.*", ".*projector.*", "lm_head"]
"""Modules that quantisation leaves alone; plain names would not match within a model."""


@dataclass(frozen=True, slots=True)
class How:
    """How a model is run.

    Attributes:
        device: A torch device.
        dtype: Of the weights.
        bits: 4 or 8 to quantise, None not to.
        adapter: A PEFT folder; empty for none.
    """

    device: str
    dtype: torch.dtype
    bits: int | None
    adapter: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A model ready to be asked.

    Attributes:
        family: With the model in it.
        tokenizer: A `PreTrainedTokenizerBase`.
        template: The chat template.
    """

    family: Family
    tokenizer: Any
    template: str


def open_vlm(folder: Path, how: How) -> Opened:
    """Loads model, tokenizer and chat template; never runs code that comes with them.

    Raises:
        ModelError: If the folder has no configuration, is of no known family, lacks weights or a
            tokenizer, or cannot be quantised or adapted.
    """
    from transformers import AutoTokenizer

    kind = _family(folder)
    model = _model(folder, kind, how)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"the tokenizer in {folder} cannot be loaded", _HINT) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    side_px = model.config.vision_config.image_size
    settings = PictureSettings.of(side_px, _saved(folder / "preprocessor_config.json"))
    return Opened(kind(model, settings), tokenizer, _template(folder, tokenizer))


def _family(folder: Path) -> type[Family]:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json", _HINT)
    name = _saved(folder / "config.json").get("model_type")
    known = {kind: family for family in FAMILIES for kind in family.model_types}
    if name not in known:
        raise ModelError(
            f"{folder} holds a model of type {name!r}, which is not known here",
            f"known: {', '.join(sorted(known))}",
        )
    return known[name]


def _model(folder: Path, kind: type[Family], how: How) -> Any:  # noqa: ANN401
    import transformers
    from safetensors import SafetensorError

    settings: dict[str, Any] = {"dtype": how.dtype}
    if how.bits is not None:
        settings |= _quantised(how)
    try:
        model, found = getattr(transformers, kind.model_class).from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **settings,
        )
    except SafetensorError as error:
        raise ModelError(f"the weights in {folder} are no safetensors file", _HINT) from error
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{folder} cannot be loaded: {line}", _HINT) from error
    if missing := sorted(found["missing_keys"]):
        raise ModelError(f"{folder} has no weight {missing[0]}", "download it again")
    if how.adapter:
        model = _adapted(model, how)
    model.eval()
    return model if how.bits is not None else model.to(how.device)


def _quantised(how: How) -> dict[str, Any]:
    """Settings of a quantised model."""
    from transformers import BitsAndBytesConfig

    if how.device == "mps":
        raise ModelError("there is no quantisation on mps", "leave out --quantize")
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise ModelError(
            "quantisation needs bitsandbytes", 'pip install "geochg[models]"'
        ) from error
    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=how.bits == 4,
        load_in_8bit=how.bits == 8,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=how.dtype,
        llm_int8_skip_modules=_VISION,
    )
    return {"quantization_config": config, "device_map": {"": how.device}}


def _adapted(model: Any, how: How) -> Any:  # noqa: ANN401
    """With a PEFT adapter, merged where the weights are whole."""
    folder = Path(how.adapter).expanduser()
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(f"{folder} is no adapter folder", "it needs an adapter_config.json")
    try:
        from peft import PeftModel

        adapted = PeftModel.from_pretrained(model, folder)
    except ImportError as error:
        raise ModelError("adapters need peft", 'pip install "geochg[models]"') from error
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"the adapter {folder} does not fit this model", "name the model it was trained on"
        ) from error
    return adapted if how.bits is not None else adapted.merge_and_unload()


def _template(folder: Path, tokenizer: Any) -> str:  # noqa: ANN401
    """The model's chat template; older folders keep it beside the tokenizer, or have none."""
    if isinstance(tokenizer.chat_template, str):
        return tokenizer.chat_template
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    saved = _saved(folder / "chat_template.json").get("chat_template")
    return saved if isinstance(saved, str) else VICUNA


def _saved(file: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where there is none."""
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} is not JSON", _HINT) from error
    return found if isinstance(found, dict) else {}
