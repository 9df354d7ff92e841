"""A vector autoregression as a baseline: what the next observations follow from the last ones.

Source: Lütkepohl (2005), New Introduction to Multiple Time Series Analysis, chapters 2 and 3; the
order by Akaike's criterion, by statsmodels.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.timeseries.forecasts import Forecast

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_LAGS = 4
# Observations for each parameter of an equation; with fewer, features stand alone.
_OBSERVATIONS_PER_PARAMETER = 3


def fit_autoregression(
    days: NDArray[np.float64],
    values: NDArray[np.float64],
    history: NDArray[np.bool_],
    least_noise: NDArray[np.float64],
) -> Forecast:
    """Fits an autoregression to the history of each place and forecasts the observations after it.

    Observations count in their order, whatever the time between them. All features of a place
    explain each other where there are three observations or more for each parameter and no feature
    is a sum of others; else each explains itself. Where a place was not observed, the forecast is
    interpolated.

    Args:
        days: Dates in days, (T,), ascending.
        values: (n, F, T), finite where history is True and wherever a place was observed.
        history: The observations to learn from, (n, T).
        least_noise: Smallest noise that is believed, (n, F), above 0.

    Returns:
        The forecast of all T dates.
    """
    mean, deviation = np.empty(values.shape), np.empty(values.shape)
    noise = np.empty(values.shape[:2])
    parameters = np.empty(len(values))
    is_observed = np.all(np.isfinite(values), axis=1)
    for place, is_history in enumerate(history):
        is_later = is_observed[place] & (days > days[is_history][-1])
        steps = max(int(is_later.sum()), 1)
        fit = _fit_place(values[place][:, is_history].T, least_noise[place], steps)
        fitted_days = np.concatenate([days[is_history], days[is_later]])
        for feature in range(values.shape[1]):
            rows = slice(0, len(fitted_days))
            mean[place, feature] = np.interp(days, fitted_days, fit.mean[rows, feature])
            deviation[place, feature] = np.interp(days, fitted_days, fit.deviation[rows, feature])
        noise[place], parameters[place] = fit.noise, fit.parameters
    dof = np.maximum(history.sum(axis=1) - parameters, 1)
    return Forecast(mean, deviation, noise, dof, parameters)


@dataclass(frozen=True, slots=True)
class _PlaceFit:
    """The autoregression of one place.

    Attributes:
        mean: Expectation of the m known and the later observations, (m + steps, F).
        deviation: Standard deviation of new observations about it, likewise.
        noise: Standard deviation of the residuals, (F,), above 0.
        parameters: Number of parameters of its largest equation.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    noise: NDArray[np.float64]
    parameters: float


def _fit_place(
    series: NDArray[np.float64], least_noise: NDArray[np.float64], steps: int
) -> _PlaceFit:
    """Fits the features of one place, together where there are observations enough.

    Args:
        series: The history, (m, F).
        least_noise: Smallest noise that is believed, (F,).
        steps: How many later observations are forecast.
    """
    observations = len(series)
    varies = np.flatnonzero(np.ptp(series, axis=0) > 0)
    mean = np.repeat(series.mean(axis=0)[None], observations + steps, axis=0)
    deviation = np.repeat(np.maximum(series.std(axis=0), least_noise)[None], len(mean), axis=0)
    noise = np.maximum(series.std(axis=0), least_noise)
    lags = observations // _OBSERVATIONS_PER_PARAMETER - 1
    joint = lags // max(len(varies), 1)
    is_joint = len(varies) > 1 and joint > 0 and _is_of_full_rank(series[:, varies])
    groups = [varies] if is_joint else [varies[[index]] for index in range(len(varies))]
    most_lags = min(joint if is_joint else lags, _MOST_LAGS)
    parameters = 1.0
    for group in groups:
        part = _group(series[:, group], most_lags, steps)
        count = 1 + part.lags * len(group)
        # The variance of a forecast for parameters that are estimated: Lütkepohl (2005), 3.5.
        growth = np.sqrt((observations + count) / max(observations - count, 1))
        mean[:, group] = part.mean
        deviation[:, group] = np.maximum(part.deviation * growth, least_noise[group])
        noise[group] = np.maximum(part.noise, least_noise[group])
        parameters = max(parameters, float(count))
    return _PlaceFit(mean, deviation, noise, parameters)


@dataclass(frozen=True, slots=True)
class _Group:
    """Features that explain each other.

    Attributes:
        mean: Expectation of the m known and the later observations, (m + steps, G).
        deviation: Standard deviation about it, parameters taken for series, likewise.
        noise: Standard deviation of the residuals, (G,).
        lags: How many earlier observations explain one.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    noise: NDArray[np.float64]
    lags: int


def _group(series: NDArray[np.float64], most_lags: int, steps: int) -> _Group:
    with warnings.catch_warnings():
        # statsmodels warns of dates that it is not given, and of orders that it does not choose.
        warnings.simplefilter("ignore")
        if most_lags > 0:
            explain = _vector if series.shape[1] > 1 else _scalar
            group = explain(series, most_lags, steps)
            if group is not None and np.isfinite(group.mean).all():
                return group
    noise = series.std(axis=0, ddof=1)
    shape = (len(series) + steps, 1)
    return _Group(np.tile(series.mean(axis=0), shape), np.tile(noise, shape), noise, 0)


def _vector(series: NDArray[np.float64], most_lags: int, steps: int) -> _Group | None:
    """The vector autoregression; None where earlier observations explain nothing, or run away."""
    from statsmodels.tsa.api import VAR

    fit = VAR(series).fit(maxlags=most_lags, ic="aic")
    if fit.k_ar == 0 or not fit.is_stable():
        return None
    noise = np.sqrt(np.diag(fit.sigma_u))
    mean = [
        np.tile(series.mean(axis=0), (fit.k_ar, 1)),
        fit.fittedvalues,
        fit.forecast(series[-fit.k_ar :], steps),
    ]
    later_deviation = np.sqrt([np.diag(covariance) for covariance in fit.mse(steps)])
    deviation = np.concatenate([np.tile(noise, (len(series), 1)), later_deviation])
    return _Group(np.concatenate(mean), deviation, noise, int(fit.k_ar))


def _scalar(series: NDArray[np.float64], most_lags: int, steps: int) -> _Group | None:
    """The autoregression of one feature; None as for the vector."""
    from statsmodels.tsa.ar_model import ar_select_order

    fit = ar_select_order(series[:, 0], most_lags, ic="aic").model.fit()
    lags = max(fit.ar_lags, default=0) if fit.ar_lags else 0
    if lags == 0 or (np.abs(fit.roots) <= 1).any():
        return None
    prediction = fit.get_prediction(lags, len(series) + steps - 1)
    noise = np.sqrt(fit.sigma2 * len(series) / max(len(series) - lags - 1, 1))
    mean = np.concatenate([np.full(lags, series.mean()), prediction.predicted_mean])
    deviation = np.concatenate([np.full(lags, noise), prediction.se_mean])
    deviation[: len(series)] = noise
    return _Group(mean[:, None], deviation[:, None], np.array([noise]), lags)


def _is_of_full_rank(series: NDArray[np.float64]) -> bool:
    """Whether no feature is a sum of others, as shares are that make up 1."""
    scaled = (series - series.mean(axis=0)) / series.std(axis=0)
    return bool(np.linalg.matrix_rank(scaled, tol=1e-6 * len(series)) == series.shape[1])
