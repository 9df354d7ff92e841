"""What whoever started the server allows calls to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from geochg.errors import OptionError
from geochg.files.remote_files import is_remote
from geochg.mcp_server.contents import check_files, check_raster, check_shapes
from geochg.mcp_server.folders import AllowedFolders
from geochg.models.endpoint.client import is_this_machine
from geochg.models.registry import source_of
from geochg.options import AnalyzeOptions
from geochg.safety.untrusted_text import without_secrets

LOCAL_MODELS = ("builtin", "irmad", "cva", "radar")
"""Models that come with geochg and ask nobody; any call may name them."""


@dataclass(frozen=True)
class Grants:
    """The folders, models and names that calls may use.

    Attributes:
        folders: The folders that files are read from and written to.
        options: The options that every run starts from.
        models: Models by the names that calls use, which hold no secrets.
        rasters: Names of GDAL's that may be given as a raster, exactly so.
        network: Whether calls may ask the known catalogues of scenes.
    """

    folders: AllowedFolders
    options: AnalyzeOptions
    models: dict[str, str]
    rasters: frozenset[str]
    network: bool = False

    @classmethod
    def of(
        cls,
        folders: Sequence[Path],
        options: AnalyzeOptions,
        models: Sequence[str] = (),
        rasters: Sequence[str] = (),
        *,
        network: bool = False,
    ) -> Grants:
        """The grants of a server.

        Args:
            folders: The folders.
            options: The options that every run starts from; their model may be named too.
            models: Further models, as `--model` takes them.
            rasters: Names of GDAL's, such as addresses.
            network: Whether calls may ask the known catalogues of scenes.

        Raises:
            InputError: If a folder is none.
        """
        names = dict.fromkeys((options.model, *LOCAL_MODELS, *models))
        return cls(
            AllowedFolders(folders),
            # What geochg did not write is never replaced, whatever a file of options says.
            replace(options, overwrite=False, resume=False),
            {without_secrets(name): name for name in names},
            frozenset(rasters),
            network,
        )

    @property
    def reaches_out(self) -> bool:
        """Whether a raster or a model that calls may name may lie on another machine."""
        models = (*self.models.values(), self.options.clue_model)
        return any(map(is_remote, self.rasters)) or any(map(_may_ask_others, models))

    def raster(self, name: str) -> str:
        """The name by which GDAL opens a raster that a call names.

        Raises:
            InputError: If calls may not name it.
        """
        if name in self.rasters:
            return name
        path = self.folders.file(name)
        check_raster(path, self.folders)
        from geochg.pipeline.describe import raster_files

        check_files(path, raster_files(str(path)), self.folders)
        return str(path)

    def shapes(self, name: str) -> str:
        """A vector file that a call names, with its layer.

        Args:
            name: `FILE`, `FILE|layername=NAME` or `FILE|layerid=NUMBER`.

        Raises:
            InputError: If calls may not name it.
            OptionError: If something else stands behind the file.
        """
        file, mark, layer = name.partition("|")
        if mark and ("|" in layer or not layer.lower().startswith(("layername=", "layerid="))):
            raise OptionError(
                f"{layer!r} behind {file} names no layer", "write it as FILE|layername=NAME"
            )
        path = self.folders.file(file)
        check_shapes(path, self.folders)
        return f"{path}{mark}{layer}"

    def model(self, name: str) -> str:
        """The model that a call names.

        Raises:
            OptionError: If calls may not name it.
        """
        if name not in self.models:
            raise OptionError(
                f"calls may not use the model {without_secrets(name)!r}",
                f"models: {', '.join(self.models)}; others go when the server is started with"
                " --allow-model NAME",
            )
        return self.models[name]


def _may_ask_others(model: str) -> bool:
    """Whether a model, `NAME:SOURCE`, may ask another machine, be it once for its files."""
    source = source_of(model)
    if "://" in source:
        return not is_this_machine(source)
    return bool(source) and not Path(source).expanduser().exists()
