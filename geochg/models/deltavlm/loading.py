"""Opens a model folder, and says what is wrong with one that cannot be opened."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.models.deltavlm.runtime.vision_output import SIDE_MULTIPLE_PX
from geochg.models.model_files import CONFIG, checksum, count_tensors, saved_json, weight_files
from geochg.models.model_settings import (
    check_generation,
    check_normalisation,
    check_settings,
    restrict_generation,
)
from geochg.models.pretrained import loading_errors, open_pretrained

if TYPE_CHECKING:
    import torch

    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor

NEEDED = (CONFIG, "generation_config.json", "tokenizer.json", "tokenizer_config.json")
"""Files of every model folder beside the weights."""

PARTS = ("vision_config", "qformer_config", "text_config")
"""Tables that each configuration holds."""

_CLASS = re.compile(r"[^\W\d_][\w -]{0,39}")

LARGE_PARAMETERS = 1_000_000_000
"""Models above this run in half precision on a GPU; smaller ones give the same everywhere."""

HINT = "a model folder is made by `geochg models convert deltavlm` or by training"


def check_folder(folder: Path) -> list[Path]:
    """The weights of a checked folder that holds a DeltaVLM.

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
            f"{folder} holds a compact DeltaVLM of an older geochg, which is no longer supported",
            "make it anew with `geochg train compact`, or tune the present built-in model",
        )
    files = weight_files(folder, HINT)
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise ModelError(f"{folder} has no {missing[0]}", HINT)
    _check_values(values, folder, files)
    check_generation(saved_json(folder / "generation_config.json", HINT), folder, HINT)
    return files


def _check_values(values: Mapping[str, Any], folder: Path, files: Sequence[Path]) -> None:
    """Refuses a configuration that makes no sense, by the setting."""
    if lacking := [name for name in PARTS if not isinstance(values.get(name), dict)]:
        raise ModelError(f"{folder / CONFIG} has no {lacking[0]}", HINT)
    check_settings(values, folder, count_tensors(files), HINT)
    check_normalisation(values, folder, HINT)
    for name in ("image_mean", "image_std"):
        if name in values and (not isinstance(values[name], list) or len(values[name]) != 3):
            raise ModelError(f"{folder / CONFIG} has no {name} of three bands", HINT)
    dense = values.get("dense_config")
    if isinstance(dense, dict) and _is_outdated(dense.get("calibration")):
        raise ModelError(
            f"{folder} was made by an older geochg, and its dense head is no longer supported",
            "make it anew with `geochg train compact`, or tune the built-in model again",
        )
    classes = dense.get("classes") if isinstance(dense, dict) else None
    if classes is not None and not are_classes(classes):
        raise ModelError(
            f"{folder / CONFIG} has classes that are not names, each listed once", HINT
        )
    check_calibration(dense.get("calibration") if isinstance(dense, dict) else None, folder)


def are_classes(names: object) -> bool:
    """Whether a value lists names of classes, each once."""
    if not isinstance(names, list) or not names:
        return False
    sound = all(isinstance(name, str) and _CLASS.fullmatch(name) for name in names)
    return sound and len(set(names)) == len(names)


def check_calibration(calibration: object, folder: Path) -> None:
    """Refuses a calibration that no fit gives.

    Raises:
        ModelError: If it makes no sense.
    """
    from geochg.models.deltavlm.calibration import Calibration

    try:
        if not isinstance(calibration, dict | None):
            raise TypeError("not a table")
        Calibration.from_dict(calibration)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the calibration in {folder} makes no sense: {error}", HINT) from error


def _is_outdated(calibration: object) -> bool:
    """Whether cuts were fitted before the colour logits had a weight."""
    return isinstance(calibration, dict) and "hysteresis" not in calibration


def export_fingerprint(folder: Path, weights: list[Path]) -> str:
    """`sha256:...` over the weights and the configuration that an export was made from."""
    config = json.dumps(saved_json(folder / CONFIG, HINT), sort_keys=True)
    return f"sha256:{hashlib.sha256((checksum(weights) + config).encode()).hexdigest()}"


def open_model(
    folder: Path, dtype: torch.dtype, device: str, settings: Mapping[str, Any] | None = None
) -> tuple[DeltaVLMForConditionalGeneration, DeltaVLMProcessor]:
    """Loads model and processor of a checked folder.

    Args:
        folder: See `check_folder`.
        dtype: Number type of the weights.
        device: The device of the model, unless the settings name it.
        settings: Further settings of `from_pretrained`, such as `quantised_settings`.

    Raises:
        ModelError: If weights are missing, left over, of other shapes, or not safetensors, or the
            dense head is meant for other feature maps.
    """
    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor

    model = open_pretrained(
        DeltaVLMForConditionalGeneration, folder, HINT, dtype, settings, is_exact=True
    )
    with loading_errors(folder, HINT, "tokenizer"):
        processor = DeltaVLMProcessor.from_pretrained(folder)
    model.eval()
    with loading_errors(folder, HINT):
        _check_stride(model, folder)
    restrict_generation(model, folder, HINT)
    return (model if settings else model.to(device)), processor


def _check_stride(model: DeltaVLMForConditionalGeneration, folder: Path) -> None:
    """Refuses a dense head whose `stride_px` is not that of the encoder's finest feature map."""
    import torch

    config, vision = model.config, model.vision
    if model.dense is None:
        return
    side_px = config.image_size if config.uses_vit else 2 * SIDE_MULTIPLE_PX
    weight = next(vision.parameters())
    image = torch.zeros(1, 3, side_px, side_px, dtype=weight.dtype, device=weight.device)
    with torch.inference_mode():
        stride_px = side_px // vision.maps(image, image)[1].shape[-1]
    if config.dense_config.stride_px != stride_px:
        raise ModelError(
            f"{folder} cannot be loaded: stride_px is {config.dense_config.stride_px}, but the "
            f"encoder's finest map has a pixel for {stride_px} pixels of an image",
            HINT,
        )


def weights_dtype(device: str, size_bytes: int) -> torch.dtype:
    """The number type in which weights of a size run on a device."""
    import torch

    large = size_bytes > 2 * LARGE_PARAMETERS
    if not (large and device.startswith("cuda")):
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
