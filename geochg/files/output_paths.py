"""The paths that a run writes to, as one value."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from geochg.errors import OptionError


@dataclass(frozen=True)
class OutputPaths:
    """What classes of outputs share: each of their fields is a path, or None for no such output.

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
