"""A seasonal-trend decomposition as a baseline: the season of last year on the latest trend.

Source: Cleveland, Cleveland, McRae and Terpenning (1990), STL: a seasonal-trend decomposition
procedure based on loess, Journal of Official Statistics 6(1), 3-73; robust, by statsmodels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geochg.timeseries.forecasts import DAYS_PER_YEAR, MAD_TO_DEVIATION, Forecast

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MONTHS = 12
_MONTH_DAYS = DAYS_PER_YEAR / _MONTHS
# Residuals farther off than this many standard deviations count as far as this.
_CLIPPED_BEYOND = 3.5


def fit_seasonal_trend(
    days: NDArray[np.float64],
    values: NDArray[np.float64],
    history: NDArray[np.bool_],
    least_noise: NDArray[np.float64],
) -> Forecast:
    """Decomposes monthly means of each place and feature and forecasts all dates.

    Months without an observation are interpolated. Beyond the history, the trend stays at its last
    value and the season repeats that of the last year; the variance grows in proportion to the
    years that have passed, by what the trend changes within one. The season counts as twelve
    parameters and the trend as two a year, together as half of the observations at most. The noise
    is that of the residuals or of the differences between years, whichever is larger: a
    decomposition of two years follows slow deviations, which its residuals then lack.

    Args:
        days: Dates in days, (T,), ascending.
        values: (n, F, T), finite where history is True, which covers two years or more.
        history: The observations to learn from, (n, T).
        least_noise: Smallest noise that is believed, (n, F), above 0.

    Returns:
        The forecast of all T dates.
    """
    mean, deviation = np.empty(values.shape), np.empty(values.shape)
    noise = np.empty(values.shape[:2])
    count = history.sum(axis=1)
    last = days[len(days) - 1 - history[:, ::-1].argmax(axis=1)]
    years = (last - days[history.argmax(axis=1)]) / DAYS_PER_YEAR
    parameters = np.minimum(_MONTHS + 2 * years, count / 2)
    for place, is_known in enumerate(history):
        passed_years = np.maximum(days - last[place], 0) / DAYS_PER_YEAR
        for feature, series in enumerate(values[place]):
            expected, drift = _decomposed(days[is_known], series[is_known], days)
            residual = (series - expected)[is_known]
            spread = max(
                _noise(residual, parameters[place]),
                _noise_between_years(days[is_known], series[is_known]),
                least_noise[place, feature],
            )
            variance = spread**2 * (1 + parameters[place] / count[place]) + drift**2 * passed_years
            mean[place, feature] = expected
            deviation[place, feature] = np.sqrt(variance)
            noise[place, feature] = spread
    return Forecast(mean, deviation, noise, np.maximum(count - parameters, 1), parameters)


def _decomposed(
    series_days: NDArray[np.float64], series: NDArray[np.float64], days: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The expectation at all days, and the deviation of the trend from one year to the next."""
    from statsmodels.tsa.seasonal import STL

    month = ((series_days - series_days[0]) // _MONTH_DAYS).astype(np.intp)
    months = max(int(month[-1]) + 1, 2 * _MONTHS)
    count = np.bincount(month, minlength=months)
    total = np.bincount(month, series, minlength=months)
    middle = series_days[0] + (np.arange(months) + 0.5) * _MONTH_DAYS
    filled = np.interp(middle, middle[count > 0], total[count > 0] / count[count > 0])
    parts = STL(filled, period=_MONTHS, robust=True).fit()
    # The season goes on for as long as there are dates.
    extra_months = max(int(np.ceil((days[-1] - middle[-1]) / _MONTH_DAYS)), 0) + 1
    season = np.concatenate([parts.seasonal, np.resize(parts.seasonal[-_MONTHS:], extra_months)])
    trend = np.concatenate([parts.trend, np.full(extra_months, parts.trend[-1])])
    every_middle = middle[0] + np.arange(months + extra_months) * _MONTH_DAYS
    yearly_change = parts.trend[_MONTHS:] - parts.trend[:-_MONTHS]
    drift = float(np.sqrt((yearly_change**2).mean()))
    return np.interp(days, every_middle, trend + season), drift


def _noise(residual: NDArray[np.float64], parameters: float) -> float:
    """The deviation of residuals that have cost parameters, outliers clipped."""
    if not len(residual):
        return 0.0
    size = np.abs(residual)
    freedom = max(len(size) - parameters, 1)
    limit = _CLIPPED_BEYOND * MAD_TO_DEVIATION * np.median(size) * np.sqrt(len(size) / freedom)
    clipped = np.minimum(size, limit) if limit > 0 else size
    return float(np.sqrt((clipped**2).sum() / freedom))


def _noise_between_years(series_days: NDArray[np.float64], series: NDArray[np.float64]) -> float:
    """The deviation of an observation by its differences from what lies a year before it."""
    follows = series_days - series_days[0] >= DAYS_PER_YEAR
    year_before = np.interp(series_days[follows] - DAYS_PER_YEAR, series_days, series)
    return _noise((series[follows] - year_before) / np.sqrt(2), 0)
