"""Many dates of one place: from the images to a layer of the places that broke."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from geochg import __version__
from geochg.errors import CancelledRunError, InputError
from geochg.events import Listener, Notice, Progress, ignore
from geochg.geometry.vector_file import file_of
from geochg.report.contents import ReportContents
from geochg.report.of_run import contents_of_run
from geochg.report.page import report_page
from geochg.safety.untrusted_text import storable
from geochg.tiling.gdal import gdal_settings
from geochg.timeseries.break_features import BlockFeatures, block_features, zone_features
from geochg.timeseries.break_table import BREAK, Breaks
from geochg.timeseries.breaks import find_breaks
from geochg.timeseries.charts import PlaceChart, charted_features, place_charts
from geochg.timeseries.date_covers import DateCovers, open_covers
from geochg.timeseries.images import SeriesImages, open_images
from geochg.timeseries.observation_table import write_observations
from geochg.timeseries.observe import ObservedSeries, Observer
from geochg.timeseries.options import SeriesOptions
from geochg.timeseries.outputs import SeriesOutputs
from geochg.timeseries.place_observations import (
    DateQuality,
    PlaceObservations,
    room,
    watched_columns,
)
from geochg.timeseries.place_table import PlaceTable, place_table, status_counts
from geochg.timeseries.places import Blocks, ZonePlaces, places_of, unseen_zones
from geochg.timeseries.report_parts import figures_of, report_title, shown_sources
from geochg.writers.layer_metadata import grid_facts
from geochg.writers.layers import write_frames
from geochg.writers.staging import Staging

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray

    from geochg.tiling.raster_input import RasterLike

_CHUNK_PLACES = 20_000


@dataclass(frozen=True, eq=False)
class SeriesResult:
    """The result of a series.

    Attributes:
        observations: The observations of each place at each date.
        quality: Share of the ground that each date shows.
        places: The places: blocks or zones.
        table: The breaks and scores of each place.
        features: The layer, see `break_features.COLUMNS`.
        members: Numbers of the places of each feature.
        watched: Names of the columns whose course was watched.
        metadata: The `geochg` member that goes into the outputs.
        outputs: The files written.
        options: The options of the run.
    """

    observations: PlaceObservations
    quality: tuple[DateQuality, ...]
    places: Blocks | ZonePlaces
    table: PlaceTable
    features: GeoDataFrame
    members: list[NDArray[np.intp]]
    watched: tuple[str, ...]
    metadata: dict[str, Any]
    outputs: SeriesOutputs
    options: SeriesOptions

    def charts(self) -> Iterator[PlaceChart]:
        """A chart of each zone, or of a block of each feature; the strongest breaks of many."""
        charted_places = charted_features(self.features, self.members, self.places, self.table)
        return place_charts(
            charted_places,
            self.observations,
            self.table,
            self.watched,
            self.options.rules,
            self.options.least_valid,
        )


def series(
    images: Sequence[RasterLike],
    options: SeriesOptions | None = None,
    *,
    geobox: GeoBox | None = None,
    outputs: SeriesOutputs | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
) -> SeriesResult:
    """Finds the places that left their usual course in a series of images.

    Args:
        images: Any number of rasters of one place, in any order; as `geochg.analyze` takes them.
        options: The options of the run; the defaults when None.
        geobox: Grid of the numpy arrays among them.
        outputs: Files to write, all or none.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, the run stops at its next step.

    Returns:
        The features, the observations, and the facts about the run.

    Raises:
        InputError: If an image, the zones or an output cannot be used, a date is not known, or the
            series is too short or constant.
        OptionError: If an option makes no sense for the series.
        ModelError: If the model is unknown or broken.
        RunError: If the run fails otherwise.
        CancelledRunError: If it was cancelled.
    """
    options, outputs = options or SeriesOptions(), outputs or SeriesOutputs()
    names = [os.fspath(image) for image in images if isinstance(image, str | os.PathLike)]
    further = [file_of(text) for text in (options.aoi, options.zones) if text]
    outputs.check([*names, *further], options)
    with gdal_settings():
        opened_images = open_images(images, options, geobox=geobox)
        outputs.check([*opened_images.files(), *further], options)
        run = MonitoringRun(opened_images, options, listener, cancel or Flag())
        return run.finish(outputs)


@dataclass(frozen=True)
class MonitoringRun:
    """One run: images read, places watched, files written.

    Attributes:
        images: The images on their grid.
        options: The options of the run.
        listener: Told of progress and notices.
        cancel: A flag that stops the run.
    """

    images: SeriesImages
    options: SeriesOptions
    listener: Listener
    cancel: Flag

    def finish(self, outputs: SeriesOutputs) -> SeriesResult:
        """Reads, watches and writes."""
        self._check_dates()
        places, covers = self.places, self._covers()
        watched = watched_columns(self.images.bands, self.options, covers=covers is not None)
        for remark in self.images.remarks:
            self.listener(remark.notice())
        observed = Observer(
            self.images, places, self.options, covers, self.listener, self.stop_if_cancelled
        ).observe()
        self._tell_quality(observed)
        observations = observed.observations
        breaks = self._breaks(observations, watched)
        table = place_table(breaks, observations, self.options.least_valid)
        features, members = self._features(table, watched)
        metadata = self._metadata(observed, breaks, table, watched, covers)
        result = SeriesResult(
            observations,
            observed.quality,
            places,
            table,
            features,
            members,
            watched,
            metadata | {"features": len(features)},
            outputs,
            self.options,
        )
        self._write(result)
        return result

    @cached_property
    def places(self) -> Blocks | ZonePlaces:
        """The places that are watched."""
        return places_of(self.images.grid, self.images.area, self.options)

    def stop_if_cancelled(self) -> None:
        """Ends the run where its user wants that.

        Raises:
            CancelledRunError: If it was cancelled.
        """
        if self.cancel.is_set():
            raise CancelledRunError("cancelled", "nothing was written; run it again")

    def _check_dates(self) -> None:
        """Refuses a series that would be too short if all of it were seen, before it is read."""
        dates = self.images.days
        if len(dates) < 2:
            raise InputError(
                "one image makes no series", "give images of one place, one for each date"
            )
        find_breaks(
            dates,
            np.arange(len(dates), dtype=np.float64)[None, :, None],
            self.options.rules,
        )

    def _covers(self) -> DateCovers | None:
        if not self.options.land_cover:
            return None
        covers = open_covers(self.images, self.options)
        if isinstance(covers, str):
            self.listener(Notice(f"no land cover is told: {covers}", warning=False))
            return None
        return covers

    def _tell_quality(self, observed: ObservedSeries) -> None:
        for remark in observed.remarks:
            self.listener(remark.notice())
        empty = [quality.date for quality in observed.quality if quality.is_empty]
        if empty:
            verb = "shows" if len(empty) == 1 else "show"
            text = f"{len(empty)} of {len(observed.quality)} dates {verb} no place: "
            text += ", ".join(empty)
            self.listener(Notice(text, warning=True))
        if isinstance(self.places, ZonePlaces):
            for text in self.places.zones.remarks:
                self.listener(Notice(text, warning=True))
            unseen = unseen_zones(self.places.zones, observed.observations.pixels)
            if unseen:
                text = f"no pixel has its centre in {len(unseen)} zones, such as {unseen[0]!r}"
                self.listener(Notice(text, warning=True))

    def _breaks(self, observations: PlaceObservations, watched: Sequence[str]) -> Breaks:
        count = len(observations.pixels)
        values = room((count, len(observations.dates), len(watched)), np.float64)
        for start in range(0, count, _CHUNK_PLACES):
            part = slice(start, start + _CHUNK_PLACES)
            values[part] = observations.table(watched, part, self.options.least_valid)

        def tell_progress(finished: int) -> None:
            self.stop_if_cancelled()
            self.listener(Progress("places", finished, count))

        return find_breaks(self.images.days, values, self.options.rules, progress=tell_progress)

    def _features(self, table: PlaceTable, watched: Sequence[str]) -> BlockFeatures:
        places, dates = self.places, self.images.dates
        if isinstance(places, ZonePlaces):
            members = [np.array([number]) for number in range(len(places))]
            return BlockFeatures(zone_features(table, places, dates, watched), members)
        return block_features(table, places, dates, watched, self.options.min_area_m2)

    def _metadata(
        self,
        observed: ObservedSeries,
        breaks: Breaks,
        table: PlaceTable,
        watched: Sequence[str],
        covers: DateCovers | None,
    ) -> dict[str, Any]:
        """The `geochg` member of the outputs; nothing in it differs between equal runs."""
        places, images = self.places, list(self.images.facts())
        watching: dict[str, Any] = {"places": "blocks", "count": len(places)}
        if isinstance(places, ZonePlaces):
            watching = {"places": "zones", "count": len(places), **places.zones.facts}
        else:
            watching["side_px"] = places.side_px
        facts: dict[str, Any] = storable(
            {
                "version": __version__,
                "model": None if covers is None else asdict(covers.model.identity),
                "sources": {"before": images[0], "after": images[-1]},
                "options": self.options.shaping(),
                "grid": grid_facts(self.images.grid),
                "bands": list(self.images.bands),
                "series": {
                    "method": self.options.method,
                    "watched": list(watched),
                    "watching": watching,
                    "dates": [
                        {**image, **quality.to_dict()}
                        for image, quality in zip(images, observed.quality, strict=True)
                    ],
                    "status": status_counts(table, observed.observations.pixels),
                    "scores": _scores(breaks, watched),
                },
            }
        )
        return facts

    def _write(self, result: SeriesResult) -> None:
        """Writes the files, all or none."""
        outputs, options = result.outputs, self.options
        if not outputs.paths():
            return
        self.listener(Progress("write", 0, 1))
        with Staging(overwrite=options.overwrite) as staging:
            if outputs.features is not None:
                with staging.write(outputs.features, options.layer) as path:
                    write_frames([result.features], path, result.metadata, layer=options.layer)
            if outputs.observations is not None:
                with staging.write(outputs.observations) as path:
                    write_observations(path, result.observations, result.places, result.metadata)
            if outputs.plots is not None:
                self._write_plots(result, outputs.plots, staging)
            if outputs.report is not None:
                with staging.write(outputs.report) as path:
                    path.write_bytes(report_page(self._report_contents(result)))
            self.stop_if_cancelled()
            staging.commit()
        self.listener(Progress("write", 1, 1))

    def _report_contents(self, result: SeriesResult) -> ReportContents:
        """What the report shows: the features, the dates that show something, the charts."""
        sources = shown_sources(self.images.sources, result.quality)
        broken_features = result.features[result.features["status"] == BREAK]
        contents = contents_of_run(
            lambda: [broken_features],
            result.metadata,
            sources,
            self.images.grid,
            self.options.reading(),
        )
        return replace(contents, title=report_title(result.quality), figures=figures_of(result))

    def _write_plots(self, result: SeriesResult, folder: Path, staging: Staging) -> None:
        from geochg.timeseries.chart_png import chart_file, write_chart

        folder.mkdir(exist_ok=True)
        for number, chart in enumerate(result.charts(), start=1):
            self.stop_if_cancelled()
            with staging.write(folder / chart_file(number, chart)) as path:
                write_chart(path, chart, __version__)


def _scores(breaks: Breaks, watched: Sequence[str]) -> dict[str, Any]:
    """How well the usual courses are known, over all places."""
    coverage = breaks.mean_coverage
    by_column = {
        name: {
            "rmse": _finite_median(breaks.rmse[:, number]),
            "aic": _finite_median(breaks.aic[:, number]),
        }
        for number, name in enumerate(watched)
    }
    return {
        "coverage": None if np.isnan(coverage) else round(coverage, 4),
        "forecasts": int(breaks.forecasts.sum()),
        "median": by_column,
    }


def _finite_median(values: NDArray[np.float64]) -> float | None:
    """The median of finite values to four digits; None where there are none."""
    finite = values[np.isfinite(values)]
    return float(f"{np.median(finite):.4g}") if len(finite) else None
