"""Robust harmonic regression: a mean, a trend and the harmonics of the year.

The model is that of Zhu and Woodcock (2014), Remote Sensing of Environment 144, 152-171, equation
2, and of Verbesselt, Zeileis and Herold (2012), Remote Sensing of Environment 123, 98-108. Of the
libraries, nrt 0.3 needs numba, netCDF4 and a package of sample data, knows one band and gives no
intervals; bfast 0.7 dates from 2021 and builds on OpenCL: so the few equations stand here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.timeseries.forecasts import DAYS_PER_YEAR, MAD_TO_DEVIATION, Forecast

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_HARMONICS = 3

# Zhu and Woodcock (2014) fit 4, 6 and 8 parameters to 12, 18 and 24 observations; the shrinkage
# below lets the first harmonic in earlier.
_LEAST_OBSERVATIONS = (8, 18, 24)
# A single year cannot tell a higher harmonic from a slow deviation of that year.
_LEAST_YEARS = (0.0, 1.4, 1.8)
# Twelfths of the year that were observed in any year: one date a summer shows no season.
_LEAST_MONTHS = (4, 6, 8)
_MONTHS = 12
_LEAST_YEARS_OF_TREND = 3.0
_LEAST_OBSERVATIONS_OF_TREND = 8
_BLOCKS = 5
# The correlation of errors is shrunk towards 0 by this many pairs.
_UNCORRELATED_PAIRS = 8
_MOST_CORRELATION = 0.9
_ABSOLUTE_STEPS = 3
_REJECTION_STEPS = 3
# Observations farther off than this many standard deviations count as clouds that a mask missed.
_REJECTED_BEYOND = 3.5
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
        values: (n, F, T), finite where history is True.
        history: The observations to learn from, (n, T).
        least_noise: Smallest noise that is believed, (n, F), above 0.

    Returns:
        The forecast of all T dates.
    """
    prior, count = _prior(days, history)
    columns = np.flatnonzero((prior < _NEVER).any(axis=0))
    design = _design(days)[:, columns]
    # What follows the history of all places has no part in the fit.
    end = int(np.flatnonzero(history.any(axis=0)).max()) + 1
    center, spread = _location(values[:, :, :end], history[:, :end], least_noise)
    problem = _Problem.of(
        design[:end], values[:, :, :end], history[:, :end], prior[:, columns], center, spread
    )
    fit, noise, correlation = _robust_fit(problem, count, least_noise / spread)
    products = _products(design)
    # Errors that are correlated like those of an autoregression of order 1 say less of the
    # parameters, by the factor of the variance of their mean.
    inflation = (1 + correlation) / (1 - correlation)
    leverage = np.maximum(fit.inverse.reshape(len(values), -1) @ products.T, 0)
    growth = np.sqrt(1 + inflation[:, None] * leverage)
    mean = (fit.coefficients.reshape(-1, len(columns)) @ design.T).reshape(values.shape)
    return Forecast(
        mean=mean * spread[:, :, None] + center[:, :, None],
        deviation=(noise * spread)[:, :, None] * growth[:, None],
        noise=noise * spread,
        dof=np.maximum(fit.weights.sum(axis=1) - fit.parameters, 1),
        parameters=fit.parameters,
    )


def _robust_fit(
    problem: _Problem, count: NDArray[np.float64], least_noise: NDArray[np.float64]
) -> tuple[_Fit, NDArray[np.float64], NDArray[np.float64]]:
    """The fit, the noise (n, F) in units of the spread, and the correlation of errors (n,)."""
    observed = problem.history.astype(np.float64)
    weights = observed
    # A feature that is constant tells nothing of how far amplitudes are to be shrunk.
    varies = problem.values.any(axis=2)
    shrinkage = np.full(len(observed), _FIRST_SHRINKAGE)
    for _ in range(_ABSOLUTE_STEPS):
        size = np.abs(problem.residual(problem.solve(weights, shrinkage)))
        weights = observed / np.maximum(size.max(axis=1), _SMALLEST_RESIDUAL)
    size = np.abs(problem.residual(problem.solve(weights, shrinkage)))
    freedom = observed.sum(axis=1) / np.maximum(observed.sum(axis=1) - count, 1)
    noise = MAD_TO_DEVIATION * _median(size, problem.history) * np.sqrt(freedom)[:, None]
    for _ in range(_REJECTION_STEPS):
        noise = np.maximum(noise, least_noise)
        variance = (varies * noise**2).sum(axis=1) / np.maximum(varies.sum(axis=1), 1)
        shrinkage = np.clip(variance, _LEAST_SHRINKAGE, 1)
        distance = (size / noise[:, :, None]).max(axis=1, keepdims=True)
        # Half of the observations stay, whatever the noise of a feature.
        limit = np.maximum(_median(distance, problem.history), _REJECTED_BEYOND)
        weights = np.where(distance[:, 0] > limit, 0.0, observed)
        fit = problem.solve(weights, shrinkage)
        size = np.abs(problem.residual(fit))
        clipped = np.minimum(size, _REJECTED_BEYOND * noise[:, :, None])
        freedom = np.maximum(observed.sum(axis=1) - fit.parameters, 1)
        noise = np.sqrt((observed[:, None] * clipped**2).sum(axis=2) / freedom[:, None])
    noise = np.maximum(noise, least_noise)
    block_noise, correlation = problem.left_out_errors(weights, shrinkage, noise)
    return fit, np.maximum(noise, block_noise), correlation


@dataclass(frozen=True, slots=True)
class _Fit:
    """A solution of the normal equations.

    Attributes:
        weights: Weights of the observations, (n, T).
        coefficients: (n, F, P).
        inverse: The inverse of the normal matrix, (n, P, P).
        parameters: Effective number of parameters, (n,).
    """

    weights: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    inverse: NDArray[np.float64]
    parameters: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Problem:
    """The regression of n places on one design.

    Attributes:
        design: (T, P), the first column 1.
        products: Products of its columns, (T, P * P).
        values: Values about their center in units of their spread, (n, F, T); 0 out of history.
        history: (n, T), bool.
        prior: Precision of the coefficients for a shrinkage of 1, (n, P).
    """

    design: NDArray[np.float64]
    products: NDArray[np.float64]
    values: NDArray[np.float64]
    history: NDArray[np.bool_]
    prior: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        design: NDArray[np.float64],
        values: NDArray[np.float64],
        history: NDArray[np.bool_],
        prior: NDArray[np.float64],
        center: NDArray[np.float64],
        spread: NDArray[np.float64],
    ) -> _Problem:
        scaled = (values - center[:, :, None]) / spread[:, :, None]
        scaled = np.where(history[:, None], scaled, 0)
        return cls(design, _products(design), scaled, history, prior)

    def solve(self, weights: NDArray[np.float64], shrinkage: NDArray[np.float64]) -> _Fit:
        return self.penalised(weights, *self.normal(weights), shrinkage)

    def normal(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Left and right side of the normal equations, (n, P, P) and (n, F, P)."""
        n, features, dates = self.values.shape
        parameters = self.design.shape[1]
        left = (weights @ self.products).reshape(n, parameters, parameters)
        right = (weights[:, None] * self.values).reshape(-1, dates) @ self.design
        return left, right.reshape(n, features, parameters)

    def penalised(
        self,
        weights: NDArray[np.float64],
        left: NDArray[np.float64],
        right: NDArray[np.float64],
        shrinkage: NDArray[np.float64],
    ) -> _Fit:
        """The solution of normal equations under the prior."""
        ridge = self.prior * shrinkage[:, None]
        # An intercept without observations would be singular.
        ridge[:, 0] = _TINY
        penalised = left + ridge[:, :, None] * np.eye(ridge.shape[1])
        inverse = np.linalg.inv(penalised).astype(np.float64)
        return _Fit(weights, right @ inverse, inverse, np.einsum("npq,nqp->n", inverse, left))

    def residual(self, fit: _Fit) -> NDArray[np.float64]:
        """Values less the fit, (n, F, T); of no meaning out of history."""
        expected = fit.coefficients.reshape(-1, self.design.shape[1]) @ self.design.T
        return self.values - expected.reshape(self.values.shape)

    def left_out_errors(
        self,
        weights: NDArray[np.float64],
        shrinkage: NDArray[np.float64],
        noise: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The errors at blocks of consecutive observations that are left out of the fit.

        Errors count at most `_REJECTED_BEYOND` times the noise, (n, F).

        Returns:
            The deviation of errors that is not owed to uncertain parameters, (n, F), and the
            correlation of neighbours of a block, (n,).
        """
        left, right = self.normal(weights)
        total = np.zeros(self.values.shape[:2])
        lagged = np.zeros(len(total))
        for rows, is_member in _blocks(self.history):
            design = self.design[rows]
            block_weights = np.take_along_axis(weights, rows, axis=1) * is_member
            weighted = design.swapaxes(1, 2) * block_weights[:, None]
            values = np.take_along_axis(self.values, rows[:, None], axis=2)
            block_left, block_right = weighted @ design, values @ weighted.swapaxes(1, 2)
            fit = self.penalised(weights, left - block_left, right - block_right, shrinkage)
            error = values - fit.coefficients @ design.swapaxes(1, 2)
            leverage = np.maximum(((design @ fit.inverse) * design).sum(axis=2), 0)
            scores = error / (noise[:, :, None] * np.sqrt(1 + leverage)[:, None])
            scores = np.clip(scores, -_REJECTED_BEYOND, _REJECTED_BEYOND) * is_member[:, None]
            total += (scores**2).sum(axis=2)
            lagged += (scores[:, :, 1:] * scores[:, :, :-1]).sum(axis=(1, 2))
        count = np.maximum(self.history.sum(axis=1), 1)
        power = total.sum(axis=1) * np.maximum(count - _BLOCKS, 1) / count
        correlation = np.clip(lagged / (power + _UNCORRELATED_PAIRS), 0, _MOST_CORRELATION)
        return noise * np.sqrt(total / count[:, None]), correlation


def _design(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """The columns of the regression, (T, 2 + 2 * MOST_HARMONICS): 1, years, cosines and sines."""
    columns = [np.ones(len(days)), (days - days.mean()) / DAYS_PER_YEAR]
    for order in range(1, MOST_HARMONICS + 1):
        phase = 2 * np.pi * order * days / DAYS_PER_YEAR
        columns += [np.cos(phase), np.sin(phase)]
    return np.stack(columns, axis=1)


def _products(design: NDArray[np.float64]) -> NDArray[np.float64]:
    return (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)


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
    month = (days / DAYS_PER_YEAR * _MONTHS).astype(np.intp) % _MONTHS
    months = sum(history[:, month == index].any(axis=1) for index in range(_MONTHS))
    needs = zip(_LEAST_OBSERVATIONS, _LEAST_YEARS, _LEAST_MONTHS, strict=True)
    for order, (least, years, least_months) in enumerate(needs, start=1):
        is_known = (observations >= least) & (span >= years) & (months >= least_months)
        precision = np.where(is_known, order**2, _NEVER)
        prior[:, 2 * order : 2 * order + 2] = precision[:, None]
    return prior, (prior < _NEVER).sum(axis=1).astype(np.float64)


def _location(
    values: NDArray[np.float64], history: NDArray[np.bool_], least_noise: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Center and spread of the history by medians, (n, F) each."""
    center = _median(values, history)
    distance = np.abs(values - center[:, :, None])
    return center, np.maximum(MAD_TO_DEVIATION * _median(distance, history), least_noise)


def _median(values: NDArray[np.float64], history: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The median of each place and feature over its history, (n, F); the upper of a middle pair."""
    ascending = np.sort(np.where(history[:, None], values, np.inf), axis=2)
    middle = history.sum(axis=1) // 2
    median: NDArray[np.float64] = np.take_along_axis(ascending, middle[:, None, None], axis=2)
    return median[:, :, 0]


def _blocks(
    history: NDArray[np.bool_],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    """Dates (n, B) of each block of consecutive observations, and which of them are not padding."""
    count = history.sum(axis=1)
    order = np.argsort(~history, axis=1, kind="stable")
    size = -(-count.max() // _BLOCKS)
    for block in range(_BLOCKS):
        start, end = count * block // _BLOCKS, count * (block + 1) // _BLOCKS
        rank = start[:, None] + np.arange(size)
        rows = np.take_along_axis(order, np.minimum(rank, history.shape[1] - 1), axis=1)
        yield rows, rank < end[:, None]
