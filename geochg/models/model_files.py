"""Reads the folders of saved models: JSON files and safetensors weights."""

import hashlib
import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.files.digest import sha256_of
from geochg.models.folder_checks import (
    MOST_SETTINGS_BYTES,
    check_model_folder,
    check_weight_name,
    shaping_files,
)
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
UNFINISHED = ".geochg-unfinished"
"""Lies in a folder of `geochg train` until all of it is written."""

PICKLES = ("*.bin", "*.pth", "*.pt", "*.pkl", "*.ckpt")
HINT = "download the model again"
_MOST_HEAD_BYTES = 100_000_000
"""The library of the format refuses longer heads."""


def saved_json(file: Path, hint: str = HINT) -> dict[str, Any]:
    """The object of a JSON file; an empty one where there is no file.

    Args:
        file: The path of the file.
        hint: Advice for the user where it is broken.

    Raises:
        ModelError: If it is not a JSON object.
    """
    if not file.is_file():
        return {}
    if file.stat().st_size > MOST_SETTINGS_BYTES:
        raise ModelError(f"{file} is too large for settings", hint)
    try:
        values = json.loads(
            file.read_text(encoding="utf-8"), parse_constant=_finite, parse_float=_finite
        )
    # RecursionError: nested deeper than anyone means to.
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not JSON: {cleaned(error)}", hint) from error
    if not isinstance(values, dict):
        raise ModelError(f"{file} holds no JSON object", hint)
    return values


def known_model_type(folder: Path, model_types: Collection[str], hint: str = HINT) -> str:
    """The `model_type` of a folder's `config.json`.

    Args:
        folder: The model's folder.
        model_types: The types that the backend can open.
        hint: Advice for the user where there is no `config.json`.

    Raises:
        ModelError: If there is no `config.json`, or it names another type.
    """
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder} has no {CONFIG}", hint)
    name = saved_json(folder / CONFIG, hint).get("model_type")
    if not isinstance(name, str) or name not in model_types:
        raise ModelError(
            f"{folder} holds a model of type {name!r}, which is not known here",
            f"known: {', '.join(sorted(model_types))}",
        )
    return name


def _finite(text: str) -> float:
    """A number of a JSON file, which knows none like `NaN`."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {text[:40]}, which is no finite number")
    return number


def weight_files(folder: Path, hint: str = HINT, unfinished_ok: bool = False) -> list[Path]:
    """The weights in their order.

    Args:
        folder: The model's folder.
        hint: Advice for the user where weights are missing.
        unfinished_ok: Whether the caller is the one who is still writing the folder.

    Raises:
        ModelError: If they are half written, there are none, only pickles, the index names files
            that are missing or not safetensors beside it, or as `check_model_folder`.
    """
    if not unfinished_ok and (folder / UNFINISHED).exists():
        raise ModelError(f"the model in {folder} is only half written", "make it again")
    check_model_folder(folder)
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        if pickles:
            raise ModelError(
                f"{folder / pickles[0]} is a pickle, which can run code; weights are read from "
                f"{WEIGHTS} only",
                hint,
            )
        raise ModelError(f"{folder} has no {WEIGHTS}", hint)
    names = saved_json(folder / WEIGHTS_INDEX, hint).get("weight_map")
    if not isinstance(names, dict):
        raise ModelError(f"{folder / WEIGHTS_INDEX} has no weight_map", hint)
    for name in names.values():
        check_weight_name(folder / WEIGHTS_INDEX, name)
    files = [folder / name for name in sorted(set(names.values()))]
    if missing := [path.name for path in files if not path.is_file()]:
        raise ModelError(f"{folder} has no {missing[0]}, which {WEIGHTS_INDEX} names", hint)
    return files


def checksum(files: Sequence[Path]) -> str:
    """`sha256:...` over files, one after the other."""
    return f"sha256:{sha256_of(files)}"


def fingerprint(folder: Path, weights: Sequence[Path]) -> str:
    """`sha256:...` over the weights and all else in a folder that shapes a model's answers.

    Args:
        folder: The model's folder; settings, vocabulary, chat template and exported files count.
        weights: See `weight_files`.
    """
    digest = hashlib.sha256(checksum(weights).encode())
    for path in shaping_files(folder):
        if path.name != WEIGHTS_INDEX:
            name = path.relative_to(folder).as_posix()
            digest.update(f"\n{name} {checksum([path])}".encode())
    return f"sha256:{digest.hexdigest()}"


def count_tensors(files: Sequence[Path]) -> int:
    """Number of tensors in some safetensors files; errors as `tensor_shapes`."""
    return sum(len(tensor_shapes(file)) for file in files)


def tensor_shapes(file: Path) -> dict[str, list[int]]:
    """Names and shapes of the tensors in a safetensors file, read off its head.

    Raises:
        ModelError: If it is no such file, or not whole.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as weights_file:
            length = int.from_bytes(weights_file.read(8), "little")
            if length > min(size - 8, _MOST_HEAD_BYTES):
                raise ValueError("there is no head of that length")
            head = json.loads(weights_file.read(length))
        head.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in head.values()), default=0)
        if 8 + length + end != size:
            raise ValueError("it has another size than its head says")
        return {name: [int(side) for side in tensor["shape"]] for name, tensor in head.items()}
    # RecursionError: nested deeper than any head.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"the weights in {file.parent} are no safetensors file: {file.name}", HINT
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its class where it has none."""
    lines = cleaned(error, LONGEST_TEXT, keep_lines=True).strip().splitlines()
    return cleaned(lines[0].rstrip(" :")) if lines else type(error).__name__
