"""Rows of the table of breaks from what monitoring found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geochg.timeseries.break_table import BREAK, Breaks, FittedInterval
from geochg.timeseries.monitoring import NOMINAL_COVERAGE, MonitoredPlaces
from geochg.timeseries.observations import Observations, dates_of, days_of
from geochg.timeseries.student_t import two_sided_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TINY = 1e-300


def empty_breaks(
    status: NDArray[np.str_],
    observations: Observations,
    needed: NDArray[np.intp],
    interval_dates: NDArray[np.datetime64] | None,
) -> Breaks:
    """A table without breaks, fits or intervals.

    Args:
        status: The status of each place, (N,).
        observations: The series.
        needed: Observations that each place needs, (N,).
        interval_dates: Dates of the intervals to be filled in; None for none.
    """
    n, features, _ = observations.values.shape
    no_date = np.full(n, np.datetime64("NaT", "D"))
    interval = None
    if interval_dates is not None:
        shape = (n, len(interval_dates), features)
        interval = FittedInterval(interval_dates, *(np.full(shape, np.nan) for _ in range(3)))
    return Breaks(
        status=status,
        break_date=no_date,
        break_from=no_date.copy(),
        break_to=no_date.copy(),
        feature=np.full(n, -1),
        shift=np.full((n, features), np.nan),
        strength=np.full(n, np.nan),
        persistence=np.full(n, np.nan),
        is_early=np.zeros(n, bool),
        observations=observations.count,
        needed=needed,
        rmse=np.full((n, features), np.nan),
        aic=np.full((n, features), np.nan),
        coverage=np.full(n, np.nan),
        forecasts=np.zeros(n, np.intp),
        interval=interval,
    )


def fill_breaks(
    breaks: Breaks,
    places: NDArray[np.intp],
    observations: Observations,
    monitored: MonitoredPlaces,
    consecutive: NDArray[np.intp],
    *,
    is_backward: bool = False,
) -> None:
    """Writes the outcome of monitoring some places into the breaks."""
    residual = observations.values - monitored.forecast.mean
    residual = np.where(observations.used[:, :, None], residual, np.nan)
    count = np.maximum(monitored.history.sum(axis=1), 1)[:, None]
    squares = np.where(monitored.history[:, None], residual**2, 0).sum(axis=2) / count
    breaks.rmse[places] = np.sqrt(squares)
    parameters = monitored.forecast.parameters[:, None] + 1
    breaks.aic[places] = count * np.log(np.maximum(squares, _TINY)) + 2 * parameters
    was_forecast = np.isfinite(monitored.covered_share)
    breaks.forecasts[places] = was_forecast.sum(axis=1)
    total = np.where(was_forecast, monitored.covered_share, 0).sum(axis=1)
    breaks.coverage[places] = np.where(
        was_forecast.any(axis=1), total / np.maximum(was_forecast.sum(axis=1), 1), np.nan
    )
    days = -observations.days if is_backward else observations.days
    if breaks.interval is not None:
        _fill_interval(breaks.interval, places, days, observations, monitored)
    rows = np.flatnonzero(monitored.first_off >= 0)
    since = observations.observed & (np.arange(len(days)) >= monitored.first_off[:, None])
    confirming = since & (np.cumsum(since, axis=1) <= consecutive[:, None])
    shift = _median_of(residual[rows], confirming[rows])
    feature, broken = monitored.feature[rows], places[rows]
    size = np.abs(shift[np.arange(len(rows)), feature])
    breaks.strength[broken] = size / monitored.forecast.noise[rows, feature]
    breaks.shift[broken] = -shift if is_backward else shift
    breaks.persistence[broken] = monitored.persistence[rows]
    breaks.feature[broken] = feature
    breaks.is_early[broken] = is_backward
    breaks.status[broken] = BREAK
    off_day, on_day = days[monitored.first_off[rows]], days[monitored.last_on[rows]]
    # Seen from the end, what is off its course is what was there before.
    breaks.break_from[broken], breaks.break_to[broken] = map(
        dates_of, (off_day, on_day) if is_backward else (on_day, off_day)
    )
    breaks.break_date[broken] = breaks.break_to[broken]


def _fill_interval(
    interval: FittedInterval,
    places: NDArray[np.intp],
    days: NDArray[np.float64],
    observations: Observations,
    monitored: MonitoredPlaces,
) -> None:
    position = {day: index for index, day in enumerate(days.tolist())}
    rows = np.array([position[day] for day in days_of(interval.dates).tolist()])
    forecast = monitored.forecast
    mean = np.where(observations.used[:, :, None], forecast.mean[:, :, rows], np.nan)
    limit = two_sided_quantile(forecast.dof, NOMINAL_COVERAGE)[:, None, None]
    half = limit * forecast.deviation[:, :, rows]
    interval.fitted[places] = mean.swapaxes(1, 2)
    interval.lower[places] = (mean - half).swapaxes(1, 2)
    interval.upper[places] = (mean + half).swapaxes(1, 2)


def _median_of(values: NDArray[np.float64], flags: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The median of the flagged rows of each place, (n, F), at least one each; NaN stays NaN."""
    ascending = np.sort(np.where(flags[:, None], values, np.inf), axis=2)
    count = flags.sum(axis=1)
    low, high = (
        np.take_along_axis(ascending, middle[:, None, None], axis=2)[:, :, 0]
        for middle in ((count - 1) // 2, count // 2)
    )
    missing = np.isnan(np.where(flags[:, None], values, 0)).any(axis=2)
    return np.where(missing, np.nan, (low + high) / 2)
