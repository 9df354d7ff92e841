"""What a report shows of a run: its title, its grid, and the pictures of its images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from odc.geo.geobox import GeoBox

from geochg.errors import InputError, OptionError
from geochg.options import AnalyzeOptions
from geochg.report.contents import DatedPicture, ReportContents
from geochg.report.metadata_text import sources_of
from geochg.report.pictures import picture_name, pictures_of
from geochg.tiling.source import RasterSource

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame


def contents_of_run(
    frames: Callable[[], Iterable[GeoDataFrame]],
    metadata: Mapping[str, Any],
    sources: Sequence[RasterSource],
    grid: GeoBox,
    options: AnalyzeOptions,
    zones: DataFrame | None = None,
) -> ReportContents:
    """What the report of a run shows while its images are open.

    A run is not lost because its images cannot be shown: then the report says so.

    Args:
        frames: A function that gives the tables of features.
        metadata: The `geochg` member of the outputs.
        sources: The images, the earliest first.
        grid: The grid of the run.
        options: Its options.
        zones: The table of zones; None where there are none.
    """
    pictures: tuple[DatedPicture, ...] = ()
    notes = []
    try:
        pictures = pictures_of(sources, grid, options, alignments_of(metadata))
    except (InputError, OptionError) as error:
        notes.append(f"The report has no pictures: {error.message}.")
    return ReportContents(title_of(metadata), frames, metadata, grid, pictures, zones, notes=notes)


def title_of(metadata: Mapping[str, Any]) -> str:
    """The heading of a report where its user gives none."""
    sources = [source for _, source in sources_of(metadata)]
    names = [
        str(source.get("date") or picture_name(str(source.get("path") or ""))) for source in sources
    ]
    if len(names) == 1:
        return f"What {picture_name(str(sources[0].get('path') or 'the image'))} shows"
    return f"What changed from {names[0]} to {names[-1]}" if names else "What changed"


def alignments_of(metadata: Mapping[str, Any]) -> list[dict[str, Any] | None]:
    """How each date from the second on lies off the first, as far as it was corrected.

    Of a series the steps are measured from date to date, so that their shifts add up; the last
    date was also measured against the first.
    """
    last = _alignment(metadata)
    series = metadata.get("series")
    steps = series.get("steps") if isinstance(series, Mapping) else None
    if not isinstance(steps, Sequence) or not steps:
        return [last]
    shifts = [_alignment(step) if isinstance(step, Mapping) else None for step in steps]
    return [*accumulate(shifts[:-1], _sum_of_shifts), last]


def _alignment(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was corrected; None where nothing was."""
    alignment = facts.get("alignment")
    if not isinstance(alignment, Mapping) or not alignment.get("corrected"):
        return None
    shift = [alignment.get(name) for name in ("dx_px", "dy_px")]
    return dict(alignment) if all(isinstance(value, int | float) for value in shift) else None


def _sum_of_shifts(
    first: dict[str, Any] | None, second: dict[str, Any] | None
) -> dict[str, Any] | None:
    if first is None or second is None:
        return first or second
    sums = {name: first[name] + second[name] for name in ("dx_px", "dy_px")}
    return {**second, **sums, "field": None}


def options_of(metadata: Mapping[str, Any]) -> AnalyzeOptions:
    """The options that say how the images are shown; the defaults where they make no sense."""
    options = metadata.get("options")
    names = ("bands", "nodata", "dates", "match", "keep_collars")
    options = options if isinstance(options, dict) else {}
    values = {name: options[name] for name in names if name in options}
    try:
        return AnalyzeOptions.from_dict(values)
    except OptionError:
        return AnalyzeOptions()
