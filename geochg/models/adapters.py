"""Adapters (PEFT) that are put on a model when it is loaded."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.models.hub import hub_off
from geochg.models.model_files import UNFINISHED, checksum, saved_json
from geochg.models.model_settings import check_pattern
from geochg.models.pretrained import broken_errors, refuse_rubbish

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
WORDING = "wording.json"
"""What else an adapter changes, where it does; see `geochg.models.deltavlm.no_change_sentence`."""

MOST_RANK = 2**16
"""No adapter is as wide as this."""

_PATTERNS = (
    "target_modules",
    "exclude_modules",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
)
"""Settings that hold regular expressions."""

_PACKAGES = ("transformers", "peft", "torch", "geochg")
"""Those whose classes an adapter may say that it was made for."""

_MEGATRON = (None, "megatron.core")
_TRUSTED = "name an adapter from where you trust it"
_OLD_NAMES = {
    r"^language_model\.model\.": "model.language_model.",
    r"^language_model\.lm_head\.": "lm_head.",
    r"^(vision_tower|video_tower|image_tower|multi_modal_projector)\.": r"model.\1.",
    r"^visual\.": "model.visual.",
    r"^model\.layers\.": "model.language_model.layers.",
}
"""Where modules of vision-language models stood before transformers 4.52, and where they stand."""


def adapter_folder(adapter: str) -> Path:
    """The folder of an adapter.

    Raises:
        ModelError: If it is none, only half written, or its weights are no safetensors.
    """
    folder = Path(adapter).expanduser()
    if (folder / UNFINISHED).exists():
        raise ModelError(f"the adapter {folder} is only half written", "make it again")
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder} is no adapter folder", f"it needs an {CONFIG}")
    _check_config(folder / CONFIG)
    _check_settings(saved_json(folder / CONFIG), folder)
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no {WEIGHTS}", "adapters are read from safetensors only")
    return folder


def _check_config(file: Path) -> None:
    """Refuses settings of an adapter that is no plain LoRA, or brings in what nobody named."""
    settings = saved_json(file)
    kind = settings.get("peft_type", "LORA")
    if kind != "LORA":
        raise ModelError(
            f"the adapter in {file.parent} is of type {kind!r}", "adapters of type LORA are known"
        )
    home = settings.get("auto_mapping") or {}
    package = home.get("parent_library", "transformers") if isinstance(home, Mapping) else home
    if not isinstance(package, str) or package.partition(".")[0] not in _PACKAGES:
        raise ModelError(
            f"the adapter in {file.parent} names code of {package!r} (auto_mapping)", _TRUSTED
        )
    if settings.get("megatron_config") or settings.get("megatron_core") not in _MEGATRON:
        raise ModelError(
            f"the adapter in {file.parent} names code of its own (megatron_core)", _TRUSTED
        )


def adapter_id(adapter: str) -> str:
    """The adapter, with the checksum of its weights and settings; empty for none."""
    if not adapter:
        return ""
    folder = Path(adapter).expanduser()
    wording = [folder / WORDING] if (folder / WORDING).is_file() else []
    return f"{adapter} {checksum([folder / WEIGHTS, folder / CONFIG, *wording])}"


def adapted(model: Any, adapter: str, *, merge: bool) -> Any:  # noqa: ANN401
    """A model with an adapter in it, which is of the same class as before.

    Args:
        model: A transformers model, changed in place.
        adapter: The adapter's folder.
        merge: Whether to add its weights to the model's, which must not be quantised.

    Raises:
        ModelError: If there is no adapter, it does not fit the model, or PEFT is missing.
    """
    folder = adapter_folder(adapter)
    try:
        from peft import PeftModel, get_peft_model_state_dict, load_peft_weights
    except ImportError as error:
        raise ModelError("adapters need peft", 'pip install "geochg[models]"') from error
    misfit = ModelError(
        f"the adapter {folder} does not fit this model", "name the model it was trained on"
    )
    try:
        found = load_peft_weights(str(folder), device="cpu")
        refuse_rubbish(found.items(), folder)
        saved = set(found)
        names = _OLD_NAMES if _is_old(saved, model) else None
        with warnings.catch_warnings(), hub_off():
            # PEFT only warns of what does not fit; it is refused below.
            warnings.simplefilter("ignore")
            with_adapter = PeftModel.from_pretrained(model, str(folder), key_mapping=names)
        saved = set(load_peft_weights(str(folder), device="cpu", key_mapping=names))
    except broken_errors() as error:
        raise misfit from error
    wanted = set(get_peft_model_state_dict(with_adapter, save_embedding_layers=False))
    if wanted - saved or any("lora_" in name for name in saved - wanted):
        raise misfit
    return with_adapter.merge_and_unload() if merge else with_adapter.get_base_model()


def _check_settings(values: Mapping[str, Any], folder: Path) -> None:
    """Refuses settings that no adapter has, and regular expressions without an end.

    Raises:
        ModelError: Naming the setting.
    """
    where, hint = folder / CONFIG, "make the adapter again"
    for name in _PATTERNS:
        told = values.get(name)
        # Lists hold names of modules, tables have patterns as keys.
        patterns = list(told) if isinstance(told, dict) else [told] if isinstance(told, str) else []
        for pattern in patterns:
            check_pattern(pattern, f"{name} of {where}", hint)
    for name in ("r", "rank_pattern"):
        for rank in _settings(values.get(name)):
            if type(rank) is not int or not 1 <= rank <= MOST_RANK:
                raise ModelError(f"{name} of {where} is no rank from 1 to {MOST_RANK:,}", hint)
    for name in ("lora_alpha", "alpha_pattern"):
        for alpha in _settings(values.get(name)):
            if type(alpha) not in (int, float) or not 0 < alpha <= MOST_RANK:
                raise ModelError(f"{name} of {where} is no number from 0 to {MOST_RANK:,}", hint)


def _settings(told: object) -> list[Any]:
    """The values of a setting that may be given by module; none where it is left out."""
    return list(told.values()) if isinstance(told, dict) else [] if told is None else [told]


def _is_old(saved: set[str], model: Any) -> bool:  # noqa: ANN401
    """Whether weights are named as models of this kind were, and no longer are."""
    modules = {name for name, _ in model.named_modules()}
    inner = (name.removeprefix("base_model.model.").partition(".lora_")[0] for name in saved)
    return not any(name in modules for name in inner)
