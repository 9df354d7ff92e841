"""Adapters (PEFT) that are put on a model when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.models.saved import UNFINISHED, checksum, saved_json

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def adapter_folder(adapter: str) -> Path:
    """The folder of an adapter.

    Raises:
        ModelError: If it is none, or only half written.
    """
    folder = Path(adapter).expanduser()
    if (folder / UNFINISHED).exists():
        raise ModelError(f"the adapter {folder} is only half written", "make it again")
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder} is no adapter folder", f"it needs an {CONFIG}")
    saved_json(folder / CONFIG)
    return folder


def adapter_id(adapter: str) -> str:
    """The adapter, with the checksum of its weights; empty for none."""
    if not adapter:
        return ""
    return f"{adapter} {checksum(sorted(Path(adapter).expanduser().glob('*.safetensors')))}"


def adapted(model: Any, adapter: str, *, merge: bool) -> Any:  # noqa: ANN401
    """A model with an adapter.

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
    from safetensors import SafetensorError

    misfit = ModelError(
        f"the adapter {folder} does not fit this model", "name the model it was trained on"
    )
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no {WEIGHTS}", "adapters are read from safetensors only")
    try:
        with_adapter = PeftModel.from_pretrained(model, str(folder))
        saved = set(load_peft_weights(str(folder), device="cpu"))
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise misfit from error
    # PEFT only warns of weights that find no place, and of places that find no weights.
    wanted = set(get_peft_model_state_dict(with_adapter, save_embedding_layers=False))
    if wanted - saved or any("lora_" in name for name in saved - wanted):
        raise misfit
    return with_adapter.merge_and_unload() if merge else with_adapter
