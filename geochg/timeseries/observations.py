"""Series as they come, and as they are monitored: in order, one row a date, gaps marked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from geochg.errors import InputError
from geochg.timeseries.forecasts import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_EPOCH = np.datetime64("2000-01-01", "D")


@dataclass(frozen=True, slots=True)
class Observations:
    """Series of N places, with dates in ascending order and each once.

    Attributes:
        days: Dates in days since 2000, (T,), ascending, float64; of a reversed series, negative.
        is_scene: Days of scenes, (T,), bool; others are days at which a forecast is wanted.
        values: (N, F, T), float64; NaN where not observed.
        observed: The dates at which a place was observed, (N, T), bool.
        used: Features that a place has and that vary there, (N, F), bool.
    """

    days: NDArray[np.float64]
    is_scene: NDArray[np.bool_]
    values: NDArray[np.float64]
    observed: NDArray[np.bool_]
    used: NDArray[np.bool_]

    @property
    def count(self) -> NDArray[np.intp]:
        """The number of observations of each place, (N,)."""
        count: NDArray[np.intp] = self.observed.sum(axis=1)
        return count

    @property
    def years(self) -> NDArray[np.float64]:
        """Years from the first to the last observation of each place, (N,); 0 where none."""
        first = self.days[self.observed.argmax(axis=1)]
        last = self.days[len(self.days) - 1 - self.observed[:, ::-1].argmax(axis=1)]
        years: NDArray[np.float64] = np.where(self.count > 0, (last - first) / DAYS_PER_YEAR, 0.0)
        return years

    def select(self, places: slice | NDArray[np.intp]) -> Observations:
        """The series of some places."""
        return replace(
            self,
            values=self.values[places],
            observed=self.observed[places],
            used=self.used[places],
        )

    def reversed(self) -> Observations:
        """The same series from the last date to the first."""
        return Observations(
            -self.days[::-1],
            self.is_scene[::-1],
            self.values[:, :, ::-1],
            self.observed[:, ::-1],
            self.used,
        )


def days_of(dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Dates as days since 2000, float64."""
    return (dates.astype("datetime64[D]") - _EPOCH).astype(np.float64)


def dates_of(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """The dates of days since 2000, datetime64[D]."""
    return _EPOCH + days.astype("timedelta64[D]")


def checked_dates(dates: ArrayLike) -> NDArray[np.datetime64]:
    """The dates of a series as datetime64[D], (T,).

    Raises:
        InputError: If there is none, or one that is no date.
    """
    try:
        days = np.asarray(dates, "datetime64[D]")
    except (TypeError, ValueError) as error:
        raise InputError(f"the dates of the series: {error}", "give dates as 2024-06-30") from None
    if days.ndim != 1 or not len(days):
        raise InputError("the series has no dates", "give a date for each scene")
    if np.isnat(days).any():
        position = int(np.isnat(days).argmax()) + 1
        raise InputError(
            f"scene {position} of the series has no date", "give a date for each scene"
        )
    return days


def ordered_observations(
    dates: NDArray[np.datetime64],
    values: NDArray[np.floating],
    more_dates: NDArray[np.datetime64] | None = None,
) -> Observations:
    """Sorts a series by date and merges scenes of one day by their mean.

    Args:
        dates: Dates in any order, (T,), datetime64[D].
        values: (N, T, F), any float; what is not finite was not observed.
        more_dates: Dates without observations that the series is to have too.

    Raises:
        InputError: If the shapes do not fit.
    """
    if values.ndim != 3 or values.shape[1] != len(dates):
        raise InputError(
            f"values of shape {values.shape} do not fit {len(dates)} dates",
            "give an array of places, dates and features",
        )
    every_date = dates if more_dates is None else np.concatenate([dates, more_dates])
    days = np.unique(every_date)
    merged = np.full((values.shape[0], values.shape[2], len(days)), np.nan)
    for row, day in enumerate(days):
        scenes = np.asarray(values[:, dates == day], np.float64)
        finite = np.isfinite(scenes)
        count = finite.sum(axis=1)
        total = np.where(finite, scenes, 0).sum(axis=1)
        merged[:, :, row] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return _with_gaps(days, np.isin(days, dates), merged)


def _with_gaps(
    days: NDArray[np.datetime64], is_scene: NDArray[np.bool_], values: NDArray[np.float64]
) -> Observations:
    """Marks what was observed, and the features that a place has at all."""
    finite = np.isfinite(values)
    often = finite.sum(axis=2)
    # A feature that is mostly missing would take the dates of the others with it.
    has_feature = (often > 0) & (2 * often >= often.max(axis=1, keepdims=True, initial=0))
    observed = (finite | ~has_feature[:, :, None]).all(axis=1) & has_feature.any(axis=1)[:, None]
    is_value = observed[:, None] & has_feature[:, :, None]
    highest = np.where(is_value, values, -np.inf).max(axis=2, initial=-np.inf)
    lowest = np.where(is_value, values, np.inf).min(axis=2, initial=np.inf)
    # Features that a place lacks are 0 throughout, so that they fit and never leave their interval.
    filled = np.where(observed[:, None], np.where(is_value, values, 0.0), np.nan)
    return Observations(days_of(days), is_scene, filled, observed, has_feature & (highest > lowest))
