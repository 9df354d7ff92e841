"""Names of files in rasters and options, made absolute: they start from a folder of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geochg.errors import ModelError, OptionError
from geochg.options import AnalyzeOptions

_ARCHIVES = re.compile(r"(?:/vsi(?:zip|tar|gzip|7z|rar|sparse|subfile)/(?:[\d_]+,)?\{?)+")
"""GDAL's prefixes of files within files on this machine."""

_SEPARATORS = re.compile(r"""([:"'?|])""")
"""What stands around the file in GDAL's names of a part of it: `NETCDF:"a.nc":Band1`."""

_ADDRESS = re.compile(r"(?:\w+:)?[a-zA-Z][a-zA-Z0-9+]*://")
"""How GDAL's names of what lies on a server begin; one within a file has a dot before `://`."""

_VRT = "vrt://"


class NamesFrom:
    """Makes names absolute that start from a folder.

    Args:
        folder: Absolute path of the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, path: str) -> str:
        """The absolute path of a file, which need not exist."""
        return path if Path(path).is_absolute() else str(self._folder / path)

    def raster(self, name: str) -> str:
        """GDAL's name of a raster, with the absolute path of its file."""
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
        """A text that may name a file: the absolute path if there is such a file."""
        is_name = bool(text) and text not in (".", "..") and not _SEPARATORS.fullmatch(text)
        return self.file(text) if is_name and self._is_there(text) else text

    def options(self, options: AnalyzeOptions) -> AnalyzeOptions:
        """Options whose areas, class files, models and adapters are named by absolute paths."""
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
        """An area of interest, or zones; only a text that names a file is changed."""
        file, mark, layer = aoi.partition("|")
        is_archive = _ARCHIVES.match(file) is not None
        return f"{self.raster(file) if is_archive else self.file_that_exists(file)}{mark}{layer}"

    def _model(self, reference: str) -> str:
        """A model as `NAME:SOURCE`; only a source that is a file or folder is changed."""
        from geochg.models.registry import source_of

        source = source_of(reference)
        return reference.removesuffix(source) + self.file_that_exists(source)

    def _is_there(self, path: str) -> bool:
        """Whether there is such a file."""
        return is_named_file(self._folder, path)


def is_named_file(folder: Path, path: str) -> bool:
    """Whether a path that starts from a folder leads to a file or folder."""
    try:
        return folder.joinpath(path).exists()
    except (OSError, ValueError):  # names that the system does not take, such as long ones
        return False
