"""What a pair is, told before it is analysed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geochg.models.base import ChangeModel
from geochg.models.registry import load_model
from geochg.options import AnalyzeOptions
from geochg.pipeline import SURVEY_TILES, mapped_questions, reading_threads
from geochg.records import Tile
from geochg.tiling.layout import Layout
from geochg.tiling.pair import RasterPair, align, open_pair, reading_plan
from geochg.tiling.read import read_ahead
from geochg.tiling.source import RasterSource

_TIMED_TILES = 8


@dataclass(frozen=True)
class PairDescription:
    """What is known of a pair before it is analysed.

    Attributes:
        pair: The pair, its shift measured.
        tiles: Number of tiles.
        seconds: Time a run is expected to take on this machine, from a few tiles; None when none
            of them could be read.
    """

    pair: RasterPair
    tiles: int
    seconds: float | None

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
                "pixel_m": round(area_m2**0.5, 3),
                "overlap_km2": round(area_m2 * height_px * width_px / 1e6, 4),
            },
            "bands": list(self.pair.bands.names),
            "note": self.pair.bands.note,
            "alignment": self.pair.alignment(),
            "tiles": self.tiles,
            "seconds": self.seconds,
        }


def describe(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: AnalyzeOptions | None = None,
) -> PairDescription:
    """Opens a pair, measures its shift, and times the model on a few of its tiles.

    Args:
        before: The earlier raster: anything GDAL opens.
        after: The later raster.
        options: As for `analyze`; the defaults when None.

    Raises:
        GeochgError: As `analyze` does before its first tile.
    """
    options = options or AnalyzeOptions()
    model = load_model(options.model, options.model_options, options.device)
    pair = align(open_pair(before, after, options, model.capabilities.bands), options.align)
    layout = pair.layout(options)
    return PairDescription(pair, len(layout), _expected_seconds(pair, model, layout, options))


def _expected_seconds(
    pair: RasterPair, model: ChangeModel, layout: Layout, options: AnalyzeOptions
) -> float | None:
    plan = reading_plan(pair, model.capabilities.pixels, options.match)
    threads = reading_threads(options)
    start = time.perf_counter()
    read = list(read_ahead(plan, layout.spread(_TIMED_TILES), threads))
    tiles = [tile for tile in read if isinstance(tile, Tile) and tile.valid.any()]
    if not tiles:
        return None
    reading_s = (time.perf_counter() - start) / len(read)
    answering_s = _answering_seconds(pair, model, tiles) / len(tiles)
    surveyed = min(SURVEY_TILES, len(layout)) if model.capabilities.surveys else 0
    expected_s = surveyed * reading_s + len(layout) * max(reading_s, answering_s)
    return float(f"{expected_s:.2g}")


def _answering_seconds(pair: RasterPair, model: ChangeModel, tiles: Sequence[Tile]) -> float:
    model.survey(pair.facts, tiles)
    start = time.perf_counter()
    model.answer(tiles, mapped_questions(model))
    return time.perf_counter() - start


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
        "nodata": source.nodata,
        "validity": source.mask,
        "placed_by": source.placed_by,
        "overviews": list(source.overviews),
    }
