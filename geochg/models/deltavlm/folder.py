"""Opens a model folder, and says what is wrong with one that cannot be opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError

if TYPE_CHECKING:
    import torch

    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
NEEDED = (CONFIG, "generation_config.json", "tokenizer.json", "tokenizer_config.json")
"""Files of every model folder beside the weights."""

PICKLES = ("*.bin", "*.pth", "*.pt", "*.pkl", "*.ckpt")
HINT = "a model folder is made by `geochg models convert deltavlm` or by training"
_BLOCK_BYTES = 1 << 20


def weight_files(folder: Path) -> list[Path]:
    """The weights in their order.

    Raises:
        ModelError: If there are none, only pickles, or the index names files that are missing.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        if pickles:
            raise ModelError(
                f"{folder / pickles[0]} is a pickle, which can run code; weights are read from "
                f"{WEIGHTS} only",
                HINT,
            )
        raise ModelError(f"{folder} has no {WEIGHTS}", HINT)
    index = read_json(folder / WEIGHTS_INDEX)
    names = index.get("weight_map")
    if not isinstance(names, dict):
        raise ModelError(f"{folder / WEIGHTS_INDEX} has no weight_map", HINT)
    files = [folder / name for name in sorted(set(names.values()))]
    if missing := [path.name for path in files if not path.is_file()]:
        raise ModelError(f"{folder} has no {missing[0]}, which {WEIGHTS_INDEX} names", HINT)
    return files


def check_folder(folder: Path) -> list[Path]:
    """The weights of a folder that has all its files and says it holds a DeltaVLM.

    Raises:
        ModelError: If a file is missing or the folder is of another model.
    """
    if not (folder / CONFIG).is_file():
        weight_files(folder)
        raise ModelError(f"{folder} has no {CONFIG}", HINT)
    kind = read_json(folder / CONFIG).get("model_type")
    if kind != "deltavlm":
        raise ModelError(f"{folder} holds a model of type {kind!r}, not 'deltavlm'", HINT)
    files = weight_files(folder)
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise ModelError(f"{folder} has no {missing[0]}", HINT)
    return files


def checksum(files: list[Path]) -> str:
    """`sha256:...` over the weights files, one after the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def fingerprint(folder: Path, weights: list[Path]) -> str:
    """`sha256:...` over the weights and the configuration: what an export was made from.

    Args:
        folder: Whose configuration counts.
        weights: See `weight_files`.
    """
    config = json.dumps(read_json(folder / CONFIG), sort_keys=True)
    return f"sha256:{hashlib.sha256((checksum(weights) + config).encode()).hexdigest()}"


def open_model(
    folder: Path, dtype: torch.dtype, device: str
) -> tuple[DeltaVLMForConditionalGeneration, DeltaVLMProcessor]:
    """Loads model and processor of a checked folder.

    Raises:
        ModelError: If weights are missing, left over, of other shapes, or not safetensors.
    """
    from safetensors import SafetensorError

    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor

    try:
        with _without_progress_bars():
            loaded: Any = DeltaVLMForConditionalGeneration.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except SafetensorError as error:
        raise ModelError(
            f"the weights in {folder} are no safetensors file: {error}", HINT
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded: {_first_line(error)}", HINT) from error
    model, found = loaded
    _refuse_misfits(folder, found)
    try:
        processor = DeltaVLMProcessor.from_pretrained(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"the tokenizer in {folder} is broken: {_first_line(error)}", HINT
        ) from error
    model.eval()
    return model.to(device), processor


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keeps transformers from drawing bars over the run's own progress."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


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


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ModelError: If there is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not JSON", HINT) from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a JSON object", HINT)
    return value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
