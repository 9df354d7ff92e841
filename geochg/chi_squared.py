"""The chi-squared distribution: the sum of squares of independent noise of variance 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TERMS = 2000
_PRECISION = 1e-16
_LARGEST = np.finfo(np.float64).max


def exceeding_probability(dof: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that noise is above some values, as `scipy.stats.chi2.sf` gives it.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5. What
    comes out is exact to twelve digits for up to 400 degrees of freedom.

    Args:
        dof: Degrees of freedom, a whole number, at least 1.
        values: Float64 of any shape, at least 0; infinity has the probability 0.

    Returns:
        Float64 of 0 to 1 (but for rounding), of the shape of `values`.
    """
    # Infinity times the 0 of the exponential would be NaN.
    half = np.minimum(values / 2, _LARGEST)
    if dof % 2:
        total = np.array([math.erfc(root) for root in np.sqrt(half).ravel().tolist()])
        total = total.reshape(half.shape)
        term = np.exp(-half) * np.sqrt(half) / math.gamma(1.5)
    else:
        term = np.exp(-half)
        total = np.zeros_like(half)
    for order in range(dof // 2):
        total += term
        term = term * half / (dof % 2 / 2 + order + 1)
    return total


def quantile(dof: float, probability: float) -> float:
    """The value that noise stays below with a probability, as `scipy.stats.chi2.ppf` gives it.

    Args:
        dof: Degrees of freedom, above 0 and up to 100,000, whole or not.
        probability: Above 0, below 1.
    """
    low, high = 0.0, dof
    while _below_probability(dof / 2, high / 2) < probability:
        low, high = high, 2 * high
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _below_probability(dof / 2, middle / 2) < probability:
            low = middle
        else:
            high = middle
    return high


def _below_probability(shape: float, value: float) -> float:
    """The regularised lower incomplete gamma function.

    Source: Press et al., Numerical Recipes, section 6.2.
    """
    if value <= 0:
        return 0.0
    front = math.exp(shape * math.log(value) - value - math.lgamma(shape))
    if value < shape + 1:
        term = total = 1 / shape
        for order in range(1, _TERMS):
            term *= value / (shape + order)
            total += term
            if term < _PRECISION * total:
                break
        return front * total
    # Lentz's continued fraction for the upper one.
    b = value + 1 - shape
    c, d = 1e300, 1 / b
    fraction = d
    for order in range(1, _TERMS):
        factor = -order * (order - shape)
        b += 2
        d = 1 / (factor * d + b)
        c = b + factor / c
        fraction *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return 1 - front * fraction
