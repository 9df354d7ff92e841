"""How many observations a series needs: to learn its usual course from, and to leave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.timeseries.forecasts import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.timeseries.observations import Observations

# Fewer observations a year show no season: each year's are taken as one season's.
_LEAST_PER_YEAR = 3
_LEAST_SEASONAL_HISTORY = 8
_LEAST_ANNUAL_HISTORY = 4
_MOST_ANNUAL_HISTORY = 10
# Of drawn series without a break, at most one in twenty breaks by these: see docs/series.md.
_CONSECUTIVE_ANNUAL, _CONFIDENCE_ANNUAL = 2, 0.95
_CONSECUTIVE_SEASONAL, _CONFIDENCE_SEASONAL = 3, 0.99
_MOST_CONSECUTIVE = 6
# A break is confirmed by observations of two months, where there are that many.
_CONFIRMED_PER_YEAR = 6


@dataclass(frozen=True, slots=True)
class ModelNeeds:
    """What a model needs to learn from.

    Attributes:
        years: Years that the first history of a place with seasons covers.
        observations: Fewest observations of that history.
        per_feature: Observations that it needs besides for each feature of a place.
        is_for_annual: Whether it can learn from a place that is seen less than three times a year.
    """

    years: float = 1.0
    observations: int = _LEAST_SEASONAL_HISTORY
    per_feature: int = 0
    is_for_annual: bool = True


@dataclass(frozen=True, slots=True)
class HistoryNeeds:
    """What each of N places needs, and whether it has it.

    Attributes:
        initial: Observations of the first history, (N,), int.
        consecutive: Observations in a row that make a break, (N,), int.
        confidence: Probability that an observation without a change lies inside the interval by
            which breaks are judged, (N,).
        needed: Fewest observations with which the place could be monitored, (N,), int.
        is_short: Places that have too few, or cover less than the year that a season takes, (N,).
    """

    initial: NDArray[np.intp]
    consecutive: NDArray[np.intp]
    confidence: NDArray[np.float64]
    needed: NDArray[np.intp]
    is_short: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        observations: Observations,
        *,
        consecutive: int | None = None,
        confidence: float | None = None,
        monitor_from: float | None = None,
        model: ModelNeeds,
    ) -> HistoryNeeds:
        """The needs of each place by how often it was observed.

        Args:
            observations: The series.
            consecutive: Observations in a row that make a break, at least 1; None: 2 where a place
                was seen less than three times a year, else those of two months, 3 to 6.
            confidence: Probability that an observation without a change lies inside the interval;
                None: 0.95 where a place was seen less than three times a year, else 0.99.
            monitor_from: The day that monitoring begins with; None: as soon as there is enough
                history.
            model: What the model needs.
        """
        count, years = observations.count, observations.years
        rate = count / np.maximum(years, 1 / DAYS_PER_YEAR)
        is_annual = (rate < _LEAST_PER_YEAR) & (years > 0)
        if consecutive is None:
            in_two_months = np.round(rate / _CONFIRMED_PER_YEAR)
            run = np.clip(in_two_months, _CONSECUTIVE_SEASONAL, _MOST_CONSECUTIVE).astype(np.intp)
            run = np.where(is_annual, _CONSECUTIVE_ANNUAL, run)
        else:
            run = np.full(len(count), consecutive, np.intp)
        by_rate = np.where(is_annual, _CONFIDENCE_ANNUAL, _CONFIDENCE_SEASONAL)
        sureness = by_rate if confidence is None else np.full(len(count), confidence)
        features = observations.used.sum(axis=1)
        seasonal = model.observations + model.per_feature * features
        least = np.where(is_annual & model.is_for_annual, _LEAST_ANNUAL_HISTORY, seasonal)
        half = np.clip(-(-count // 2), _LEAST_ANNUAL_HISTORY, _MOST_ANNUAL_HISTORY)
        first_years = np.maximum(_within_years(observations, model.years), seasonal)
        initial = np.where(is_annual, half, first_years)
        needed = np.maximum(np.where(is_annual, least, initial), least) + run
        if monitor_from is not None:
            before = observations.observed[:, observations.days < monitor_from].sum(axis=1)
            # A history of less than a year says nothing of the rest of it.
            history = np.where(is_annual, least, initial)
            initial = np.where(before >= history, before, count + 1)
            needed = np.maximum(before, history) + np.maximum(count - before, run)
        is_short = (initial + run > count) | (is_annual & (not model.is_for_annual))
        needed = np.where(is_short, np.maximum(needed, count + 1), needed)
        return cls(initial, run, sureness, needed, is_short)

    def select(self, places: NDArray[np.intp]) -> HistoryNeeds:
        """The needs of some places."""
        return HistoryNeeds(
            self.initial[places],
            self.consecutive[places],
            self.confidence[places],
            self.needed[places],
            self.is_short[places],
        )


def _within_years(observations: Observations, years: float) -> NDArray[np.intp]:
    """Observations of each place until some years after its first, one more than those, (N,)."""
    days = observations.days
    first = days[observations.observed.argmax(axis=1)]
    early = days[None] < first[:, None] + years * DAYS_PER_YEAR
    count: NDArray[np.intp] = (observations.observed & early).sum(axis=1) + 1
    return count
