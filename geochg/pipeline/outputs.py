"""The files a run writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geochg.errors import OptionError
from geochg.files.new_files import check_file_name
from geochg.options import CHANGES_LAYER, TILES_LAYER, AnalyzeOptions
from geochg.report.contents import REPORT_SUFFIXES
from geochg.writers.checks import Output, check_outputs
from geochg.writers.cog import COG_SUFFIXES
from geochg.writers.layers import LAYER_SUFFIXES
from geochg.writers.output_files import OutputFiles, check_has_layer
from geochg.writers.tables import TABLE_SUFFIXES

TABLES = ("table", "zones_table")
"""Names of the outputs that are tables."""


@dataclass(frozen=True)
class Outputs(OutputFiles):
    """The files a run writes; each is optional.

    Attributes:
        features: The change layer; its suffix chooses the format.
        tiles: A layer of one feature a tile; may be in the same GeoPackage.
        heatmap: The probability of change as a Cloud-Optimised GeoTIFF, which lies as the before
            raster does.
        table: Numbers and areas of changes by class, direction and land cover at both dates, and
            by zone where there are zones, `.csv`.
        zones_table: Numbers and areas of changes by zone, class and direction, `.csv`.
        report: A page that shows the result, `.html`.

    Raises:
        OptionError: If an output is no path; texts are taken as paths.
    """

    features: Path | None = None
    tiles: Path | None = None
    heatmap: Path | None = None
    table: Path | None = None
    zones_table: Path | None = None
    report: Path | None = None

    def check(
        self, inputs: Iterable[str], options: AnalyzeOptions, usual_layer: str = CHANGES_LAYER
    ) -> None:
        """Refuses outputs that could not be written at the end, or not without loss.

        Args:
            inputs: Names of all files that the run reads.
            options: Options that name the layers, and say whether files and layers that geochg did
                not write may be replaced.
            usual_layer: The name of the layer of features where the user gives none.

        Raises:
            InputError: If a name is none that file systems take, a folder is missing or not
                writable, a file is an input or twice, or something lies there that geochg did not
                write.
            OptionError: If a suffix is not known, or a format has no place for a layer's name.
        """
        for path in self.paths():
            check_file_name(path)
        wanted_files = []
        if self.features is not None:
            wanted_files.append(Output(self.features, LAYER_SUFFIXES, options.layer))
        if self.tiles is not None:
            wanted_files.append(Output(self.tiles, LAYER_SUFFIXES, options.tiles_layer))
        if self.heatmap is not None:
            wanted_files.append(Output(self.heatmap, COG_SUFFIXES))
        for table in (self.table, self.zones_table):
            if table is not None:
                wanted_files.append(Output(table, TABLE_SUFFIXES))
        if self.report is not None:
            wanted_files.append(Output(self.report, REPORT_SUFFIXES))
        check_outputs(wanted_files, [Path(name) for name in inputs], overwrite=options.overwrite)
        if self.zones_table is not None and not options.zones:
            raise OptionError("a table of zones needs zones", "name their file with --zones")
        if options.zone_name and not options.zones:
            raise OptionError("a name of zones needs zones", "name their file with --zones")
        check_has_layer("--layer", options.layer, usual_layer, self.features)
        check_has_layer("--tiles-layer", options.tiles_layer, TILES_LAYER, self.tiles)
