"""The images of a series: opened one after the other, in order of their dates, on one grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.safety.untrusted_text import without_secrets
from geochg.stac.cloud_masks import QUALITY_BANDS
from geochg.tiling.acquisition_time import Period
from geochg.tiling.aoi import Area
from geochg.tiling.bands import choose_bands
from geochg.tiling.date_reader import DatePlan
from geochg.tiling.pair_checks import (
    Remark,
    alpha_remarks,
    collar_remarks,
    identity_remarks,
    lossy_remarks,
    page_remarks,
    refuse,
    refuse_types,
)
from geochg.tiling.placing import place_sources, raster_inputs
from geochg.tiling.scaling import Scaling, is_packed
from geochg.tiling.series_dates import date_of, naming_remarks, with_given_dates
from geochg.tiling.source import RasterSource, collars_of, read_source
from geochg.timeseries.options import SeriesOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.tiling.raster_input import RasterInput, RasterLike

_MOST_NAMED = 3
"""Images that a message names before it says how many more there are."""


class SeriesDate(NamedTuple):
    """When an image of a series was taken.

    Attributes:
        text: `2020-06-01`, `2020-06` or `2020`, as precise as it is known; of two images of one
            day the time too.
        day: The day that stands for it: of a month or a year the one in its middle.
    """

    text: str
    day: np.datetime64


@dataclass(frozen=True)
class SeriesImages:
    """The images of a series on their common grid.

    Attributes:
        sources: The images, the earliest first.
        dates: When each was taken.
        bands: Names of the bands in use, the same at all dates.
        numbers: Their numbers in each image, from 1.
        grid: The common grid, cut to where all dates and the area of interest lie.
        area: The area of interest on the grid; None when there is none.
        remarks: What the user should know of them.
    """

    sources: tuple[RasterSource, ...]
    dates: tuple[SeriesDate, ...]
    bands: tuple[str, ...]
    numbers: tuple[tuple[int, ...], ...]
    grid: GeoBox
    area: Area | None
    remarks: tuple[Remark, ...]

    @property
    def days(self) -> NDArray[np.datetime64]:
        """`(dates,)` datetime64[D]: the day that stands for each date."""
        return np.array([date.day for date in self.dates], "datetime64[D]")

    def files(self) -> list[str]:
        """Every local file behind the images."""
        return list(dict.fromkeys(file for source in self.sources for file in source.files))

    def plan(self, number: int, *, keep_collars: bool) -> tuple[DatePlan, tuple[Remark, ...]]:
        """How source values of one date are read, and what is remarkable about its pixels.

        Args:
            number: Number of the date, from 0.
            keep_collars: Whether black or white up to the frame is taken for ground.
        """
        source, bands = self.sources[number], self.numbers[number]
        collars = () if keep_collars else collars_of(source, bands, source, bands)
        remarks = (
            *lossy_remarks(source, source),
            *alpha_remarks(source, source),
            *collar_remarks(source, source, (collars, ())),
        )
        scaling = None
        if self._is_packed:
            chosen_bands = source.bands_of(bands)
            scaling = Scaling(
                tuple(band.scale for band in chosen_bands),
                tuple(band.offset for band in chosen_bands),
            )
        plan = DatePlan(source, bands, collars=collars, scaling=scaling)
        return plan, tuple(dict.fromkeys(remarks))

    @property
    def _is_packed(self) -> bool:
        """Whether a date holds its values packed; then all are unpacked."""
        return any(
            is_packed(band)
            for source, numbers in zip(self.sources, self.numbers, strict=True)
            for band in source.bands_of(numbers)
        )

    def facts(self) -> Iterator[dict[str, Any]]:
        """Each image as outputs tell it."""
        for source, date in zip(self.sources, self.dates, strict=True):
            yield {**source.to_dict(), "date": date.text}


def open_images(
    images: Sequence[RasterLike | RasterInput],
    options: SeriesOptions,
    *,
    geobox: GeoBox | None = None,
) -> SeriesImages:
    """Opens images and finds the grid that they share; reads no pixels.

    Args:
        images: Any number of rasters in any order; see `raster_input`.
        options: Dates, bands, grid and area are taken from these.
        geobox: Grid of the numpy arrays among them.

    Raises:
        InputError: If an image cannot be used, its date is not known or that of another too, its
            bands are others, or the images do not overlap.
        OptionError: If an option does not fit.
    """
    if not images:
        raise InputError("no image is given", "give images of one place, one for each date")
    reading = options.reading()
    inputs = raster_inputs(images, geobox)
    sources = with_given_dates(
        [read_source(*item) for item in zip(inputs, reading.of_dates(len(inputs)), strict=True)],
        options.dates,
    )
    in_order = _in_order(sources)
    remarks: list[Remark] = [*naming_remarks(in_order)]
    if list(in_order) != list(sources):
        remarks.append(Remark("the images are put in the order of their dates", warning=False))
    for before, after in pairwise(in_order):
        remarks += identity_remarks(before, after)
    for source in in_order[1:]:
        remarks += page_remarks(in_order[0], source)
    bands, numbers, notes = _series_bands(in_order, options.bands)
    remarks += _mask_remarks(bands)
    grid, area, grid_notes = place_sources(in_order, reading)
    dates = _series_dates(in_order)
    known_remarks = tuple(dict.fromkeys((*remarks, *grid_notes, *notes)))
    refuse(known_remarks)
    return SeriesImages(in_order, dates, bands, numbers, grid, area, known_remarks)


def brief_remarks(remarks: Sequence[tuple[Remark, ...]]) -> list[Remark]:
    """What is remarkable about the pixels of each date, with one line for what many share.

    Args:
        remarks: The remarks on each date, as `SeriesImages.plan` gives them.
    """
    by_hint: dict[str, list[Remark]] = {}
    for remark in (remark for of_date in remarks for remark in of_date):
        by_hint.setdefault(remark.hint or remark.message, []).append(remark)
    brief = []
    for first, *others in by_hint.values():
        others_text = f" (and {len(others)} more such images)" if others else ""
        brief.append(replace(first, message=f"{first.message}{others_text}"))
    return brief


def _in_order(sources: Sequence[RasterSource]) -> tuple[RasterSource, ...]:
    """The images, the earliest first.

    Raises:
        InputError: If a date is not known, or two images are of one time.
    """
    periods = [date_of(source).period for source in sources]
    if missing := [s for s, p in zip(sources, periods, strict=True) if p is None]:
        raise InputError(
            f"nothing tells when {_image_names(missing)} {_were(missing)} taken",
            "give a date for each image, in their order: --dates 2020-06-01,2021-06-01,...",
        )
    dated = [(p, s) for p, s in zip(periods, sources, strict=True) if p is not None]
    dated.sort(key=lambda item: (item[0].first, item[0].end, item[1].acquired))
    for (period, source), (next_period, next_source) in pairwise(dated):
        is_one_time = source.acquired == next_source.acquired
        if next_period.first < period.end and (
            is_one_time or not _are_moments(source, next_source)
        ):
            names = f"{_name(source)} and {_name(next_source)}"
            text = f"two images are of one date, {period.text}: {names}"
            if period.text != next_period.text:
                text = f"nothing tells which is the earlier of {names}: {period.text}, "
                text += next_period.text
            raise InputError(
                text, "leave one out, join those of one day to one image, or give --dates"
            )
    return tuple(source for _, source in dated)


def _are_moments(*sources: RasterSource) -> bool:
    """Whether the time of the day is known at which each of some images was taken."""
    return all(len(source.acquired) > len("2020-06-01") for source in sources)


def _series_dates(sources: Sequence[RasterSource]) -> tuple[SeriesDate, ...]:
    """When each image was taken: the day, and of two images of one day the time too."""
    dates = [date_of(source) for source in sources]
    days = Counter(date.text for date in dates)
    series_dates = []
    for source, date in zip(sources, dates, strict=True):
        period = date.period
        assert period is not None
        text = source.acquired if days[date.text] > 1 else date.text
        series_dates.append(SeriesDate(text, np.datetime64(_middle(period).date(), "D")))
    return tuple(series_dates)


def _middle(period: Period) -> datetime:
    return period.first + max((period.end - period.first - timedelta(days=1)) / 2, timedelta(0))


def _series_bands(
    sources: Sequence[RasterSource], wanted_names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...], list[Remark]]:
    """Names of the bands in use, their numbers in each image, and what was assumed of them."""
    first, names, numbers, notes = sources[0], tuple[str, ...](), [], list[Remark]()
    for source in sources:
        choice = choose_bands(
            first.bands, source.bands, wanted_names, "all", (_name(first), _name(source))
        )
        refuse_types(source, choice.after)
        names = names or choice.names
        if choice.names != names:
            raise InputError(
                f"{_name(source)} has the bands {_band_names(source)}, and {_name(first)} has "
                f"{_band_names(first)}",
                "choose bands that all images have, such as --bands "
                f"{','.join(choice.names) if len(choice.names) < len(names) else names[0]}",
            )
        numbers.append(choice.after)
        if choice.note and not notes:
            notes.append(Remark(choice.note))
    return names, tuple(numbers), notes


def _mask_remarks(bands: Sequence[str]) -> list[Remark]:
    """What to know where a band holds codes of clouds: a mean of codes means nothing."""
    mask_names = {name for band in QUALITY_BANDS for name in band.assets}
    masks = [name for name in bands if name in mask_names]
    others = ",".join(name for name in bands if name not in masks)
    return [
        Remark(
            f"the band {name} tells what hides the ground, and is averaged like a measurement: it "
            "masks no clouds",
            f"leave it out with --bands {others or 'NAME,...'}, and mark clouds in the files as "
            "nodata",
        )
        for name in masks
    ]


def _band_names(source: RasterSource) -> str:
    return ", ".join(band.name for band in source.bands if not band.alpha)


def _image_names(sources: Sequence[RasterSource]) -> str:
    names = ", ".join(map(_name, sources[:_MOST_NAMED]))
    further = len(sources) - _MOST_NAMED
    return f"{names} and {further} more" if further > 0 else names


def _were(sources: Sequence[RasterSource]) -> str:
    return "was" if len(sources) == 1 else "were"


def _name(source: RasterSource) -> str:
    return without_secrets(source.label)
