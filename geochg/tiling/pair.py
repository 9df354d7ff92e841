"""Two rasters as one pair: opened, checked, put on a common grid, and described."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Literal

from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.options import AlignMode, AnalyzeOptions
from geochg.records import PairFacts
from geochg.tiling.aoi import Area, cut_to_area
from geochg.tiling.bands import BandChoice, choose_bands
from geochg.tiling.grid import common_grid, pixel_area_m2
from geochg.tiling.layout import Layout
from geochg.tiling.radiometry import RadiometricMatch, Stretch
from geochg.tiling.read import DatePlan, PairReader, ReadPlan
from geochg.tiling.sample import sample_values, shift_patches
from geochg.tiling.shift import Shift, measure_shift
from geochg.tiling.source import RasterSource, read_source


@dataclass(frozen=True)
class RasterPair:
    """Two rasters of one place that can be read together.

    Attributes:
        before: The earlier raster.
        after: The later raster.
        bands: The bands in use.
        grid: The common grid, cut to where both dates and the area of interest lie.
        area: The area of interest on the grid; None when there is none.
        shift: The residual shift, None when it was not or could not be measured.
        corrected: Whether reading takes the shift out.
    """

    before: RasterSource
    after: RasterSource
    bands: BandChoice
    grid: GeoBox
    area: Area | None
    shift: Shift | None = None
    corrected: bool = False

    @property
    def facts(self) -> PairFacts:
        """What a model may know of every tile."""
        return PairFacts(self.bands.names, pixel_area_m2(self.grid), self.before.dtype)

    def layout(self, options: AnalyzeOptions) -> Layout:
        """The tiles of the pair."""
        height_px, width_px = self.grid.shape
        return Layout(height_px, width_px, options.tile_size_px, options.overlap_px)

    def plan(self) -> ReadPlan:
        """How to read source values of the pair."""
        displacement = (
            (self.shift.dx_px, self.shift.dy_px) if self.shift and self.corrected else (0.0, 0.0)
        )
        return ReadPlan(
            before=DatePlan(self.before, self.bands.before),
            after=DatePlan(self.after, self.bands.after, displacement),
            grid=self.grid,
            area=self.area,
        )

    def alignment(self) -> dict[str, Any] | None:
        """The shift found and what was done about it, as plain JSON values."""
        if self.shift is None:
            return None
        found = {
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in self.shift.to_dict().items()
        }
        return found | {"corrected": self.corrected}


def open_pair(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: AnalyzeOptions,
    purpose: Literal["rgb", "all"],
) -> RasterPair:
    """Opens two rasters and finds the grid they share; reads no pixels.

    Args:
        before: The earlier raster: anything GDAL opens.
        after: The later raster.
        options: Grid, bands and area are taken from these.
        purpose: The bands the model wants.

    Raises:
        InputError: If a raster cannot be used, or the two do not overlap or go together.
        OptionError: If an option does not fit the pair.
    """
    paths = (os.fspath(before), os.fspath(after))
    sources = (read_source(paths[0]), read_source(paths[1]))
    bands = choose_bands(sources[0].bands, sources[1].bands, options.bands, purpose, paths)
    grid = common_grid(
        sources[0].geobox,
        sources[1].geobox,
        crs=options.crs,
        resolution=options.resolution,
        paths=paths,
    )
    area = None
    if options.aoi is not None:
        grid, area = cut_to_area(grid, options.aoi)
    return RasterPair(sources[0], sources[1], bands, grid, area)


def align(pair: RasterPair, mode: AlignMode) -> RasterPair:
    """Measures the residual shift of a pair and, when asked and clear, has reading correct it."""
    if mode is AlignMode.OFF:
        return pair
    with PairReader(pair.plan()) as reader:
        shift = measure_shift(shift_patches(reader, pair.grid))
    corrected = mode is AlignMode.AUTO and shift is not None and shift.worth_correcting
    return replace(pair, shift=shift, corrected=corrected)


def reading_plan(pair: RasterPair, pixels: Literal["values", "display"], match: bool) -> ReadPlan:
    """How the tiles of a pair are read for a model.

    Args:
        pair: The pair, aligned.
        pixels: `values` for float32 in source units, `display` for uint8, stretched the same way
            in every tile.
        match: Whether to match the after values to the before values.

    Raises:
        InputError: If the two dates share no valid pixel, or none that can be read.
    """
    plan = pair.plan()
    if pixels == "values" and not match:
        return replace(plan, pixels=pixels)
    before, after = sample_values(plan)
    if not before.size:
        raise nothing_valid(pair)
    matching = RadiometricMatch.from_samples(before, after) if match else None
    date_before, date_after = plan.before, replace(plan.after, match=matching)
    if pixels == "display":
        stretch = Stretch.from_sample(before, pair.before.dtype)
        other = Stretch.from_sample(after, pair.after.dtype)
        date_before = replace(date_before, stretch=stretch)
        date_after = replace(date_after, stretch=stretch if matching else other)
    return replace(plan, before=date_before, after=date_after, pixels=pixels)


def nothing_valid(pair: RasterPair) -> InputError:
    """The error for a pair whose dates have no valid pixel in common."""
    return InputError(
        f"{pair.before.path} and {pair.after.path} have no valid pixel in common",
        "check their nodata values and masks, and the area of interest",
    )
