"""What is drawn of a place: its observations, its usual course, and when it left it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.timeseries.breaks import BreakRules, find_breaks
from geochg.timeseries.place_observations import PlaceObservations
from geochg.timeseries.place_table import PlaceTable
from geochg.timeseries.places import Blocks, ZonePlaces

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray

MOST_CHARTS = 200
"""Places that are drawn, the strongest breaks first: more are looked at by nobody."""

COURSE_COLOR, SEEN_COLOR, BREAK_COLOR = "#1f6f8b", "#333333", "#c0392b"
"""Colours of the usual course and its interval, of what was seen, and of the break."""

MOST_TITLE = 90
"""Characters of a title that are drawn."""

_INTERVAL_DATES = 240


@dataclass(frozen=True, eq=False)
class PlaceChart:
    """The course of one column of a place.

    Attributes:
        title: Name of the place.
        column: The column that is drawn.
        days: `(T,)` datetime64[D], when it was seen.
        values: `(T,)` what was seen; NaN where nothing was.
        curve_days: `(D,)` datetime64[D], dates of the usual course.
        fitted: `(D,)` the usual course.
        lower: `(D,)` lower end of the interval that holds 95 % of what follows it.
        upper: `(D,)` upper end.
        break_days: The last day on the course and the first off it; None where it was kept.
        text: The break in words; empty where there is none.
        is_early: Whether the break came before there was enough history, so that the usual course
            is that after it.
    """

    title: str
    column: str
    days: NDArray[np.datetime64]
    values: NDArray[np.float64]
    curve_days: NDArray[np.datetime64]
    fitted: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    break_days: tuple[np.datetime64, np.datetime64] | None = None
    text: str = ""
    is_early: bool = False

    @property
    def is_off(self) -> NDArray[np.bool_]:
        """`(T,)` which dates lie beyond the break, on the side that is not the usual course."""
        if self.break_days is None:
            return np.zeros(len(self.days), np.bool_)
        last_on, first_off = self.break_days
        return self.days <= last_on if self.is_early else self.days >= first_off

    @property
    def value_range(self) -> tuple[float, float]:
        """The values that are shown: all that was seen, and what of the interval lies near it.

        The interval is wide where little was known.
        """
        seen_values = self.values[np.isfinite(self.values)]
        if not len(seen_values):
            return 0.0, 1.0
        low, high = float(seen_values.min()), float(seen_values.max())
        room = (high - low) or max(abs(low), 1.0) * 0.1
        band = np.concatenate([self.lower, self.upper])
        band = band[np.isfinite(band) & (band > low - room) & (band < high + room)]
        if len(band):
            low, high = min(low, float(band.min())), max(high, float(band.max()))
        margin = 0.05 * (high - low or room)
        return low - margin, high + margin


@dataclass(frozen=True, eq=False)
class ChartedPlace:
    """A place that is to be drawn.

    Attributes:
        title: Its name.
        number: Its number.
        text: Its break in words; empty where there is none.
    """

    title: str
    number: int
    text: str = ""


def place_charts(
    charted_places: Sequence[ChartedPlace],
    observations: PlaceObservations,
    table: PlaceTable,
    watched: Sequence[str],
    rules: BreakRules,
    least_valid: float,
) -> Iterator[PlaceChart]:
    """The charts of some places, each of the column that its scores are told of.

    Args:
        charted_places: The places.
        observations: What was observed.
        table: What became of all places.
        watched: Names of the watched columns.
        rules: The rules by which breaks were found.
        least_valid: Share of a place that must be seen for a date to count.
    """
    if not charted_places:
        return
    numbers = [place.number for place in charted_places]
    values = np.concatenate(
        [observations.table(watched, slice(n, n + 1), least_valid) for n in numbers]
    )
    days = observations.days
    breaks = find_breaks(days, values, rules, interval_dates=_curve_days(days))
    curves = breaks.interval
    assert curves is not None
    for row, place in enumerate(charted_places):
        column = int(table.column[place.number])
        break_days = None
        if table.is_broken[place.number]:
            last_on, first_off = table.last_on[place.number], table.first_off[place.number]
            break_days = (days[last_on], days[first_off])
        yield PlaceChart(
            place.title,
            watched[column],
            days,
            values[row, :, column],
            curves.dates,
            curves.fitted[row, :, column],
            curves.lower[row, :, column],
            curves.upper[row, :, column],
            break_days,
            place.text,
            bool(breaks.is_early[row]),
        )


def representative_block(blocks: NDArray[np.intp], table: PlaceTable) -> int:
    """Of the blocks of a feature the one whose break has the median strength."""
    strength = np.nan_to_num(table.strength[blocks], nan=-1.0)
    return int(blocks[np.argsort(strength, kind="stable")[(len(blocks) - 1) // 2]])


def charted_features(
    features: GeoDataFrame,
    members: Sequence[NDArray[np.intp]],
    places: Blocks | ZonePlaces,
    table: PlaceTable,
) -> list[ChartedPlace]:
    """The zones of a layer, or one block of each feature; of too many the strongest breaks.

    Args:
        features: The layer.
        members: Numbers of the places of each feature.
        places: The places.
        table: What became of them.
    """
    strength = features["strength"].fillna(-1.0).to_numpy(np.float64)
    strongest = np.sort(np.argsort(-strength, kind="stable")[:MOST_CHARTS])
    charted_places = []
    for number in strongest.tolist():
        place = representative_block(members[number], table)
        caption = features["caption"].iloc[number]
        text = caption if isinstance(caption, str) else ""
        if isinstance(places, ZonePlaces):
            title = places.zones.names[place]
        else:
            row, col = divmod(place, places.shape[1])
            title = f"Feature {number + 1}, block in row {row + 1}, column {col + 1}"
        charted_places.append(ChartedPlace(title, place, text))
    return charted_places


def _curve_days(days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Days spread evenly over the series, each once, with those of the dates among them."""
    span = (days[-1] - days[0]).astype(np.int64)
    even = days[0] + np.linspace(0, span, _INTERVAL_DATES).round().astype("timedelta64[D]")
    return np.unique(np.concatenate([even, days]))
