"""The land cover of each date of a series, as a model tells it tile by tile."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geochg.errors import GeochgError, InputError, OptionError, RunError
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.date_cover import LandCoverModel
from geochg.models.registry import load_model
from geochg.options import AlignMode
from geochg.pipeline.imagery import pair_for
from geochg.records import PixelWindow, Tile, TileFailure
from geochg.tiling.layout import Layout
from geochg.tiling.pair import PlacedPair, RasterPair
from geochg.tiling.preparation import prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.sample import sample_values
from geochg.timeseries.images import SeriesImages
from geochg.timeseries.options import SeriesOptions

TILE_PX = 256
OVERLAP_PX = 32
"""Tiles that the model sees, as those of `analyze` are."""

_SAMPLE_TILES = 16
_SIDE_MULTIPLE_PX = 32


class CoverPart(NamedTuple):
    """The land cover of a part of the grid at one date.

    Attributes:
        window: The part.
        cover: `(height, width)` uint8, indices into `LAND_COVER`, or `CANNOT_TELL`.
        hidden: `(height, width)` bool: cloud, shadow or snow.
    """

    window: PixelWindow
    cover: NDArray[np.uint8]
    hidden: NDArray[np.bool_]


@dataclass(frozen=True)
class DateCovers:
    """Tells the land cover of the dates of a series.

    Attributes:
        images: The series.
        options: The options of the run.
        model: The model, which is a `LandCoverModel` too.
    """

    images: SeriesImages
    options: SeriesOptions
    model: ChangeModel

    def parts(self, number: int) -> Iterator[CoverPart]:
        """The land cover of a date, part by part of the grid; nothing where none of it is valid.

        Args:
            number: Number of the date, from 0.

        Raises:
            RunError: If a part cannot be read, or the model fails.
        """
        pair = _pair_of(self.images, number, self.options, self.model)
        layout = cover_layout(self.images.grid)
        plan = _display_plan(pair)
        if plan is None:
            return
        threads = min(4, os.cpu_count() or 1)
        sample = list(_read_tiles(read_ahead(plan, layout.spread_tiles(_SAMPLE_TILES), threads)))
        sample = [tile for tile in sample if tile.valid.any()]
        if not sample:
            return
        tiles = _read_tiles(read_ahead(plan, layout, threads))
        seen_tiles: list[Tile] = []
        for tile in tiles:
            if tile.valid.any():
                seen_tiles.append(tile)
            if len(seen_tiles) >= _SAMPLE_TILES:
                yield from self._cover_parts(pair, sample, seen_tiles)
                seen_tiles = []
        yield from self._cover_parts(pair, sample, seen_tiles)

    def _cover_parts(
        self, pair: RasterPair, sample: list[Tile], tiles: list[Tile]
    ) -> Iterator[CoverPart]:
        """The land cover of the cores of some tiles."""
        assert isinstance(self.model, LandCoverModel)
        with backend_errors(self.model):
            covers = list(self.model.date_covers(pair.facts, sample, tiles))
        for tile, date_cover in zip(tiles, covers, strict=True):
            core = tile.window.core.slices_within(tile.window.read)
            yield CoverPart(tile.window.core, date_cover.cover[core], date_cover.hidden[core])


def cover_layout(grid: GeoBox) -> Layout:
    """The tiles that the model is shown; of a small grid one that is no larger than need be."""
    height_px, width_px = grid.shape
    longest_px = max(height_px, width_px)
    side_px = min(TILE_PX, math.ceil(longest_px / _SIDE_MULTIPLE_PX) * _SIDE_MULTIPLE_PX)
    return Layout(height_px, width_px, side_px, OVERLAP_PX if side_px < longest_px else 0)


def open_covers(images: SeriesImages, options: SeriesOptions) -> DateCovers | str:
    """What tells the land cover of the dates, or why nothing does, in words.

    Raises:
        OptionError: If the model tells no land cover of single images.
        ModelError: If the model cannot be loaded.
    """
    if len(images.bands) == 1:
        return "one band shows no land cover"
    model = cover_model(options)
    try:
        for number in range(len(images.sources)):
            _pair_of(images, number, options, model)
    except (InputError, OptionError) as error:
        return error.message
    return DateCovers(images, options, model)


def cover_model(options: SeriesOptions) -> ChangeModel:
    """The model that tells the land cover of the dates.

    Raises:
        OptionError: If it tells no land cover of single images.
        ModelError: If it cannot be loaded.
    """
    model = load_model(options.model, options.model_options, options.device)
    if not (isinstance(model, LandCoverModel) and model.capabilities.tells_land_cover):
        raise OptionError(
            f"the model {model.name} does not tell the land cover of single images",
            "choose builtin, deltavlm:FOLDER or clip:FOLDER, or add --no-land-cover",
        )
    return model


def _pair_of(
    images: SeriesImages, number: int, options: SeriesOptions, model: ChangeModel
) -> RasterPair:
    """One date as a pair that is read once, with the bands that the model looks at."""
    source = images.sources[number]
    placed_pair = PlacedPair(source, source, images.grid, images.area, (), is_alone=True)
    return pair_for(placed_pair, options.reading(), model)


def _display_plan(pair: RasterPair) -> ReadPlan | None:
    """How display values of a date are read; None where nothing of it is valid."""
    if set(pair.dtypes) != {"uint8"} and not sample_values(pair.plan())[0].size:
        return None
    return prepare(pair, AlignMode.OFF, pixels="display").plan(pair)


def _read_tiles(tiles: Iterator[Tile | TileFailure]) -> Iterator[Tile]:
    for tile in tiles:
        if isinstance(tile, TileFailure):
            raise unreadable(tile.reason)
        yield tile


def unreadable(reason: str) -> GeochgError:
    """The error for an image a part of which cannot be read."""
    return RunError(
        f"a part of an image cannot be read: {reason}", "repair the image, or leave it out"
    )
