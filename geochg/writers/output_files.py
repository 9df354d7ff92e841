"""The files that a run writes, as fields of a dataclass."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from geochg.errors import OptionError
from geochg.writers.layers import NAMED_SUFFIXES


@dataclass(frozen=True)
class OutputFiles:
    """Base of the files a run writes: each field is a path, or None where it is not asked for.

    Raises:
        OptionError: If an output is no path; texts are taken as paths.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            path = getattr(self, field.name)
            if not isinstance(path, str | os.PathLike | None):
                raise OptionError(
                    f"the output {field.name} cannot be a {type(path).__name__}", "give a path"
                )
            object.__setattr__(self, field.name, None if path is None else Path(path))

    def paths(self) -> list[Path]:
        """The files and folders that were asked for, each once."""
        return list(dict.fromkeys(path for path in vars(self).values() if path is not None))

    def to_dict(self) -> dict[str, str]:
        """The paths that were asked for by the names of their outputs, as texts."""
        return {name: str(path) for name, path in vars(self).items() if path is not None}


def check_has_layer(flag: str, layer: str, usual: str, path: Path | None) -> None:
    """Refuses a name of a layer that would stand nowhere.

    Args:
        flag: The flag that names the layer.
        layer: The name.
        usual: The name where the user gives none.
        path: The file of the layer; None where it is not asked for.

    Raises:
        OptionError: If a name is given, and the file has no place for it.
    """
    is_named = path is not None and path.suffix.lower() in NAMED_SUFFIXES
    if layer != usual and not is_named:
        raise OptionError(
            f"there is no place for the layer name {layer!r}",
            f"leave out {flag}, or write a layer of {' or '.join(NAMED_SUFFIXES)}",
        )
