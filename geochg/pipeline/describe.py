"""The description of a pair or a series, before it is analysed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Event as Flag
from typing import Any

from odc.geo.geobox import GeoBox

from geochg.errors import CancelledRunError
from geochg.features.cells import CellSettings, tile_result
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.loading import load_configured_model, mapped_questions
from geochg.options import AnalyzeOptions
from geochg.pipeline.batching import has_core
from geochg.pipeline.imagery import pair_for
from geochg.pipeline.run import reading_threads
from geochg.pipeline.series import check_count, is_shown_together, pairs_of, span_name
from geochg.records import Tile, TileFailure
from geochg.tasks.quantities import rounded_value
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.grid import pixel_area_m2
from geochg.tiling.layout import Layout
from geochg.tiling.local_files import local_files
from geochg.tiling.pair import RasterPair, place_pair, tiles_of
from geochg.tiling.pair_checks import Remark
from geochg.tiling.preparation import Preparation, prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.series import PlacedSeries, place_series
from geochg.tiling.source import RasterSource, can_open

__all__ = [
    "PairDescription",
    "SeriesDescription",
    "can_open",
    "describe_pair",
    "describe_series",
    "raster_files",
]

_TIMED_TILES = 8


@dataclass(frozen=True)
class PairDescription:
    """What is known of a pair before it is analysed.

    Attributes:
        pair: The pair.
        preparation: What was measured on it.
        tiles: Number of tiles.
        seconds: Time a run is expected to take on this machine, from a few tiles; None when none
            of those had data that could be read.
    """

    pair: RasterPair
    preparation: Preparation
    tiles: int
    seconds: float | None

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What its user should know of the pair."""
        return (*self.pair.remarks, *self.preparation.remarks())

    def to_dict(self) -> dict[str, Any]:
        """The description as plain JSON values."""
        area_m2 = self.pair.facts.pixel_area_m2
        return {
            "before": _source_facts(self.pair.before),
            "after": _source_facts(self.pair.after),
            "grid": _grid_facts(self.pair.grid),
            "bands": list(self.pair.bands.names),
            "note": "; ".join(remark.text for remark in self.remarks),
            "remarks": [remark.to_dict() for remark in self.remarks],
            "alignment": self.preparation.alignment(area_m2**0.5),
            "matching": self.preparation.matching(),
            "tiles": self.tiles,
            "seconds": self.seconds,
        }


def describe_pair(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: AnalyzeOptions | None = None,
    *,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> PairDescription:
    """Opens a pair, measures its shift, and times the model on a few of its tiles.

    Args:
        before: The earlier raster: anything GDAL opens.
        after: The later raster.
        options: As for `analyze`; the defaults when None.
        cancel: When set, it stops at its next step.
        model: The model that `load_configured_model` gives for these options; loaded when None.

    Raises:
        GeochgError: As `analyze` does before its first tile.
        CancelledRunError: If it was cancelled.
    """
    options, cancel = options or AnalyzeOptions(), cancel or Flag()
    start = time.perf_counter()
    with gdal_settings():
        placed_pair = place_pair(before, after, options, refusing=False)
        layout = tiles_of(placed_pair.grid, options)
    _stop_if_set(cancel)
    model = model or load_configured_model(options)
    _stop_if_set(cancel)
    with gdal_settings():
        pair = pair_for(placed_pair, options, model, refusing=False)
        _stop_if_set(cancel)
        preparation = prepare(
            pair, options.align, pixels=model.capabilities.pixels, match=options.match
        )
        preparing_s = time.perf_counter() - start
        _stop_if_set(cancel)
        tiles_s = _expected_seconds(pair, preparation.plan(pair), model, layout, options, cancel)
    seconds = None if tiles_s is None else float(f"{preparing_s + tiles_s:.2g}")
    return PairDescription(pair, preparation, len(layout), seconds)


@dataclass(frozen=True)
class SeriesDescription:
    """What is known of three images or more before they are analysed.

    Attributes:
        series: The images on their common grid.
        pairs: The two dates of each step, and of the whole.
        preparations: What was measured on each of these.
        tiles: Number of tiles of one step.
        seconds: Time a run is expected to take; see `PairDescription`.
        together: Whether the model is shown all dates at once.
    """

    series: PlacedSeries
    pairs: tuple[RasterPair, ...]
    preparations: tuple[Preparation, ...]
    tiles: int
    seconds: float | None
    together: bool

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What its user should know of the series; of a step, its name comes first."""
        count = len(self.pairs)
        of_spans = [
            replace(remark, message=f"{span_name(number, count)}: {remark.message}")
            for number, (pair, preparation) in enumerate(
                zip(self.pairs, self.preparations, strict=True)
            )
            for remark in (*pair.remarks, *preparation.remarks())
        ]
        return (*self.series.remarks, *of_spans)

    def to_dict(self) -> dict[str, Any]:
        """The description as plain JSON values."""
        series = self.series
        area_m2 = pixel_area_m2(series.grid)
        spans = zip(series.spans, self.preparations, strict=True)
        return {
            "images": [
                {**_source_facts(source), "date": date or None}
                for source, date in zip(series.sources, series.dates, strict=True)
            ],
            "grid": _grid_facts(series.grid),
            "bands": list(self.pairs[-1].bands.names),
            "remarks": [remark.to_dict() for remark in self.remarks],
            "shown": "together" if self.together else "in pairs",
            "spans": [
                {
                    "from_date": series.dates[span.start] or None,
                    "to_date": series.dates[span.end] or None,
                    "step": None if number == len(series.spans) else number,
                    "alignment": preparation.alignment(area_m2**0.5),
                    "matching": preparation.matching(),
                }
                for number, (span, preparation) in enumerate(spans, start=1)
            ],
            "tiles": self.tiles * len(series.spans),
            "seconds": self.seconds,
        }


def describe_series(
    images: Sequence[str | os.PathLike[str]],
    options: AnalyzeOptions | None = None,
    *,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> PairDescription | SeriesDescription:
    """Opens images, measures their shifts, and times the model on a few tiles of the whole.

    Args:
        images: The rasters, the earliest first; two are a pair.
        options: As for `analyze_series`; the defaults when None.
        cancel: When set, it stops at its next step.
        model: The model that `load_configured_model` gives for these options; loaded when None.

    Raises:
        GeochgError: As `analyze_series` does before its first tile, but for what `remarks` tells.
        CancelledRunError: If it was cancelled.
    """
    options, cancel = options or AnalyzeOptions(), cancel or Flag()
    check_count(images)
    if len(images) == 2:
        before, after = images
        return describe_pair(before, after, options, cancel=cancel, model=model)
    start = time.perf_counter()
    with gdal_settings():
        series = place_series(images, options, refusing=False)
        layout = tiles_of(series.grid, options)
    _stop_if_set(cancel)
    model = model or load_configured_model(options)
    together = is_shown_together(len(images), model.capabilities, options)
    pairs, preparations = [], []
    with gdal_settings():
        for pair in pairs_of(series, options, model, refusing=False):
            _stop_if_set(cancel)
            pairs.append(pair)
            preparations.append(
                prepare(pair, options.align, pixels=model.capabilities.pixels, match=options.match)
            )
        preparing_s = time.perf_counter() - start
        plan = preparations[-1].plan(pair)
        tiles_s = _expected_seconds(pair, plan, model, layout, options, cancel)
    seconds = None if tiles_s is None else preparing_s + tiles_s * len(series.spans)
    return SeriesDescription(
        series,
        tuple(pairs),
        tuple(preparations),
        len(layout),
        None if seconds is None else float(f"{seconds:.2g}"),
        together,
    )


def raster_files(name: str) -> set[str]:
    """Every file on this machine that is read where a raster is; nothing is fetched for it.

    Args:
        name: The raster, by its path.
    """
    with gdal_settings(name, fetches=False):
        return local_files(name)


def _stop_if_set(cancel: Flag) -> None:
    if cancel.is_set():
        raise CancelledRunError("cancelled", "ask again")


def _expected_seconds(
    pair: RasterPair,
    plan: ReadPlan,
    model: ChangeModel,
    layout: Layout,
    options: AnalyzeOptions,
    cancel: Flag,
) -> float | None:
    """From the survey to the last tile, by what a few tiles take."""
    start = time.perf_counter()
    read = list(read_ahead(plan, layout.spread_tiles(_TIMED_TILES), reading_threads(options)))
    reading_s = (time.perf_counter() - start) / len(read)
    tiles = [tile for tile in read if isinstance(tile, Tile) and has_core(tile)]
    if not tiles:
        return None
    _stop_if_set(cancel)
    start = time.perf_counter()
    with backend_errors(model):
        # A survey's sample is bounded, so a few tiles take as long as many.
        model.survey(pair.facts, tiles if model.capabilities.surveys else [])
    fitting_s = time.perf_counter() - start
    _stop_if_set(cancel)
    start = time.perf_counter()
    settings = CellSettings(options.geometry, options.wanted_classes, ballot=options.vote)
    with backend_errors(model):
        tile_answers = model.answer(tiles, mapped_questions(model, options))
    for tile, answers in zip(tiles, tile_answers, strict=True):
        if not isinstance(answers, TileFailure):
            tile_result(tile, answers, settings)
    answering_s = (time.perf_counter() - start) / len(tiles)
    surveyed = (
        min(model.capabilities.survey_tiles, len(layout)) if model.capabilities.surveys else 0
    )
    return surveyed * reading_s + fitting_s + len(layout) * (reading_s + answering_s)


def _grid_facts(grid: GeoBox) -> dict[str, Any]:
    height_px, width_px = grid.shape
    area_m2 = pixel_area_m2(grid)
    return {
        "crs": str(grid.crs),
        "width_px": width_px,
        "height_px": height_px,
        "pixel_m": rounded_value(area_m2**0.5, 3),
        "overlap_km2": rounded_value(area_m2 * height_px * width_px / 1e6, 4),
    }


def _source_facts(source: RasterSource) -> dict[str, Any]:
    height_px, width_px = source.geobox.shape
    return {
        **source.to_dict(),
        "driver": source.driver,
        "width_px": width_px,
        "height_px": height_px,
        "pixel_size": [abs(source.geobox.transform.a), abs(source.geobox.transform.e)],
        "dtype": source.dtype,
        "bands": [band.name for band in source.bands],
        # JSON has no NaN.
        "nodata": source.nodata if source.nodata is None else str(source.nodata),
        "validity": source.mask,
        "placed_by": source.placed_by,
        "overviews": list(source.overviews),
    }
