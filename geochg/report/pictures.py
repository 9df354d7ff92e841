"""From images to pictures: three bands or one, stretched for the eye as models are shown them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from odc.geo.geobox import GeoBox

from geochg.errors import InputError, OptionError
from geochg.options import AlignMode, AnalyzeOptions
from geochg.report.contents import DatedPicture
from geochg.safety.untrusted_text import without_secrets
from geochg.tiling.date_reader import DatePlan
from geochg.tiling.pair import PlacedPair, RasterPair
from geochg.tiling.preparation import prepare
from geochg.tiling.read import ReadPlan
from geochg.tiling.series_dates import date_of
from geochg.tiling.source import RasterSource


def pictures_of(
    sources: Sequence[RasterSource],
    grid: GeoBox,
    options: AnalyzeOptions,
    alignments: Sequence[Mapping[str, Any] | None] = (),
) -> tuple[DatedPicture, ...]:
    """The pictures of images that were opened.

    Args:
        sources: The images, the earliest first.
        grid: The grid they are shown on.
        options: The options of the run.
        alignments: How each date from the second on was found to lie off the first, as
            `Preparation.alignment` tells it; what was corrected is corrected here.

    Raises:
        InputError: If an image has nothing that can be shown.
    """
    if len(sources) == 1:
        plan = _plan(sources[0], sources[0], grid, options, None)
        return (_picture(sources[0], plan.before),)
    pictures: list[DatedPicture] = []
    for number, source in enumerate(sources[1:]):
        alignment = alignments[number] if number < len(alignments) else None
        plan = _plan(sources[0], source, grid, options, alignment)
        if not pictures:
            pictures.append(_picture(sources[0], plan.before))
        pictures.append(_picture(source, plan.after))
    return tuple(pictures)


def picture_name(path: str) -> str:
    """What a report calls an image: the last part of its name."""
    name = without_secrets(path)
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2] or name


def _picture(source: RasterSource, plan: DatePlan) -> DatedPicture:
    return DatedPicture(picture_name(source.label), date_of(source).text, plan)


def _plan(
    first: RasterSource,
    second: RasterSource,
    grid: GeoBox,
    options: AnalyzeOptions,
    alignment: Mapping[str, Any] | None,
) -> ReadPlan:
    """How two dates are read as pictures."""
    placed_pair = PlacedPair(first, second, grid, None, (), is_alone=first is second)
    pair = _shown_pair(placed_pair, options)
    is_field = bool(alignment and alignment.get("corrected") and alignment.get("field"))
    preparation = prepare(
        pair,
        AlignMode.FIELD if is_field else AlignMode.OFF,
        pixels="display",
        match=options.match and first is not second,
    )
    plan = preparation.plan(pair)
    if is_field or not alignment or not alignment.get("corrected"):
        return plan
    displacement_px = (float(alignment["dx_px"]), float(alignment["dy_px"]))
    return replace(plan, after=replace(plan.after, displacement_px=displacement_px))


def _shown_pair(placed_pair: PlacedPair, options: AnalyzeOptions) -> RasterPair:
    """The pair with the bands of a picture: its colours, else what the run compared."""
    if {placed_pair.before.dtype, placed_pair.after.dtype} == {"uint8"}:
        # They are shown as they are, so that what fills them up to their frame disturbs nothing.
        options = replace(options, keep_collars=True)
    try:
        return placed_pair.with_bands(options, "rgb")
    except (InputError, OptionError):
        pass
    try:
        return placed_pair.with_bands(options, "all")
    except OptionError:
        return placed_pair.with_bands(replace(options, bands=()), "all")
