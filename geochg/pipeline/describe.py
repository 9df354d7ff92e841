"""The description of a pair, before it is analysed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from threading import Event as Flag
from typing import Any

from geochg.errors import CancelledRunError
from geochg.features.cells import CellSettings, tile_result
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.loading import load_configured_model, mapped_questions
from geochg.options import AnalyzeOptions
from geochg.pipeline.batching import has_core
from geochg.pipeline.imagery import pair_for
from geochg.pipeline.run import reading_threads
from geochg.records import Tile, TileFailure
from geochg.tasks.quantities import rounded_value
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.layout import Layout
from geochg.tiling.pair import RasterPair, place_pair, tiles_of
from geochg.tiling.pair_checks import Remark
from geochg.tiling.preparation import Preparation, prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.source import RasterSource, can_open

__all__ = ["PairDescription", "can_open", "describe"]

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
        height_px, width_px = self.pair.grid.shape
        area_m2 = self.pair.facts.pixel_area_m2
        return {
            "before": _source_facts(self.pair.before),
            "after": _source_facts(self.pair.after),
            "grid": {
                "crs": str(self.pair.grid.crs),
                "width_px": width_px,
                "height_px": height_px,
                "pixel_m": rounded_value(area_m2**0.5, 3),
                "overlap_km2": rounded_value(area_m2 * height_px * width_px / 1e6, 4),
            },
            "bands": list(self.pair.bands.names),
            "note": "; ".join(remark.text for remark in self.remarks),
            "remarks": [remark.to_dict() for remark in self.remarks],
            "alignment": self.preparation.alignment(area_m2**0.5),
            "matching": self.preparation.matching(),
            "tiles": self.tiles,
            "seconds": self.seconds,
        }


def describe(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: AnalyzeOptions | None = None,
    *,
    cancel: Flag | None = None,
) -> PairDescription:
    """Opens a pair, measures its shift, and times the model on a few of its tiles.

    Args:
        before: The earlier raster: anything GDAL opens.
        after: The later raster.
        options: As for `analyze`; the defaults when None.
        cancel: When set, it stops at its next step.

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
    model = load_configured_model(options)
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
    settings = CellSettings(options.geometry, options.classes, ballot=options.vote)
    with backend_errors(model):
        tile_answers = model.answer(tiles, mapped_questions(model, options.prompts))
    for tile, answers in zip(tiles, tile_answers, strict=True):
        if not isinstance(answers, TileFailure):
            tile_result(tile, answers, settings)
    answering_s = (time.perf_counter() - start) / len(tiles)
    surveyed = (
        min(model.capabilities.survey_tiles, len(layout)) if model.capabilities.surveys else 0
    )
    return surveyed * reading_s + fitting_s + len(layout) * (reading_s + answering_s)


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
