"""Robust harmonic regression: a mean, a trend and the harmonics of the year.

The model is that of Zhu and Woodcock (2014), Remote Sensing of Environment 144, 152-171, equation
2, and of Verbesselt, Zeileis and Herold (2012), Remote Sensing of Environment 123, 98-108. Of the
libraries, nrt 0.3 needs numba, netCDF4 and a package of sample data, knows one band and gives no
intervals; bfast 0.7 dates from 2021 and builds on OpenCL: so the few equations stand here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from geochg.timeseries.forecasts import DAYS_PER_YEAR, Forecast

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_HARMONICS = 3

# Zhu and Woodcock (2014) fit 4, 6 and 8 parameters to 12, 18 and 24 observations; the shrinkage
# below lets the first harmonic in earlier.
_LEAST_OBSERVATIONS = (8, 18, 24)
_LEAST_YEARS_OF_TREND = 3.0
_LEAST_OBSERVATIONS_OF_TREND = 8
_BLOCKS = 5
_ABSOLUTE_STEPS = 4
_REJECTION_STEPS = 2
# Observations farther off than this many standard deviations count as clouds that a mask missed.
_REJECTED_BEYOND = 3.5
_MAD_TO_DEVIATION = 1.4826
_FIRST_SHRINKAGE = 0.1
_LEAST_SHRINKAGE = 0.01
# Of the spread of the values; below it the weight of a small residual grows no more.
_SMALLEST_RESIDUAL = 0.05
_NEVER = 1e9
_TINY = 1e-9


def fit_harmonic(
    days: NDArray[np.float64],
    values: NDArray[np.float64],
    history: NDArray[np.bool_],
    least_noise: NDArray[np.float64],
) -> Forecast:
    """Fits the harmonic regression to the history of each place and forecasts all dates.

    Least absolute deviations come first; observations that lie far from them are dropped and the
    others fitted by least squares (reweighted least squares: Rousseeuw and Leroy 1987, Robust
    Regression and Outlier Detection). Amplitudes and the trend are shrunk by a normal prior as wide
    as the values vary, which keeps seasons that were never observed uncertain instead of wild. The
    noise comes from errors of blocks of consecutive observations that were left out of the fit, so
    correlated residuals widen it.

    Args:
        days: Dates in days, (T,), ascending.
        values: (n, T, F), finite where history is True.
        history: The observations to learn from, (n, T).
        least_noise: Smallest noise that is believed, (n, F), above 0.

    Returns:
        The forecast of all T dates.
    """
    history_y, center, spread = _standardised(values, history, least_noise)
    floor = least_noise / spread
    design = _design(days)
    prior, count = _prior(days, history)
    observed = history.astype(np.float64)
    weights = observed
    shrinkage = np.full(len(values), _FIRST_SHRINKAGE)
    for _ in range(_ABSOLUTE_STEPS):
        coefficients, _, _ = _solve(design, weights, history_y, prior, shrinkage)
        residual = history_y - design @ coefficients
        weights = observed / np.maximum(np.abs(residual).max(axis=2), _SMALLEST_RESIDUAL)
    noise = np.maximum(_median_noise(residual, history, count), floor)
    for _ in range(_REJECTION_STEPS):
        shrinkage = _shrinkage(noise)
        distance = (np.abs(residual) / noise[:, None, :]).max(axis=2, keepdims=True)
        # Half of the observations stay, whatever the noise of a feature.
        limit = np.maximum(_median(distance, history), _REJECTED_BEYOND)
        weights = np.where(distance[:, :, 0] > limit, 0.0, observed)
        coefficients, inverse, parameters = _solve(design, weights, history_y, prior, shrinkage)
        residual = history_y - design @ coefficients
        block_noise = _left_out_noise(design, weights, history_y, prior, shrinkage)
        noise = np.maximum(block_noise, floor)
    leverage = ((design @ inverse) * design).sum(axis=2)
    deviation = noise[:, None, :] * np.sqrt(1 + np.maximum(leverage, 0))[:, :, None]
    return Forecast(
        mean=design @ coefficients * spread[:, None] + center[:, None],
        deviation=deviation * spread[:, None],
        noise=noise * spread,
        dof=np.maximum(weights.sum(axis=1) - parameters, 1),
        parameters=parameters,
    )


def _design(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """The columns of the regression, (T, 2 + 2 * MOST_HARMONICS): 1, years, cosines and sines."""
    years = (days - days.mean()) / DAYS_PER_YEAR
    columns = [np.ones(len(days)), years]
    for order in range(1, MOST_HARMONICS + 1):
        # The phase counts from the days' own origin, not from their mean: any will do.
        phase = 2 * np.pi * order * days / DAYS_PER_YEAR
        columns += [np.cos(phase), np.sin(phase)]
    return np.stack(columns, axis=1)


def _prior(
    days: NDArray[np.float64], history: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision of each column's coefficient for a shrinkage of 1, (n, P), and their number."""
    observations = history.sum(axis=1)
    first = days[history.argmax(axis=1)]
    last = days[len(days) - 1 - history[:, ::-1].argmax(axis=1)]
    span = np.maximum((last - first) / DAYS_PER_YEAR, 1 / DAYS_PER_YEAR)
    prior = np.full((len(history), 2 + 2 * MOST_HARMONICS), _NEVER)
    prior[:, 0] = 0
    has_trend = (observations >= _LEAST_OBSERVATIONS_OF_TREND) & (span >= _LEAST_YEARS_OF_TREND)
    # Over its whole span a trend changes a place by as much as its values vary.
    prior[:, 1] = np.where(has_trend, span**2, _NEVER)
    for order, least in enumerate(_LEAST_OBSERVATIONS, start=1):
        precision = np.where(observations >= least, order**2, _NEVER)
        prior[:, 2 * order : 2 * order + 2] = precision[:, None]
    return prior, (prior < _NEVER).sum(axis=1).astype(np.float64)


def _standardised(
    values: NDArray[np.float64], history: NDArray[np.bool_], least_noise: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Values of the history about their median, in units of their spread; 0 elsewhere."""
    center = _median(values, history)
    distance = np.where(history[:, :, None], np.abs(values - center[:, None]), 0)
    spread = np.maximum(_MAD_TO_DEVIATION * _median(distance, history), least_noise)
    scaled = np.where(history[:, :, None], (values - center[:, None]) / spread[:, None], 0)
    return scaled, center, spread


def _median(values: NDArray[np.float64], history: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The median of each place and feature over its history, (n, F); the upper of a middle pair."""
    ascending = np.sort(np.where(history[:, :, None], values, np.inf).swapaxes(1, 2), axis=2)
    middle = history.sum(axis=1) // 2
    median: NDArray[np.float64] = np.take_along_axis(ascending, middle[:, None, None], axis=2)
    return median[:, :, 0]


def _median_noise(
    residual: NDArray[np.float64], history: NDArray[np.bool_], count: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The noise by the median of residuals, (n, F), as if it had cost `count` parameters."""
    observations = history.sum(axis=1)
    freedom = np.sqrt(observations / np.maximum(observations - count, 1))
    noise: NDArray[np.float64] = _median(np.abs(residual), history) * freedom[:, None]
    return noise * _MAD_TO_DEVIATION


def _shrinkage(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ratio of the variances of noise and values, the mean of the features, (n,)."""
    ratio: NDArray[np.float64] = np.clip((noise**2).mean(axis=1), _LEAST_SHRINKAGE, 1)
    return ratio


def _solve(
    design: NDArray[np.float64],
    weights: NDArray[np.float64],
    values: NDArray[np.float64],
    prior: NDArray[np.float64],
    shrinkage: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients (n, P, F), the inverse (n, P, P), and the parameters in use, (n,)."""
    normal, right = _normal(design, weights, values)
    return _solved(normal, right, prior, shrinkage)


def _normal(
    design: NDArray[np.float64], weights: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right side of the normal equations, (n, P, P) and (n, P, F).

    The design is one for all places, (T, P), or one for each, (n, T, P).
    """
    if design.ndim == 2:
        products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
        normal = (weights @ products).reshape(len(weights), design.shape[1], -1)
        return normal, design.T @ (weights[:, :, None] * values)
    transposed = design.swapaxes(1, 2)
    normal = transposed @ (weights[:, :, None] * design)
    return normal, transposed @ (weights[:, :, None] * values)


def _solved(
    normal: NDArray[np.float64],
    right: NDArray[np.float64],
    prior: NDArray[np.float64],
    shrinkage: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    ridge = prior * shrinkage[:, None]
    # An intercept without observations would be singular.
    ridge[:, 0] = _TINY
    penalised = normal + ridge[:, :, None] * np.eye(ridge.shape[1])
    inverse = np.linalg.inv(penalised).astype(np.float64)
    parameters: NDArray[np.float64] = np.einsum("npq,nqp->n", inverse, normal)
    return inverse @ right, inverse, parameters


def _left_out_noise(
    design: NDArray[np.float64],
    weights: NDArray[np.float64],
    values: NDArray[np.float64],
    prior: NDArray[np.float64],
    shrinkage: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The noise by errors at blocks of consecutive observations left out of the fit, (n, F)."""
    normal, right = _normal(design, weights, values)
    total = np.zeros((len(values), values.shape[2]))
    for rows, block_weights in _blocks(weights):
        block_design = design[rows]
        block_values = np.take_along_axis(values, rows[:, :, None], axis=1)
        block_normal, block_right = _normal(block_design, block_weights, block_values)
        coefficients, inverse, _ = _solved(
            normal - block_normal, right - block_right, prior, shrinkage
        )
        error = block_values - block_design @ coefficients
        leverage = np.maximum(((block_design @ inverse) * block_design).sum(axis=2), 0)
        total += ((block_weights / (1 + leverage))[:, :, None] * error**2).sum(axis=1)
    noise: NDArray[np.float64] = np.sqrt(total / np.maximum(weights.sum(axis=1), 1)[:, None])
    return noise


def _blocks(
    weights: NDArray[np.float64],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Dates (n, B) of each block of consecutive observations, and their weights; 0 pads."""
    is_kept = weights > 0
    count = is_kept.sum(axis=1)
    order = np.argsort(~is_kept, axis=1, kind="stable")
    size = -(-count.max() // _BLOCKS)
    for block in range(_BLOCKS):
        start, end = count * block // _BLOCKS, count * (block + 1) // _BLOCKS
        rank = start[:, None] + np.arange(size)
        is_member = rank < end[:, None]
        rows = np.take_along_axis(order, np.minimum(rank, is_kept.shape[1] - 1), axis=1)
        yield rows, np.where(is_member, np.take_along_axis(weights, rows, axis=1), 0.0)
