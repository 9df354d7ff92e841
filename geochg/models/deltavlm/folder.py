"""Opens a model folder, and says what is wrong with one that cannot be opened."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.models.generation import keep_plain_settings
from geochg.models.model_files import checksum, saved_json, weight_files
from geochg.models.model_settings import (
    check_generation,
    check_normalisation,
    check_settings,
    tensors_in,
)
from geochg.models.pretrained import opening_told, pretrained

if TYPE_CHECKING:
    import torch

    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor

CONFIG = "config.json"
NEEDED = (CONFIG, "generation_config.json", "tokenizer.json", "tokenizer_config.json")
"""Files of every model folder beside the weights."""

PARTS = ("vision_config", "qformer_config", "text_config")
"""What each configuration holds."""

_CLASS = re.compile(r"[^\W\d_][\w -]{0,39}")

HINT = "a model folder is made by `geochg models convert deltavlm` or by training"


def check_folder(folder: Path) -> list[Path]:
    """The weights of a folder that has all its files and says it holds a DeltaVLM.

    Raises:
        ModelError: If a file is missing or the folder is of another model.
    """
    if not (folder / CONFIG).is_file():
        weight_files(folder, HINT)
        raise ModelError(f"{folder} has no {CONFIG}", HINT)
    values = saved_json(folder / CONFIG, HINT)
    kind = values.get("model_type")
    if kind != "deltavlm":
        raise ModelError(f"{folder} holds a model of type {kind!r}, not 'deltavlm'", HINT)
    dense = saved_json(folder / CONFIG, HINT).get("dense_config")
    if isinstance(dense, dict) and "widths" in dense:
        raise ModelError(
            f"{folder} holds a compact DeltaVLM of an older geochg, whose vision part is no more",
            "make it anew with `geochg train compact`, or tune the present built-in model",
        )
    files = weight_files(folder, HINT)
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise ModelError(f"{folder} has no {missing[0]}", HINT)
    _check_values(values, folder, files)
    check_generation(saved_json(folder / "generation_config.json", HINT), folder, HINT)
    return files


def _check_values(values: Mapping[str, Any], folder: Path, files: Sequence[Path]) -> None:
    """Refuses a configuration that cannot be meant.

    Raises:
        ModelError: Naming the setting.
    """
    if lacking := [name for name in PARTS if not isinstance(values.get(name), dict)]:
        raise ModelError(f"{folder / CONFIG} has no {lacking[0]}", HINT)
    check_settings(values, folder, tensors_in(files), HINT)
    check_normalisation(values, folder, HINT)
    for name in ("image_mean", "image_std"):
        if name in values and (not isinstance(values[name], list) or len(values[name]) != 3):
            raise ModelError(f"{folder / CONFIG} has no {name} of three bands", HINT)
    dense = values.get("dense_config")
    if isinstance(dense, dict) and _is_outdated(dense.get("calibration")):
        raise ModelError(
            f"{folder} was made by an older geochg, whose dense head weighs its logits otherwise",
            "make it anew with `geochg train compact`, or tune the built-in model again",
        )
    classes = dense.get("classes") if isinstance(dense, dict) else None
    if classes is not None and not are_classes(classes):
        raise ModelError(f"{folder / CONFIG} has classes that are no names, each once", HINT)
    check_calibration(dense.get("calibration") if isinstance(dense, dict) else None, folder)


def are_classes(names: object) -> bool:
    """Whether a value lists names of classes, each once."""
    if not isinstance(names, list) or not names:
        return False
    sound = all(isinstance(name, str) and _CLASS.fullmatch(name) for name in names)
    return sound and len(set(names)) == len(names)


def check_calibration(calibration: object, folder: Path) -> None:
    """Refuses what cannot have been fitted.

    Raises:
        ModelError: Then.
    """
    from geochg.models.deltavlm.postprocessing import Calibration

    try:
        if not isinstance(calibration, dict | None):
            raise TypeError("not a table")
        Calibration.from_dict(calibration)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the calibration in {folder} makes no sense: {error}", HINT) from error


def _is_outdated(calibration: object) -> bool:
    """Whether cuts were fitted before the colour logits had a weight."""
    return isinstance(calibration, dict) and "hysteresis" not in calibration


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
    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor

    more = {"ignore_mismatched_sizes": True, **(settings or {})}
    model, found = pretrained(DeltaVLMForConditionalGeneration, folder, HINT, dtype, more)
    _refuse_misfits(folder, found)
    with opening_told(folder, HINT, "tokenizer"):
        processor = DeltaVLMProcessor.from_pretrained(folder)
    model.eval()
    keep_plain_settings(model, folder, HINT)
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
