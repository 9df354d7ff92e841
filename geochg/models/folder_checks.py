"""Checks that a model folder brings in no code, weights or files that nobody asked for.

The libraries beneath follow what settings name: an adapter that lies there, attention kernels of a
hub, weights under another name. The checksum must cover all that is loaded.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from geochg.errors import ModelError

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
"""transformers puts an adapter on the model whose folder holds these, without being asked."""

ATTENTION = frozenset({"eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3"})
"""Implementations of attention that are part of transformers and torch, or installed."""

MOST_SETTINGS_BYTES = 1 << 28
"""No file of settings or words is larger."""

_MOST_FILES = 100_000
_SHAPING = frozenset(
    {".json", ".jinja", ".txt", ".model", ".tiktoken", ".vocab", ".onnx"}
    | {".spm", ".codes", ".bpe", ".tokenizer"}
)
"""Suffixes of the files that shape what a model says: settings, words, templates, exports."""

_HINT = "download the model again from where you trust it, or take that out"
_ATTENTION_KEYS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")


def check_model_folder(folder: Path) -> None:
    """Refuses a folder whose settings bring in what nobody named.

    Raises:
        ModelError: If an adapter lies there, or `config.json` names attention kernels, other
            weights or code to be fetched, or is nested too deep, or a file is far too large, or
            as `shaping_files`.
    """
    for name in ADAPTER_FILES:
        if (folder / name).exists():
            raise ModelError(
                f"an adapter that nobody named lies in the model folder: {folder / name}",
                "move its files to a folder of their own and name that with --adapter",
            )
    for path in shaping_files(folder):
        if path.suffix != ".onnx" and path.stat().st_size > MOST_SETTINGS_BYTES:
            raise ModelError(f"{path} is too large for settings or a vocabulary", _HINT)
    file = folder / "config.json"
    if not file.is_file():
        return
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        members = list(_members(settings))
    # The reader of a broken file reports it; numbers of thousands of digits are ValueErrors too.
    except (OSError, ValueError):
        return
    except RecursionError as error:
        raise ModelError(f"{file} is nested too deep", _HINT) from error
    for name, value in members:
        _check_member(file, name, value)


def shaping_files(folder: Path) -> list[Path]:
    """All files of a model folder beside its weights that shape what the model says, sorted.

    Folders that are links count, each once: libraries follow them. Pipes, devices and links that
    lead nowhere do not: nothing is read from them.

    Raises:
        ModelError: If the folder holds far more files than any model does.
    """
    files: list[Path] = []
    seen_files: set[str] = set()
    count = 0
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen_files:
            folders.clear()
            continue
        seen_files.add(real)
        folders.sort()
        count += len(names)
        if count > _MOST_FILES:
            raise ModelError(
                f"{folder} holds more than {_MOST_FILES:,} files", "name a model folder"
            )
        paths = (Path(root, name) for name in names)
        files += [path for path in paths if path.suffix in _SHAPING and path.is_file()]
    return sorted(files)


def check_weight_name(index: Path, name: object) -> None:
    """Refuses a file that an index of weights names, unless it is safetensors beside it.

    Raises:
        ModelError: If it is no safetensors file, or lies elsewhere.
    """
    plain = isinstance(name, str) and Path(name).name == name and "\\" not in name
    if not plain or not str(name).endswith(".safetensors"):
        raise ModelError(
            f"{index} names {name!r}, and weights are read from safetensors beside it only", _HINT
        )


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Each member of an object, at any depth."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name, inner
            yield from _members(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _members(inner)


def _is_reference(value: object) -> bool:
    """Whether a value may refer to something; sizes of a network's kernels do not."""
    sizes = isinstance(value, list) and all(type(size) is int for size in value)
    return bool(value) and not sizes


def _check_member(file: Path, name: str, value: object) -> None:
    if name in _ATTENTION_KEYS:
        for attention in value.values() if isinstance(value, Mapping) else [value]:
            # A list or an object is no name, and a set cannot even be asked for it.
            is_known = attention is None or (isinstance(attention, str) and attention in ATTENTION)
            if not is_known:
                raise ModelError(
                    f"{file} asks for the attention {attention!r} ({name}), which is fetched or "
                    "not known",
                    f"one of {', '.join(sorted(ATTENTION))}, or none",
                )
    elif name == "transformers_weights" and value is not None:
        raise ModelError(f"{file} names other weights ({name}: {value!r})", _HINT)
    elif name in ("kernels", "use_kernels", "kernel_config", "hub_kernels") and _is_reference(
        value
    ):
        raise ModelError(f"{file} asks for kernels ({name}), which would be fetched", _HINT)
    elif name.endswith("_implementation") and isinstance(value, str) and set(value) & set("/@:"):
        raise ModelError(f"{file} asks for code to be fetched ({name}: {value!r})", _HINT)
