"""Two rasters as one pair: opened, checked, put on a common grid, and described."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.geometry.orientation import Turn
from geochg.options import AnalyzeOptions
from geochg.records import PairFacts
from geochg.tiling.aoi import Area
from geochg.tiling.bands import BandChoice, BandPurpose, choose_bands
from geochg.tiling.collar import Collar
from geochg.tiling.date_reader import DatePlan
from geochg.tiling.grid import pixel_area_m2, turn_to, view_step_px
from geochg.tiling.layout import MOST_TILES, Layout
from geochg.tiling.pair_checks import (
    Remark,
    band_remarks,
    packing_remarks,
    pixel_remarks,
    refuse,
    refuse_types,
    source_remarks,
)
from geochg.tiling.placing import place_sources, raster_inputs
from geochg.tiling.radar_bands import pair_radar
from geochg.tiling.raster_input import RasterInput, raster_input
from geochg.tiling.read import ReadPlan
from geochg.tiling.scaling import Scaling, Scalings, scalings
from geochg.tiling.series_dates import naming_remarks, with_given_dates
from geochg.tiling.source import RasterSource, collars_of, read_source

if TYPE_CHECKING:
    from geochg.tiling.raster_input import RasterLike


@dataclass(frozen=True)
class RasterPair:
    """Two rasters of one place that can be read together.

    Attributes:
        before: The earlier raster.
        after: The later raster.
        bands: The bands in use.
        grid: The common grid, cut to where both dates and the area of interest lie.
        area: The area of interest on the grid; None when there is none.
        remarks: Remarks on the pair that its user should know.
        collars: Collars of either date, before first: left out as what its file calls invalid is.
        is_view: Whether the whole pair is one view, at a resolution for that: then not every
            pixel of a vast raster is read.
        is_alone: Whether both are one raster, of which tiles have one date.
    """

    before: RasterSource
    after: RasterSource
    bands: BandChoice
    grid: GeoBox
    area: Area | None
    remarks: tuple[Remark, ...] = ()
    is_view: bool = False
    is_alone: bool = False
    collars: tuple[tuple[Collar, ...], tuple[Collar, ...]] = ((), ())

    @cached_property
    def facts(self) -> PairFacts:
        """The facts that a model may know of every tile."""
        radar = pair_radar(
            self.before.bands_of(self.bands.before), self.after.bands_of(self.bands.after)
        )
        return PairFacts(self.bands.names, pixel_area_m2(self.grid), self.dtypes[0], radar)

    @property
    def dtypes(self) -> tuple[str, str]:
        """The types that hold the values of the two dates, before first."""
        if self.scalings is not None:
            return "float32", "float32"
        return self.before.dtype_of(self.bands.before), self.after.dtype_of(self.bands.after)

    @property
    def scalings(self) -> Scalings:
        """The scalings of stored values to physical ones; None where none is needed."""
        return scalings(
            self.before.bands_of(self.bands.before), self.after.bands_of(self.bands.after)
        )

    @property
    def turn_to_before(self) -> Turn:
        """The turn from the grid, which has the north on top, to how the before raster lies."""
        if self.grid.crs != self.before.geobox.crs:
            return Turn()
        return turn_to(self.grid, self.before.geobox)

    def layout(self, options: AnalyzeOptions) -> Layout:
        """The tiles of the pair."""
        return tiles_of(self.grid, options)

    def plan(self) -> ReadPlan:
        """The plan by which source values of the pair are read, as they lie."""
        before, after = self.scalings or (None, None)
        return ReadPlan(
            before=self._date_plan(self.before, self.bands.before, self.collars[0], before),
            after=self._date_plan(self.after, self.bands.after, self.collars[1], after),
            grid=self.grid,
            area=self.area,
            is_alone=self.is_alone,
        )

    def _date_plan(
        self,
        source: RasterSource,
        bands: tuple[int, ...],
        collars: tuple[Collar, ...],
        scaling: Scaling | None,
    ) -> DatePlan:
        return DatePlan(
            source,
            bands,
            luminance=self.bands.is_luminance(bands),
            collars=collars,
            step_px=view_step_px(source.geobox, self.grid) if self.is_view else 1,
            scaling=scaling,
        )

    def inputs(self) -> tuple[RasterInput, RasterInput]:
        """The two rasters as they were given, before first."""
        first, second = (
            source.raster or raster_input(source.path) for source in (self.before, self.after)
        )
        return first, second

    def files(self) -> list[str]:
        """Every local file behind the two rasters."""
        return [*self.before.files, *self.after.files]


def tiles_of(grid: GeoBox, options: AnalyzeOptions) -> Layout:
    """The tiles of a grid.

    Raises:
        InputError: If they are more than a run can come to an end with.
    """
    height_px, width_px = grid.shape
    layout = Layout(height_px, width_px, options.tile_size_px, options.tile_overlap_px)
    if layout.tiles > MOST_TILES:
        raise InputError(
            f"the grid has {width_px:,} x {height_px:,} pixels: {layout.tiles:,} tiles, too many",
            f"a run takes up to {MOST_TILES:,}: choose a coarser --resolution or an --aoi",
        )
    return layout


@dataclass(frozen=True)
class PlacedPair:
    """Two rasters on their common grid, before it is known which of their bands a model wants.

    Attributes:
        before: The earlier raster.
        after: The later raster.
        grid: The common grid, cut to where both dates and the area of interest lie.
        area: The area of interest on the grid; None when there is none.
        remarks: What its user should know of the pair.
        is_alone: Whether both are one raster; see `RasterPair`.
    """

    before: RasterSource
    after: RasterSource
    grid: GeoBox
    area: Area | None
    remarks: tuple[Remark, ...]
    is_alone: bool = False

    def with_bands(self, options: AnalyzeOptions, purpose: BandPurpose) -> RasterPair:
        """The pair with the bands that go together; of their pixels it reads a few.

        Raises:
            InputError: If the files do not say which bands go together, or their numbers cannot be
                compared.
            OptionError: If a band that is wanted is not there.
        """
        paths = (self.before.label, self.after.label)
        bands = choose_bands(self.before.bands, self.after.bands, options.bands, purpose, paths)
        refuse_types(self.before, bands.before)
        refuse_types(self.after, bands.after)
        collars = self._collars(bands, options)
        remarks = (
            *pixel_remarks(self.before, self.after, collars),
            *band_remarks(bands),
            *packing_remarks(self.before, self.after, bands),
        )
        return RasterPair(
            before=self.before,
            after=self.after,
            bands=bands,
            grid=self.grid,
            area=self.area,
            # What is remarkable about a raster that stands for both is told once.
            remarks=(*self.remarks, *(dict.fromkeys(remarks) if self.is_alone else remarks)),
            collars=collars,
            is_alone=self.is_alone,
        )

    def _collars(
        self, bands: BandChoice, options: AnalyzeOptions
    ) -> tuple[tuple[Collar, ...], tuple[Collar, ...]]:
        """What fills up either image to its frame, unless its user says that it is ground."""
        if options.keep_collars:
            return (), ()
        dates = [(self.before, bands.before), (self.after, bands.after)]
        if self.is_alone:
            collars = collars_of(*dates[0], *dates[1])
            return collars, collars
        with ThreadPoolExecutor(2) as pool:
            before, after = pool.map(
                lambda date, other: collars_of(*date, *other), dates, reversed(dates)
            )
        return before, after


def place_pair(
    before: RasterLike | RasterInput,
    after: RasterLike | RasterInput,
    options: AnalyzeOptions,
    *,
    geobox: GeoBox | None = None,
    refusing: bool = True,
) -> PlacedPair:
    """Opens two rasters and finds the grid they share; reads no pixels and needs no model.

    Args:
        before: The earlier raster; see `raster_input`.
        after: The later raster.
        options: Grid and area are taken from these.
        geobox: Grid of the numpy arrays among the two.
        refusing: Whether a pair that makes no sense is refused; if not, its remarks say why.

    Raises:
        InputError: If a raster cannot be used, or the two do not overlap or go together.
        OptionError: If an option does not fit the pair.
    """
    first, second = raster_inputs((before, after), geobox)
    reading = options.of_dates()
    files = read_source(first, reading[0]), read_source(second, reading[1])
    before_source, after_source = with_given_dates(files, options.dates)
    sources = before_source, after_source
    remarks = source_remarks(*sources, dates_as_given=options.dates_as_given)
    remarks += tuple(naming_remarks(sources))
    if refusing:
        refuse(remarks)
    grid, area, notes = place_sources(sources, options)
    return PlacedPair(*sources, grid, area, remarks + notes)


def open_pair(
    before: RasterLike,
    after: RasterLike,
    options: AnalyzeOptions | None = None,
    purpose: BandPurpose = "rgb",
    *,
    geobox: GeoBox | None = None,
    refusing: bool = True,
) -> RasterPair:
    """Opens two rasters as a pair on one grid, for a model whose wishes are known.

    Args:
        before: The earlier raster: anything GDAL opens, an open rasterio dataset, a DataArray with
            a `spatial_ref`, or a numpy array `(bands, y, x)`.
        after: The later raster.
        options: Grid, bands and area are taken from these; the defaults when None.
        purpose: The bands the model wants; see `Capabilities.bands`.
        geobox: Grid of the numpy arrays among the two.
        refusing: Whether a pair that is to be refused is; if not, its remarks say so.

    Raises:
        InputError: If a raster cannot be used, or the two do not overlap or go together.
        OptionError: If an option does not fit the pair.
    """
    options = options or AnalyzeOptions()
    placed_pair = place_pair(before, after, options, geobox=geobox, refusing=refusing)
    return placed_pair.with_bands(options, purpose)


def nothing_valid(pair: RasterPair) -> InputError:
    """The error for a pair whose dates have no valid pixel in common."""
    if pair.is_alone:
        return InputError(
            f"{pair.before.label} has no valid pixel",
            "check its nodata value and mask, and the area of interest",
        )
    return InputError(
        f"{pair.before.label} and {pair.after.label} have no valid pixel in common",
        "check their nodata values and masks, and the area of interest",
    )
