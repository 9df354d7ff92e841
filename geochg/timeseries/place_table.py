"""One row a place: when it left its usual course, what it was before and after, the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.records import CANNOT_TELL, LAND_COVER
from geochg.timeseries.break_table import BREAK, Breaks
from geochg.timeseries.place_observations import PlaceObservations

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_DATE = -1
"""Stands for the date of a place that kept its course."""

_NEAR_DAYS = 366
"""Land cover before and after a break is that of the year on either side."""

_LEAST_SHARE = 0.5
"""Share of the ground, over all dates looked at, that the named land cover must have."""

_CHUNK_PLACES = 20_000


@dataclass(frozen=True, eq=False)
class PlaceTable:
    """What became of `N` places.

    Attributes:
        status: `(N,)` text, one of `break_table.STATUSES`.
        last_on: `(N,)` int, number of the last date on the usual course; `NO_DATE` where none.
        first_off: `(N,)` int, number of the first date off it; likewise.
        column: `(N,)` int, number of the watched column that left its course; of places that kept
            it the first. The scores are those of this column.
        difference: `(N,)` by how much it changed, new minus old; NaN where it did not.
        strength: `(N,)` the same in standard deviations of the residuals.
        persistence: `(N,)` share 0-1 of the later dates that lie off the old course.
        rmse: `(N,)` root of the mean squared residual of the usual course.
        aic: `(N,)` Akaike's information criterion of it.
        coverage: `(N,)` share 0-1 of held-out observations inside the 95 % interval.
        forecasts: `(N,)` number of these observations.
        dates: `(N,)` number of dates at which the place was seen.
        valid_share: `(N,)` mean share of the place that is seen.
        before_class: `(N,)` uint8, index into `LAND_COVER` or `CANNOT_TELL`; of places that kept
            their course that of all dates.
        after_class: `(N,)` likewise.
    """

    status: NDArray[np.str_]
    last_on: NDArray[np.intp]
    first_off: NDArray[np.intp]
    column: NDArray[np.intp]
    difference: NDArray[np.float64]
    strength: NDArray[np.float64]
    persistence: NDArray[np.float64]
    rmse: NDArray[np.float64]
    aic: NDArray[np.float64]
    coverage: NDArray[np.float64]
    forecasts: NDArray[np.intp]
    dates: NDArray[np.intp]
    valid_share: NDArray[np.float64]
    before_class: NDArray[np.uint8]
    after_class: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.status)

    @property
    def is_broken(self) -> NDArray[np.bool_]:
        """`(N,)` whether a place left its usual course."""
        return np.asarray(self.status == BREAK)


def place_table(breaks: Breaks, observations: PlaceObservations, least_valid: float) -> PlaceTable:
    """The table of what became of places.

    Args:
        breaks: What a method found, place by place.
        observations: What was observed of the same places.
        least_valid: Share of a place that must be seen for a date to count.
    """
    days = observations.days
    last_on, first_off = (_numbers(days, dates) for dates in (breaks.break_from, breaks.break_to))
    is_broken = breaks.status == BREAK
    column = np.where(is_broken, np.maximum(breaks.feature, 0), 0)
    rows = np.arange(len(breaks))
    before, after = _classes(observations, days, last_on, first_off, least_valid)
    return PlaceTable(
        breaks.status,
        last_on,
        first_off,
        column,
        breaks.shift[rows, column],
        breaks.strength,
        breaks.persistence,
        breaks.rmse[rows, column],
        breaks.aic[rows, column],
        breaks.coverage,
        breaks.forecasts,
        breaks.observations,
        observations.seen.mean(axis=0, dtype=np.float64),
        before,
        after,
    )


def _numbers(days: NDArray[np.datetime64], dates: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """The number of each date; `NO_DATE` for those that are none."""
    is_date = ~np.isnat(dates)
    numbers = np.full(len(dates), NO_DATE, np.intp)
    numbers[is_date] = np.searchsorted(days, dates[is_date])
    return numbers


def _classes(
    observations: PlaceObservations,
    days: NDArray[np.datetime64],
    last_on: NDArray[np.intp],
    first_off: NDArray[np.intp],
    least_valid: float,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The land cover of each place before and after its break."""
    before, after = (np.full(len(last_on), CANNOT_TELL, np.uint8) for _ in range(2))
    if observations.covers is None:
        return before, after
    for start in range(0, len(last_on), _CHUNK_PLACES):
        part = slice(start, start + _CHUNK_PLACES)
        covers = np.asarray(observations.covers[:, part], np.float64)
        weights = np.where(observations.seen[:, part] >= least_valid, observations.seen[:, part], 0)
        last, first = last_on[part], first_off[part]
        is_stable = last == NO_DATE
        numbers = np.arange(len(days))[:, None]
        is_before = is_stable | ((numbers <= last) & (days[last] - days[:, None] <= _NEAR_DAYS))
        is_after = is_stable | ((numbers >= first) & (days[:, None] - days[first] <= _NEAR_DAYS))
        before[part] = _commonest(covers, weights * is_before)
        after[part] = _commonest(covers, weights * is_after)
    return before, after


def _commonest(covers: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The land cover of most of each place, `(n,)`, of covers `(T, n, k)` and weights `(T, n)`."""
    shares = np.einsum("tnk,tn->nk", covers, weights)
    code = shares.argmax(axis=1).astype(np.uint8)
    is_clear = shares.max(axis=1) > _LEAST_SHARE * weights.sum(axis=0)
    return np.where(is_clear, code, CANNOT_TELL).astype(np.uint8)


def cover_name(code: int) -> str | None:
    """The name of a land cover; None where it cannot be told."""
    return None if code == CANNOT_TELL else LAND_COVER[code]


def status_counts(table: PlaceTable, pixels: Sequence[int] | NDArray[np.int64]) -> dict[str, int]:
    """How many places became what; those without pixels do not count."""
    names, counts = np.unique(table.status[np.asarray(pixels) > 0], return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}
