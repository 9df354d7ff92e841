"""Adapters (PEFT) that are put on a model when it is loaded."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.extras import MissingExtraError
from geochg.models.library_guards import hub_offline
from geochg.models.model_files import UNFINISHED, checksum, saved_json
from geochg.models.model_settings import check_pattern
from geochg.models.pretrained import broken_errors, refuse_broken_weights

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
SENTENCE_FILE = "wording.json"
"""Holds the sentence for pairs without change, where tuning chose it; see `write_sentence`."""

_SENTENCE_KEY = "no_change_sentence"

MOST_RANK = 2**16
"""No adapter is as wide as this."""

_PATTERNS = ("target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern")
"""Settings that hold regular expressions."""

_PACKAGES = ("transformers", "peft", "torch", "geochg")
"""Packages of the models that an adapter may name as its base."""

_MEGATRON = (None, "megatron.core")
_TRUST_HINT = "name an adapter from where you trust it"
_OLD_NAMES = {
    r"^language_model\.model\.": "model.language_model.",
    r"^language_model\.lm_head\.": "lm_head.",
    r"^(vision_tower|video_tower|image_tower|multi_modal_projector)\.": r"model.\1.",
    r"^visual\.": "model.visual.",
    r"^model\.layers\.": "model.language_model.layers.",
}
"""Names of modules of vision-language models before transformers 4.52, and their present names."""


def adapter_folder(adapter: str) -> Path:
    """The checked folder of an adapter.

    Raises:
        ModelError: If it is no adapter, is half written, or its weights are no safetensors.
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
            f"the adapter in {file.parent} is of type {kind!r}",
            "only adapters of type LORA can be used",
        )
    home = settings.get("auto_mapping") or {}
    package = home.get("parent_library", "transformers") if isinstance(home, Mapping) else home
    if not isinstance(package, str) or package.partition(".")[0] not in _PACKAGES:
        raise ModelError(
            f"the adapter in {file.parent} asks for code of the package {package!r} (auto_mapping)",
            _TRUST_HINT,
        )
    if settings.get("megatron_config") or settings.get("megatron_core") not in _MEGATRON:
        raise ModelError(
            f"the adapter in {file.parent} asks for code of its own (megatron_core)", _TRUST_HINT
        )


def adapter_id(adapter: str) -> str:
    """The adapter, with the checksum of its weights and settings; empty for none."""
    if not adapter:
        return ""
    folder = Path(adapter).expanduser()
    sentence = [folder / SENTENCE_FILE] if (folder / SENTENCE_FILE).is_file() else []
    return f"{adapter} {checksum([folder / WEIGHTS, folder / CONFIG, *sentence])}"


def apply_adapter(model: Any, adapter: str, *, merge: bool) -> Any:
    """Puts an adapter on a model, which keeps its class.

    Args:
        model: A transformers model, changed in place.
        adapter: The adapter's folder.
        merge: Whether to add its weights to the model's, which must not be quantised.

    Raises:
        ModelError: If there is no adapter, it does not fit the model, or PEFT is missing.
    """
    folder = adapter_folder(adapter)
    _check_saved_modules(saved_json(folder / CONFIG).get("modules_to_save"), folder, model)
    try:
        from peft import PeftModel, get_peft_model_state_dict, load_peft_weights
    except ImportError as error:
        raise MissingExtraError.of("peft", "vlm") from error
    misfit = ModelError(
        f"the adapter {folder} does not fit this model", "name the model it was trained on"
    )
    try:
        weights = load_peft_weights(str(folder), device="cpu")
        _check_types(weights, folder)
        refuse_broken_weights(weights.items(), folder)
        saved_keys = set(weights)
        names = _OLD_NAMES if _is_old(saved_keys, model) else None
        with warnings.catch_warnings(), hub_offline():
            # PEFT only warns of what does not fit; it is refused below.
            warnings.simplefilter("ignore")
            with_adapter = PeftModel.from_pretrained(model, str(folder), key_mapping=names)
        saved_keys = set(load_peft_weights(str(folder), device="cpu", key_mapping=names))
    except broken_errors() as error:
        raise misfit from error
    wanted_keys = set(get_peft_model_state_dict(with_adapter, save_embedding_layers=False))
    if wanted_keys - saved_keys or any("lora_" in name for name in saved_keys - wanted_keys):
        raise misfit
    if not merge:
        return with_adapter.get_base_model()
    merged = with_adapter.merge_and_unload()
    # Sound weights may become too large by the adapter's scale.
    refuse_broken_weights(merged.named_parameters(), folder)
    return merged


def _check_types(weights: Mapping[str, Any], folder: Path) -> None:
    """Refuses weights that are no floating-point numbers, which PEFT would convert."""
    for name, weight in weights.items():
        if not weight.is_floating_point():
            raise ModelError(
                f"{folder} has weights of type {weight.dtype}: {name}", "make the adapter again"
            )


def _check_saved_modules(names: object, folder: Path, model: Any) -> None:
    """Refuses modules to be replaced whole that the model does not have."""
    if not isinstance(names, list | None):
        raise ModelError(
            f"modules_to_save of {folder / CONFIG} is no list", "make the adapter again"
        )
    modules = [name for name, _ in model.named_modules()]
    for name in names or ():
        # PEFT looks for names by their ends.
        if not any(module.endswith(str(name)) for module in modules):
            raise ModelError(
                f"the adapter {folder} replaces a module {str(name)[:60]!r} (modules_to_save), "
                "which this model does not have",
                "name the model it was trained on",
            )


def write_sentence(folder: Path, sentence: str) -> None:
    """Keeps beside an adapter what a DeltaVLM tuned by it says of pairs without change."""
    text = json.dumps({_SENTENCE_KEY: sentence}, indent=1)
    (folder / SENTENCE_FILE).write_text(text, encoding="utf-8")


def read_sentence(folder: Path) -> str | None:
    """The sentence that was kept beside an adapter; None where the base model's holds.

    Raises:
        ModelError: If the file is broken.
    """
    sentence = saved_json(folder / SENTENCE_FILE, "make the adapter again").get(_SENTENCE_KEY)
    if not isinstance(sentence, str | None):
        raise ModelError(
            f"{folder / SENTENCE_FILE}: {_SENTENCE_KEY} is no text", "make the adapter again"
        )
    return sentence


def _check_settings(values: Mapping[str, Any], folder: Path) -> None:
    """Refuses settings that no adapter has, and regular expressions without an end."""
    settings_file, hint = folder / CONFIG, "make the adapter again"
    for name in _PATTERNS:
        value = values.get(name)
        # Lists hold names of modules, tables have patterns as keys.
        patterns = [value] if isinstance(value, str) else value if isinstance(value, dict) else ()
        for pattern in patterns:
            check_pattern(pattern, f"{name} of {settings_file}", hint)
    for name in ("r", "rank_pattern"):
        for rank in _by_module(values.get(name)):
            if type(rank) is not int or not 1 <= rank <= MOST_RANK:
                raise ModelError(
                    f"{name} of {settings_file} is no rank from 1 to {MOST_RANK:,}", hint
                )
    for name in ("lora_alpha", "alpha_pattern"):
        for alpha in _by_module(values.get(name)):
            if type(alpha) not in (int, float) or not 0 < alpha <= MOST_RANK:
                raise ModelError(
                    f"{name} of {settings_file} is no number from 0 to {MOST_RANK:,}", hint
                )


def _by_module(setting: object) -> list[Any]:
    """The values of a setting that may be given by module; none where it is left out."""
    return (
        list(setting.values()) if isinstance(setting, dict) else [setting] * (setting is not None)
    )


def _is_old(saved_keys: set[str], model: Any) -> bool:
    """Whether weights are named as models of this kind were, and no longer are."""
    modules = {name for name, _ in model.named_modules()}
    inner = (name.removeprefix("base_model.model.").partition(".lora_")[0] for name in saved_keys)
    return not any(name in modules for name in inner)
