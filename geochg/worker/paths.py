"""Names of files in requests, made absolute: only the worker knows the folder it runs in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geochg.errors import ModelError, OptionError
from geochg.options import AnalyzeOptions
from geochg.worker.messages import WRONG_PARAMETERS, MessageError

_ARCHIVES = re.compile(r"(?:/vsi(?:zip|tar|gzip|7z|rar|sparse|subfile)/(?:[\d_]+,)?\{?)+")
"""GDAL's prefixes of files within files on this machine."""

_SEPARATORS = re.compile(r"""([:"'?|])""")
"""What stands around the file in GDAL's names of a part of it: `NETCDF:"a.nc":Band1`."""

_ADDRESS = re.compile(r"(?:\w+:)?[a-zA-Z][a-zA-Z0-9+]*://")
"""How GDAL's names of what lies on a server begin; one within a file has a dot before `://`."""

_VRT = "vrt://"


class RequestFolder:
    """The folder that the relative paths of a request start from.

    Args:
        folder: Absolute path; None where the request names none, so that relative paths are
            refused.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

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
        if Path(path).is_absolute():
            return path
        if self._folder is None:
            raise _relative(path)
        return str(self._folder / path)

    def raster(self, name: str) -> str:
        """GDAL's name of a raster, with the absolute path of its file.

        Raises:
            MessageError: If it is relative and the request names no folder.
        """
        if name.startswith(_VRT):
            path, mark, settings = name[len(_VRT) :].partition("?")
            return f"{_VRT}{self.raster(path)}{mark}{settings}"
        if archive := _ARCHIVES.match(name):
            return name[: archive.end()] + self.raster(name[archive.end() :])
        # On Windows, GDAL's own file systems are not absolute to pathlib.
        is_elsewhere = name.lstrip().startswith(("<", "/vsi")) or _ADDRESS.match(name.lstrip())
        if Path(name).is_absolute() or is_elsewhere:
            return name
        if ":" in name and not self._is_there(name):
            return "".join(map(self.file_that_exists, _SEPARATORS.split(name)))
        return self.file(name)

    def file_that_exists(self, text: str) -> str:
        """A text that may name a file: the absolute path if there is such a file.

        Raises:
            MessageError: If it is relative and the request names no folder.
        """
        is_name = bool(text) and text not in (".", "..") and not _SEPARATORS.fullmatch(text)
        return self.file(text) if is_name and self._is_there(text) else text

    def options(self, options: AnalyzeOptions) -> AnalyzeOptions:
        """Options whose areas, class files, models and adapters are named by absolute paths.

        Raises:
            MessageError: If one is relative and the request names no folder.
        """
        return replace(
            options,
            aoi=options.aoi and self.area(options.aoi),
            zones=options.zones and self.area(options.zones),
            model=self._model(options.model),
            classes_file=options.classes_file and self.file(options.classes_file),
            clue_model=self._model(options.clue_model),
            model_options=self._model_options(options.model, options.model_options),
            clue_options=self._model_options(options.clue_model, options.clue_options),
        )

    def _model_options(self, model: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a model, those that name files with absolute paths."""
        if not options:
            return {}
        from geochg.models.registry import find_backend

        try:
            specs = find_backend(model)[0].options_type.specs()
        except (ModelError, OptionError):  # told when the model is loaded
            return dict(options)
        paths = {spec.name for spec in specs if spec.facts.is_path}
        return {
            name: self.file(value) if name in paths and value and isinstance(value, str) else value
            for name, value in options.items()
        }

    def area(self, aoi: str) -> str:
        """An area of interest, or zones; only a text that names a file is changed.

        Raises:
            MessageError: If it is relative and the request names no folder.
        """
        file, mark, layer = aoi.partition("|")
        is_archive = _ARCHIVES.match(file) is not None
        return f"{self.raster(file) if is_archive else self.file_that_exists(file)}{mark}{layer}"

    def _model(self, reference: str) -> str:
        """A model as `NAME:SOURCE`; only a source that is a file or folder is changed."""
        name, mark, source = reference.partition(":")
        return f"{name}{mark}{self.file_that_exists(source)}"

    def _is_there(self, path: str) -> bool:
        """Whether there is such a file; the worker's own folder counts where none is named."""
        try:
            return (self._folder or Path.cwd()).joinpath(path).exists()
        except (OSError, ValueError):  # names that the system does not take, such as long ones
            return False


def _relative(path: str) -> MessageError:
    return MessageError(
        WRONG_PARAMETERS,
        f"{path!r} is a relative path",
        "name the whole path, or the folder it starts from as the parameter 'folder'",
    )
