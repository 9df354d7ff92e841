"""Finds the backends that are installed, ours and others', and loads the one that is named."""

import inspect
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from geochg.errors import ModelError
from geochg.extras import extras_named
from geochg.models.base import Capabilities, ChangeModel
from geochg.records import Task
from geochg.safety.untrusted_text import cleaned

GROUP = "geochg.models"
"""The entry-point group; each entry names a class derived from `ChangeModel`."""

_WRAPPER = "labels"
"""The backend whose source is another model."""

_SHOWN = (
    *("tasks", "location", "pixels", "bands", "surveys", "fewest_dates", "most_dates"),
    *("tasks_of_one", "streams", "clues", "asked_in_words", "batch_tiles"),
    *("classes", "free_classes"),
)
"""The capabilities that `geochg models --json` lists."""


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """One registered backend.

    Attributes:
        name: The name that `--model` takes.
        summary: One line; empty when broken.
        capabilities: The backend's capabilities; None when broken.
        broken: Why it cannot be used, one line; None when it can.
    """

    name: str
    summary: str
    capabilities: Capabilities | None
    broken: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The backend as plain JSON values; capabilities are null when broken."""
        return {
            "name": self.name,
            "summary": self.summary,
            "capabilities": shown_capabilities(self.capabilities) if self.capabilities else None,
            "broken": self.broken,
        }


class _BrokenBackendError(Exception):
    """A backend that cannot be used; its text is the one-line reason."""


def backends() -> list[BackendInfo]:
    """All registered backends by name; importing them loads nothing heavy (see `ChangeModel`)."""
    return [_backend_info(name, entries) for name, entries in sorted(_entries().items())]


def models_of_any_words() -> list[str]:
    """Names of the backends that take any words for classes."""
    return [
        backend.name
        for backend in backends()
        if backend.capabilities is not None and backend.capabilities.free_classes
    ]


def models_of_one_image(task: Task = Task.PRESENCE) -> list[str]:
    """Names of the backends that answer a task about a single image."""
    return [
        backend.name
        for backend in backends()
        if backend.capabilities is not None and task in backend.capabilities.tasks_of_one
    ]


def load_model(
    reference: str = "builtin", options: Mapping[str, Any] | None = None, device: str = "auto"
) -> ChangeModel:
    """Loads the model that `--model` names; imports no other backend.

    Args:
        reference: `name` or `name:source`.
        options: The backend's own options, as its `options_type.from_dict` takes them; its
            defaults when None.
        device: The device, as `ChangeModel.load` takes it.

    Raises:
        ModelError: If there is no such backend, it is broken, it refuses source or device, or the
            extra that brings its packages is not installed.
        OptionError: If the backend does not know an option, or refuses its value.
    """
    backend, source = find_backend(reference)
    with extras_named():
        return backend.load(source, backend.options_type.from_dict(options or {}), device)


def find_backend(reference: str) -> tuple[type[ChangeModel], str]:
    """The backend and the source of `--model`, `name` or `name:source`; loads nothing heavy.

    Raises:
        ModelError: If there is no such backend, or it is broken.
    """
    name, _, source = reference.partition(":")
    registered = _entries()
    if name not in registered:
        raise ModelError(
            f"there is no model {name!r}", f"models: {', '.join(sorted(registered)) or 'none'}"
        )
    try:
        return _backend(name, registered[name]), source
    except _BrokenBackendError as error:
        raise ModelError(
            f"the model {name!r} is broken: {error}",
            "repair or remove the package that brings it, or choose another model",
        ) from error


def source_of(reference: str) -> str:
    """The folder, hub id or address that `--model` names; that of the model within a wrapper.

    Args:
        reference: `name`, `name:source`, or `labels:name:source`.
    """
    name, _, source = reference.partition(":")
    return source_of(source) if name == _WRAPPER else source


def _entries() -> dict[str, list[EntryPoint]]:
    """The entry points by name; more than one where packages claim a name for different things."""
    entries: defaultdict[str, list[EntryPoint]] = defaultdict(list)
    for entry in entry_points(group=GROUP):
        if all(entry.value != other.value for other in entries[entry.name]):
            entries[entry.name].append(entry)
    return dict(entries)


def _backend_info(name: str, entries: list[EntryPoint]) -> BackendInfo:
    try:
        backend = _backend(name, entries)
    except _BrokenBackendError as error:
        return BackendInfo(name, "", None, str(error))
    return BackendInfo(name, backend.summary, backend.backend_capabilities)


def _backend(name: str, entries: list[EntryPoint]) -> type[ChangeModel]:
    """The class behind a name; `_BrokenBackendError` says why it cannot be used."""
    if len(entries) > 1:
        names = (f"{e.dist.name if e.dist else 'unknown'} ({e.value})" for e in entries)
        raise _BrokenBackendError(f"several packages bring it: {', '.join(sorted(names))}")
    try:
        backend = entries[0].load()
    # What a foreign package raises at import is unknown; it must not break the other backends.
    except Exception as error:
        text = f": {cleaned(error)}" if str(error) else ""
        raise _BrokenBackendError(f"{type(error).__name__}{text}") from error
    return _checked_class(name, backend)


def _checked_class(name: str, backend: object) -> type[ChangeModel]:
    if not (isinstance(backend, type) and issubclass(backend, ChangeModel)):
        raise _BrokenBackendError(f"{backend!r} is not a class derived from ChangeModel")
    missing = [
        name
        for name in ("name", "summary", "backend_capabilities", "options_type")
        if not hasattr(backend, name)
    ]
    if inspect.isabstract(backend):
        missing += sorted(backend.__abstractmethods__)
    if missing:
        raise _BrokenBackendError(f"{backend.__qualname__} does not define {', '.join(missing)}")
    if backend.name != name:
        raise _BrokenBackendError(f"{backend.__qualname__} calls itself {backend.name!r}")
    return backend


def shown_capabilities(capabilities: Capabilities) -> dict[str, Any]:
    """Capabilities as plain JSON values, those that `geochg models --json` lists."""
    values = {name: getattr(capabilities, name) for name in _SHOWN}
    return {
        name: sorted(map(str, value)) if isinstance(value, frozenset) else value
        for name, value in values.items()
    }
