"""The whole way from files to a layer: joins the stages and says how far it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Event as Flag
from typing import TYPE_CHECKING

from odc.geo.geobox import GeoBox

from geochg.events import Listener, ignore
from geochg.geometry.vector_file import file_of
from geochg.models.base import ChangeModel
from geochg.models.loading import check_classes, check_sensitivity, load_configured_model
from geochg.options import AnalyzeOptions
from geochg.pipeline.finish import ChangeResult, begin_journal, finish
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.series import (
    answer_spans,
    check_count,
    is_shown_together,
    placed_dates,
    runs_of,
    tell_series,
)
from geochg.pipeline.zones import zones_of_run
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.pair import tiles_of

if TYPE_CHECKING:
    from geochg.tiling.raster_input import RasterLike

__all__ = ["ChangeResult", "analyze", "analyze_series"]


def analyze(
    before: RasterLike,
    after: RasterLike,
    options: AnalyzeOptions | None = None,
    *,
    geobox: GeoBox | None = None,
    outputs: Outputs | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> ChangeResult:
    """Finds what changed between two rasters of one place.

    Args:
        before: The earlier raster: the name of anything that GDAL opens, with a CRS; an open
            rasterio dataset; a DataArray whose CRS and grid stand in its `spatial_ref`, as
            rioxarray and odc-geo write it; or a numpy array `(bands, y, x)`, whose masked pixels
            are not valid.
        after: The later raster.
        options: The options of the run; the defaults when None.
        geobox: Grid of the numpy arrays among the two.
        outputs: Files to write. They appear whole when the run is complete; until then a journal
            beside the first of them holds the finished tiles, for `options.resume`.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, the run stops at the next tile.
        model: The model that `load_configured_model` gives for these options; loaded when None.

    Returns:
        The features and the facts about the run.

    Raises:
        InputError: If a raster, the area or an output cannot be used.
        OptionError: If an option makes no sense for the pair.
        ModelError: If the model is unknown, broken or does not fit the pair.
        TilesFailedError: If tiles could not be read or answered and the options do not allow it,
            or too many in a row fail for good; nothing is written, the journal is kept.
        RunError: If the run fails otherwise.
        CancelledRunError: If it was cancelled; the journal is kept.
    """
    return analyze_series(
        (before, after),
        options,
        geobox=geobox,
        outputs=outputs,
        listener=listener,
        cancel=cancel,
        model=model,
    )


def analyze_series(
    images: Sequence[RasterLike],
    options: AnalyzeOptions | None = None,
    *,
    geobox: GeoBox | None = None,
    outputs: Outputs | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> ChangeResult:
    """Finds what changed between each two consecutive rasters of one place, and over all of them.

    Features have the dates between which they changed, `from_date` and `to_date`, and the number
    of the `step`, from 1; those of the whole, from the first date to the last, have no step.

    Args:
        images: The rasters, the earliest first, as `analyze` takes them. Two are a pair.
        options: The options of the run; the defaults when None.
        geobox: Grid of the numpy arrays among them.
        outputs: Files to write, as for `analyze`; a heatmap is of the whole.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, the run stops at the next tile.
        model: The model that `load_configured_model` gives for these options; loaded when None.

    Returns:
        The features and the facts about the run.

    Raises:
        InputError: If a raster, the area or an output cannot be used, or the images are not in the
            order of their dates.
        OptionError: If an option makes no sense for the series, or the model takes fewer dates.
        GeochgError: Otherwise as `analyze` does.
    """
    options, outputs = options or AnalyzeOptions(), outputs or Outputs()
    check_count(images)
    files = [file_of(text) for text in (options.aoi, options.zones) if text]
    names = [os.fspath(image) for image in images if isinstance(image, str | os.PathLike)]
    outputs.check([*names, *files], options)
    with gdal_settings():
        # What is wrong with the images is said before a model is loaded or asked.
        series = placed_dates(images, options, geobox)
        tiles_of(series.grid, options)
        zones = zones_of_run(options, series.grid, series.area, listener)
    model = model or load_configured_model(options)
    check_classes(options, model)
    check_sensitivity(options, model)
    together = is_shown_together(len(images), model.capabilities, options)
    with gdal_settings():
        runs = runs_of(series, options, outputs, model, listener, cancel or Flag())
        outputs.check([name for source in series.sources for name in source.files], options)
        between = series.sources[1:-1]
        with begin_journal(runs[-1], between, parts=len(runs)) as journal:
            if between and not journal.count():
                tell_series(series, model, listener, together=together)
            spans = answer_spans(series, runs, journal, together=together)
            result = finish(spans, series.sources, zones=zones, together=together)
            journal.remove()
    return result
