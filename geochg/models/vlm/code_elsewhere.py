"""Models whose code is not in transformers, refused with what can be done instead.

Code that comes with a model is never run, so such folders cannot be opened, however complete they
are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from geochg.errors import ModelError
from geochg.models.model_files import CONFIG, saved_json
from geochg.models.vlm.model_types import MODEL_TYPES
from geochg.safety.untrusted_text import cleaned

_SERVER_TEXT = "serve it yourself and name the server: --model openai:http://HOST:PORT/v1#NAME"
_OWN_LLAVA = frozenset({"llava_llama", "llava_mistral", "llava_mpt", "llava_qwen"})
_LONGEST_TYPE = 60
_VERSION = re.compile(r"\d{1,2}(?:\.\d{1,2})?")


class _Elsewhere(NamedTuple):
    """A model with code of its own.

    Attributes:
        name: Its name; empty where only its `model_type` is known.
        nearest: What to take in its place; empty where nothing is near.
    """

    name: str
    nearest: str


def refuse_code_elsewhere(folder: Path) -> None:
    """Refuses a folder whose model needs code that is not in transformers.

    Args:
        folder: The model's folder; only its `config.json` needs to be there.

    Raises:
        ModelError: Naming the model, the nearest family that works, and the way by a server.
    """
    settings = saved_json(folder / CONFIG)
    model_type = cleaned(str(settings.get("model_type")), _LONGEST_TYPE)
    elsewhere = _model_elsewhere(settings, model_type)
    if elsewhere is None:
        return
    name = elsewhere.name or f"a model of type {model_type!r}"
    raise ModelError(
        f"{folder} holds {name}, whose code is not in transformers, and code that comes with a"
        " model is never run",
        f"{elsewhere.nearest}, or {_SERVER_TEXT}" if elsewhere.nearest else _SERVER_TEXT,
    )


def _model_elsewhere(settings: Mapping[str, Any], model_type: str) -> _Elsewhere | None:
    """The model of a `config.json`, if it has code of its own."""
    architectures = settings.get("architectures")
    names = [str(name) for name in architectures] if isinstance(architectures, list) else []
    is_vila = "llm_cfg" in settings or any(
        name == "LlavaLlamaModel" or name.startswith("VILA") for name in names
    )
    if is_vila or model_type == "vila":
        return _Elsewhere("a VILA", "take a LLaVA-OneVision (llava_onevision)")
    # LLaVA's authors and those of transformers share the type `llava`, and not the classes.
    is_own_llava = any(re.fullmatch(r"Llava\w+ForCausalLM", name) for name in names)
    if is_own_llava or model_type in _OWN_LLAVA:
        return _Elsewhere(
            "a LLaVA in the form of its authors",
            "take it in the form of transformers (on the hub under llava-hf)",
        )
    if model_type in ("minicpmv", "minicpmo"):
        version = str(settings.get("version", ""))
        name = "a MiniCPM-V" if model_type == "minicpmv" else "a MiniCPM-o"
        return _Elsewhere(
            f"{name} {version}" if _VERSION.fullmatch(version) else name,
            "take MiniCPM-V 4.6 or 4.7 (minicpmv4_6, minicpmv4_7)",
        )
    if settings.get("auto_map") and model_type not in MODEL_TYPES:
        return _Elsewhere("", "")
    return None
