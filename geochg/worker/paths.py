"""Names of files in requests, made absolute: only the worker knows the folder it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.pipeline.named_files import NamesFrom
from geochg.worker.messages import WRONG_PARAMETERS, MessageError


class RequestFolder(NamesFrom):
    """The folder that the relative paths of a request start from.

    Args:
        folder: Absolute path; None where the request names none, so that relative paths are
            refused. Whether a file is there is then seen from the worker's own folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder or Path.cwd())
        self._is_named = folder is not None

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> RequestFolder:
        """Reads the parameter `folder`, which may be left out.

        Raises:
            MessageError: If it is no absolute path.
        """
        value = parameters.get("folder")
        if value is None:
            return cls()
        if not isinstance(value, str) or "\0" in value or not Path(value).is_absolute():
            raise MessageError(
                WRONG_PARAMETERS, "parameter 'folder' does not fit", "give an absolute path"
            )
        return cls(Path(value))

    def file(self, path: str) -> str:
        """The absolute path of a file, which need not exist.

        Raises:
            MessageError: If it is relative and the request names no folder.
        """
        if not self._is_named and not Path(path).is_absolute():
            raise _relative(path)
        return super().file(path)


def _relative(path: str) -> MessageError:
    return MessageError(
        WRONG_PARAMETERS,
        f"{path!r} is a relative path",
        "name the whole path, or the folder it starts from as the parameter 'folder'",
    )
