"""Opens a model folder, and says what is wrong with one that cannot be opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.models.hub import hub_off
from geochg.models.quiet import quietly
from geochg.models.saved import (
    checksum,
    first_line,
    saved_json,
    weight_files,
)

if TYPE_CHECKING:
    import torch

    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor

CONFIG = "config.json"
NEEDED = (CONFIG, "generation_config.json", "tokenizer.json", "tokenizer_config.json")
"""Files of every model folder beside the weights."""

HINT = "a model folder is made by `geochg models convert deltavlm` or by training"


def check_folder(folder: Path) -> list[Path]:
    """The weights of a folder that has all its files and says it holds a DeltaVLM.

    Raises:
        ModelError: If a file is missing or the folder is of another model.
    """
    if not (folder / CONFIG).is_file():
        weight_files(folder, HINT)
        raise ModelError(f"{folder} has no {CONFIG}", HINT)
    kind = saved_json(folder / CONFIG, HINT).get("model_type")
    if kind != "deltavlm":
        raise ModelError(f"{folder} holds a model of type {kind!r}, not 'deltavlm'", HINT)
    files = weight_files(folder, HINT)
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise ModelError(f"{folder} has no {missing[0]}", HINT)
    return files


def fingerprint(folder: Path, weights: list[Path]) -> str:
    """`sha256:...` over the weights and the configuration: what an export was made from.

    Args:
        folder: Whose configuration counts.
        weights: See `weight_files`.
    """
    config = json.dumps(saved_json(folder / CONFIG, HINT), sort_keys=True)
    return f"sha256:{hashlib.sha256((checksum(weights) + config).encode()).hexdigest()}"


def open_model(
    folder: Path, dtype: torch.dtype, device: str, settings: Mapping[str, Any] | None = None
) -> tuple[DeltaVLMForConditionalGeneration, DeltaVLMProcessor]:
    """Loads model and processor of a checked folder.

    Args:
        folder: See `check_folder`.
        dtype: Of the weights.
        device: Where they go, unless the settings say it.
        settings: Further ones of `from_pretrained`, such as how to quantise.

    Raises:
        ModelError: If weights are missing, left over, of other shapes, or not safetensors.
    """
    from safetensors import SafetensorError

    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor

    try:
        with quietly(), hub_off():
            loaded: Any = DeltaVLMForConditionalGeneration.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **(settings or {}),
            )
    except SafetensorError as error:
        raise ModelError(
            f"the weights in {folder} are no safetensors file: {error}", HINT
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded: {first_line(error)}", HINT) from error
    model, found = loaded
    _refuse_misfits(folder, found)
    try:
        processor = DeltaVLMProcessor.from_pretrained(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"the tokenizer in {folder} is broken: {first_line(error)}", HINT
        ) from error
    model.eval()
    return (model if settings else model.to(device)), processor


def _refuse_misfits(folder: Path, found: Any) -> None:  # noqa: ANN401
    """Raises unless every weight was found once, in its shape."""
    for problem, name in (
        ("has no weight", "missing_keys"),
        ("has a weight that is not of this model,", "unexpected_keys"),
        ("has another shape of", "mismatched_keys"),
    ):
        keys = sorted(str(key[0]) if isinstance(key, tuple) else str(key) for key in found[name])
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise ModelError(f"{folder} {problem} {keys[0]}{more}", HINT)
