"""The files that a series writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geochg.errors import InputError
from geochg.extras import require_packages
from geochg.files.new_files import check_file_name
from geochg.report.contents import REPORT_SUFFIXES
from geochg.timeseries.observation_table import TABLE_SUFFIXES
from geochg.timeseries.options import BREAKS_LAYER, SeriesOptions
from geochg.writers.checks import Output, check_existing, check_outputs
from geochg.writers.layers import LAYER_SUFFIXES
from geochg.writers.output_files import OutputFiles, check_has_layer


@dataclass(frozen=True)
class SeriesOutputs(OutputFiles):
    """The files that a series writes; each is optional.

    Attributes:
        features: The layer of breaks; its suffix chooses the format.
        observations: The table of what was observed, CSV or Parquet.
        plots: A folder of one PNG a zone, or a feature; it is new, or holds plots of geochg.
        report: A page with the features, the dates and the charts, `.html`.

    Raises:
        OptionError: If an output is no path; texts are taken as paths.
    """

    features: Path | None = None
    observations: Path | None = None
    plots: Path | None = None
    report: Path | None = None

    def check(self, inputs: Iterable[str], options: SeriesOptions) -> None:
        """Refuses outputs that could not be written at the end, or not without loss.

        Args:
            inputs: Names of all files that the run reads.
            options: Options that name the layer, and say what may be replaced.

        Raises:
            InputError: As `check_outputs`, or if the plots cannot lie where they shall.
            OptionError: If a suffix is not known, or a format has no place for a layer's name.
        """
        for path in self.paths():
            check_file_name(path)
        wanted_files = []
        if self.features is not None:
            wanted_files.append(Output(self.features, LAYER_SUFFIXES, options.layer))
        if self.observations is not None:
            wanted_files.append(Output(self.observations, TABLE_SUFFIXES))
        if self.report is not None:
            wanted_files.append(Output(self.report, REPORT_SUFFIXES))
        check_outputs(wanted_files, [Path(name) for name in inputs], overwrite=options.overwrite)
        check_has_layer("--layer", options.layer, BREAKS_LAYER, self.features)
        if self.plots is not None:
            _check_plots(self.plots, overwrite=options.overwrite)


def _check_plots(folder: Path, *, overwrite: bool) -> None:
    require_packages("series", "matplotlib")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file", "name a folder for the plots")
    if not folder.resolve().parent.is_dir():
        raise InputError(f"the folder {folder.resolve().parent} does not exist", "create it first")
    for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.png")):
        check_existing(Output(path, ()), overwrite=overwrite)
