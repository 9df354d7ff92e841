"""What a model of a series expects at each date, learnt from a history of observations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAYS_PER_YEAR = 365.25

MAD_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution whose median absolute deviation is 1."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expectation of n places at T dates for F features.

    Attributes:
        mean: Expected values, (n, F, T), float64, in units of the features.
        deviation: Standard deviation of a new observation about the mean, (n, F, T): that of the
            residuals and what is uncertain of the parameters.
        noise: Standard deviation of the residuals alone, (n, F), above 0.
        dof: Degrees of freedom of the deviation, (n,), at least 1.
        parameters: Number of parameters that were fitted for a feature, (n,).
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    noise: NDArray[np.float64]
    dof: NDArray[np.float64]
    parameters: NDArray[np.float64]

    def select(self, places: NDArray[np.intp]) -> Forecast:
        """The forecast of some places only."""
        return replace(
            self,
            mean=self.mean[places],
            deviation=self.deviation[places],
            noise=self.noise[places],
            dof=self.dof[places],
            parameters=self.parameters[places],
        )

    def assign(self, places: NDArray[np.intp], other: Forecast) -> None:
        """Overwrites the forecast of some places with that of a new fit."""
        self.mean[places] = other.mean
        self.deviation[places] = other.deviation
        self.noise[places] = other.noise
        self.dof[places] = other.dof
        self.parameters[places] = other.parameters


SeriesModel = Callable[
    ["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.bool_]", "NDArray[np.float64]"],
    Forecast,
]
"""A fit of days (T,), values (n, F, T), history (n, T) and least noise (n, F) to a forecast.

Values are finite wherever history is True; elsewhere they may be NaN and are not looked at. Days
count from any origin, ascending; fractions are allowed.
"""
