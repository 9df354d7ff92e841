"""The files a run writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geochg.file_names import check_file_name
from geochg.writers.heatmap import HEATMAP_SUFFIXES
from geochg.writers.layers import LAYER_SUFFIXES
from geochg.writers.staging import Output, check_outputs


@dataclass(frozen=True)
class Outputs:
    """The files a run writes; each is optional.

    Attributes:
        features: The change layer; its suffix chooses the format.
        tiles: A layer of one feature a tile.
        heatmap: The probability of change on the grid, a Cloud-Optimised GeoTIFF.
    """

    features: Path | None = None
    tiles: Path | None = None
    heatmap: Path | None = None

    def paths(self) -> list[Path]:
        """Those that were asked for."""
        return [path for path in (self.features, self.tiles, self.heatmap) if path is not None]

    def check(self, inputs: Iterable[str]) -> None:
        """Refuses outputs that could not be written at the end, or would overwrite an input.

        Raises:
            InputError: If a name is none that file systems take, a folder is missing or not
                writable, or a file is an input or twice.
            OptionError: If a suffix is not known.
        """
        for path in self.paths():
            check_file_name(path)
        layers = [path for path in (self.features, self.tiles) if path is not None]
        rasters = [self.heatmap] if self.heatmap is not None else []
        wanted = [Output(path, LAYER_SUFFIXES) for path in layers]
        wanted += [Output(path, HEATMAP_SUFFIXES) for path in rasters]
        check_outputs(wanted, [Path(name) for name in inputs])
