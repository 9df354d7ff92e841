"""What the report of a series shows beside its features: dates for the slider, and charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from geochg.report.contents import Figure
from geochg.tiling.layout import evenly
from geochg.tiling.source import RasterSource
from geochg.timeseries.chart_svg import course_svg
from geochg.timeseries.place_observations import DateQuality

if TYPE_CHECKING:
    from geochg.timeseries.charts import PlaceChart

MOST_PICTURES = 24
"""Dates of a slider: of more, a report would be too large."""

_LEAST_SHOWN = 0.5


class ChartedSeries(Protocol):
    """A result whose places can be drawn."""

    def charts(self) -> Iterable[PlaceChart]:
        """The charts of its places."""


def shown_sources(
    sources: Sequence[RasterSource], quality: Sequence[DateQuality]
) -> list[RasterSource]:
    """The images of a slider: those of which half is seen, spread evenly over the series.

    Args:
        sources: The images, the earliest first.
        quality: How much of the ground each shows.
    """
    clear_sources = [
        s for s, q in zip(sources, quality, strict=True) if q.valid_share >= _LEAST_SHOWN
    ]
    return [clear_sources[number] for number in evenly(len(clear_sources), MOST_PICTURES)]


def report_title(quality: Sequence[DateQuality]) -> str:
    """The heading of the report."""
    return f"What left its usual course from {quality[0].date} to {quality[-1].date}"


def figures_of(result: ChartedSeries) -> list[Figure]:
    """The charts of a result as drawings."""
    return [Figure(chart.title, course_svg(chart), chart.text) for chart in result.charts()]
