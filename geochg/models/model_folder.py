"""What a folder with a model or an adapter holds and can do, told without loading its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.models import adapters
from geochg.models.base import Capabilities, ChangeModel
from geochg.models.model_files import CONFIG, saved_json, tensor_shapes, weight_files
from geochg.models.registry import backends, find_backend, shown_capabilities
from geochg.models.trees.card import GRAPH_FILE, TreesCard
from geochg.models.trees.ensemble import TreeEnsemble
from geochg.models.vlm.code_elsewhere import refuse_code_elsewhere
from geochg.safety.untrusted_text import cleaned

TREES = "trees"
"""The backend whose folders hold no configuration but a card."""

ADAPTER = "adapter"
"""The kind of a folder that holds an adapter."""

_CARD = "card.json"
_BASES = ("builtin", "deltavlm", "vlm")
"""Backends whose models take adapters."""

_MOST_NAMES = 3
_MOST_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder with a model or an adapter.

    Attributes:
        path: The folder.
        kind: Name of the backend, or `adapter`.
        model_type: The `model_type` of its configuration; empty for adapters.
        summary: What the backend is, one line; empty for adapters.
        model: The value of `--model` that uses it; for an adapter its base model, empty where the
            folder does not tell one.
        options: Options of the model that it needs, such as `adapter`.
        capabilities: What it can do; None where that cannot be told.
        parameters: Number of its weights, of an adapter those that it adds.
        size_bytes: Size of its weights.
        broken: Why it cannot be used, and what to do about it; None when it can.
    """

    path: Path
    kind: str
    model_type: str
    summary: str
    model: str
    options: dict[str, str]
    capabilities: Capabilities | None = None
    parameters: int = 0
    size_bytes: int = 0
    broken: ModelError | None = None

    def to_dict(self) -> dict[str, Any]:
        """The folder as plain JSON values; what cannot be told is null."""
        capabilities = self.capabilities
        classes = None if capabilities is None else list(capabilities.classes)
        broken = self.broken
        return {
            "path": str(self.path),
            "kind": self.kind,
            "model_type": self.model_type,
            "summary": self.summary,
            "model": self.model,
            "options": self.options,
            "capabilities": None if capabilities is None else shown_capabilities(capabilities),
            "classes": classes,
            "parameters": self.parameters,
            "size_bytes": self.size_bytes,
            "broken": broken and {"message": broken.message, "hint": broken.hint},
        }


def inspect_model_folder(path: Path) -> ModelFolder:
    """What a folder holds: a model that an installed backend opens, or an adapter.

    Raises:
        ModelError: If it holds neither.
    """
    path = path.expanduser()
    if not path.is_dir():
        state = "is a file, not a folder" if path.exists() else "is not there"
        raise ModelError(f"{path} {state}", "choose the folder of a model")
    if (path / adapters.CONFIG).is_file() and not (path / CONFIG).is_file():
        return _inspect_adapter(path)
    if (path / GRAPH_FILE).is_file() and not (path / CONFIG).is_file():
        return _inspect_trees(path)
    if not (path / CONFIG).is_file():
        raise ModelError(f"{path} is no model folder: it has no {CONFIG}", _hint(path))
    model_type = saved_json(path / CONFIG).get("model_type")
    backend = _backend_for(model_type)
    if backend is None:
        refuse_code_elsewhere(path)
        shown_type = cleaned(str(model_type), 60)
        raise ModelError(
            f"{path} holds a model of type {shown_type!r}, which no installed backend opens",
            f"known: {', '.join(_known_types())}",
        )
    model = f"{backend.name}:{path}"
    folder = ModelFolder(path, backend.name, str(model_type), backend.summary, model, {})
    try:
        capabilities = backend.inspect_folder(path)
        parameters, size_bytes = _size(weight_files(path))
        return replace(
            folder, capabilities=capabilities, parameters=parameters, size_bytes=size_bytes
        )
    except ModelError as error:
        return replace(folder, broken=error)


def _inspect_trees(path: Path) -> ModelFolder:
    backend, _ = find_backend(TREES)
    folder = ModelFolder(path, TREES, "", backend.summary, f"{TREES}:{path}", {})
    try:
        card = TreesCard.read(path)
        TreeEnsemble.open(path, card)
    except ModelError as error:
        return replace(folder, broken=error)
    size_bytes = (path / GRAPH_FILE).stat().st_size
    return replace(folder, capabilities=backend.backend_capabilities, size_bytes=size_bytes)


def _inspect_adapter(path: Path) -> ModelFolder:
    options = {"adapter": str(path)}
    folder = ModelFolder(path, ADAPTER, "", "", "", options)
    try:
        adapters.adapter_folder(str(path))
        parameters, size_bytes = _size([path / adapters.WEIGHTS])
        folder = replace(folder, parameters=parameters, size_bytes=size_bytes)
        model, capabilities = _base_of(path)
        return replace(folder, model=model, capabilities=capabilities)
    except ModelError as error:
        return replace(folder, broken=error)


def _base_of(path: Path) -> tuple[str, Capabilities | None]:
    """The value of `--model` for the base of an adapter, and what that can do.

    Raises:
        ModelError: If the base is a folder that cannot be used.
    """
    card, settings = saved_json(path / _CARD), saved_json(path / adapters.CONFIG)
    card_base = card.get("base")
    name = card_base.get("model") if isinstance(card_base, dict) else None
    reference = str(name or settings.get("base_model_name_or_path") or "")
    backend, _, source = reference.partition(":")
    if backend not in _BASES:
        # Adapters of others name the folder of their base, or a hub id of which nothing is known.
        return _inspect_base(Path(reference)) if Path(reference).is_absolute() else ("", None)
    if source and Path(source).is_absolute():
        return _inspect_base(Path(source))
    is_hub_id = source.count("/") == 1 and not source.startswith((".", "~"))
    if bool(source) != (backend != "builtin") or (source and not is_hub_id):
        return "", None
    return reference, find_backend(backend)[0].backend_capabilities


def _inspect_base(path: Path) -> tuple[str, Capabilities | None]:
    """The model in the folder of a base, which must be one that takes adapters."""
    if not (path / CONFIG).is_file():
        raise ModelError(
            f"the base model of this adapter is not there: {path}",
            "put it there, or make the adapter anew with a base that is here",
        )
    base = inspect_model_folder(path)
    if base.kind not in _BASES:
        raise ModelError(f"{path}, the base of this adapter, takes none", "make it anew")
    if base.broken:
        raise base.broken
    return base.model, base.capabilities


def _size(files: list[Path]) -> tuple[int, int]:
    """Parameters and bytes of weights, read off the heads of their files."""
    shapes = [shape for file in files for shape in tensor_shapes(file).values()]
    return sum(map(prod, shapes)), sum(file.stat().st_size for file in files)


def _backend_for(model_type: object) -> type[ChangeModel] | None:
    """The installed backend that opens a type of model."""
    for backend in _usable_backends():
        if isinstance(model_type, str) and model_type in backend.folder_types:
            return backend
    return None


def _usable_backends() -> list[type[ChangeModel]]:
    return [find_backend(info.name)[0] for info in backends() if not info.broken]


def _known_types() -> list[str]:
    return sorted({name for backend in _usable_backends() for name in backend.folder_types})


def _hint(path: Path) -> str:
    """What to choose in place of a folder without a model: the models that lie in it."""
    names = []
    for _, entry in zip(range(_MOST_ENTRIES), path.iterdir(), strict=False):
        if any((entry / name).is_file() for name in (CONFIG, adapters.CONFIG)):
            names.append(cleaned(entry.name, 60))
    if not names:
        return f"choose a folder with {CONFIG} and weights, or with {adapters.CONFIG}"
    first_names = ", ".join(sorted(names)[:_MOST_NAMES])
    rest = ", ..." if len(names) > _MOST_NAMES else ""
    return f"choose one of the folders in it: {first_names}{rest}"
