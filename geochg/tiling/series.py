"""Three rasters of one place or more as one series: opened, checked, and put on a common grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from odc.geo.geobox import GeoBox

from geochg.errors import OptionError
from geochg.options import AnalyzeOptions
from geochg.records import Span
from geochg.tiling.aoi import Area
from geochg.tiling.band_pairs import tokens_of_dates
from geochg.tiling.pair import PlacedPair
from geochg.tiling.pair_checks import Remark, identity_remarks, page_remarks, refuse
from geochg.tiling.placing import place_sources, raster_inputs
from geochg.tiling.series_dates import (
    date_of,
    naming_remarks,
    series_order_remarks,
    with_given_dates,
)
from geochg.tiling.source import RasterSource, read_source

if TYPE_CHECKING:
    from geochg.tiling.raster_input import RasterInput, RasterLike


def spans_of(count: int) -> tuple[Span, ...]:
    """What a series of so many dates is asked about: each step, and last the whole.

    A pair has one span, which is both.
    """
    steps = tuple(Span(number, number + 1) for number in range(count - 1))
    return steps if count == 2 else (*steps, Span(0, count - 1))


@dataclass(frozen=True)
class PlacedSeries:
    """Rasters on their common grid, before it is known which of their bands a model wants.

    Attributes:
        sources: The rasters, the earliest first.
        grid: The common grid, cut to where all dates and the area of interest lie.
        area: The area of interest on the grid; None when there is none.
        remarks: What its user should know of the series.
    """

    sources: tuple[RasterSource, ...]
    grid: GeoBox
    area: Area | None
    remarks: tuple[Remark, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """See `spans_of`."""
        return spans_of(len(self.sources))

    @property
    def dates(self) -> tuple[str, ...]:
        """When each raster was taken, as `ImageDate.text`."""
        return tuple(date_of(source).text for source in self.sources)

    def pair(self, span: Span, remarks: Sequence[Remark] = ()) -> PlacedPair:
        """Two of its dates on the grid of all, with remarks that are told with them."""
        before, after = self.sources[span.start], self.sources[span.end]
        return PlacedPair(before, after, self.grid, self.area, tuple(remarks))


def place_series(
    images: Sequence[RasterLike | RasterInput],
    options: AnalyzeOptions,
    *,
    geobox: GeoBox | None = None,
    refusing: bool = True,
) -> PlacedSeries:
    """Opens rasters and finds the grid they share; reads no pixels and needs no model.

    Args:
        images: Three rasters or more, the earliest first; see `raster_input`.
        options: Grid, area and dates are taken from these.
        geobox: Grid of the numpy arrays among them.
        refusing: Whether a series that makes no sense is refused; if not, its remarks say why.

    Raises:
        InputError: If a raster cannot be used, or they do not overlap or stand in order.
        OptionError: If an option does not fit the series.
    """
    inputs = raster_inputs(images, geobox)
    reading = options.of_dates(len(inputs))
    files = [read_source(*item) for item in zip(inputs, reading, strict=True)]
    sources = with_given_dates(files, options.dates)
    _refuse_bands_of_pairs(options.bands, sources)
    remarks = _source_remarks(sources, dates_as_given=options.dates_as_given)
    if refusing:
        refuse(remarks)
    grid, area, notes = place_sources(sources, options)
    # What holds for one image is said of each pair that it is in.
    return PlacedSeries(sources, grid, area, tuple(dict.fromkeys((*remarks, *notes))))


def _refuse_bands_of_pairs(bands: Sequence[str], sources: Sequence[RasterSource]) -> None:
    """Refuses bands that are named for the two dates of a pair.

    Raises:
        OptionError: If one is called otherwise at the later date.
    """
    known_bands = [band for source in sources for band in source.bands]
    for token in bands:
        first, second = tokens_of_dates(token, known_bands, ())
        if first != second:
            raise OptionError(
                f"the band {token!r} is named for two dates, and there are {len(sources)}",
                "name a band that is the same at all dates, or analyse the images pair by pair",
            )


def _source_remarks(sources: Sequence[RasterSource], *, dates_as_given: bool) -> tuple[Remark, ...]:
    """What the rasters say of themselves that does not go together."""
    remarks = [
        *naming_remarks(sources),
        *series_order_remarks(sources, dates_as_given=dates_as_given),
    ]
    for before, after in pairwise(sources):
        remarks += [*identity_remarks(before, after), *page_remarks(before, after)]
    return tuple(remarks)
