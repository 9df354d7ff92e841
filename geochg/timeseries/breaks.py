"""When places left their usual course: breaks in series of observations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.errors import InputError, OptionError
from geochg.extras import require_packages
from geochg.timeseries.autoregression import fit_autoregression
from geochg.timeseries.break_rows import empty_breaks, fill_breaks
from geochg.timeseries.break_table import (
    BREAK,
    CONSTANT,
    SHORT,
    STABLE,
    UNSEEN,
    Breaks,
    joined_breaks,
)
from geochg.timeseries.harmonic import fit_harmonic
from geochg.timeseries.history import HistoryNeeds, ModelNeeds
from geochg.timeseries.monitoring import MonitoredPlaces, MonitoringTask, monitor
from geochg.timeseries.observations import (
    Observations,
    checked_dates,
    days_of,
    ordered_observations,
)
from geochg.timeseries.seasonal_trend import fit_seasonal_trend

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from geochg.timeseries.forecasts import SeriesModel

BREAK_METHODS: dict[str, SeriesModel] = {
    "harmonic": fit_harmonic,
    "seasonal-trend": fit_seasonal_trend,
    "autoregression": fit_autoregression,
}
"""The models of the usual course, by the name of the method. The first takes all places at once
and needs no extra; the others are baselines that take one place after the other."""

_MODEL_NEEDS = {
    "harmonic": ModelNeeds(),
    "seasonal-trend": ModelNeeds(years=2, observations=24, is_for_annual=False),
    "autoregression": ModelNeeds(observations=10, per_feature=2),
}
_SLOW_PLACES = 20

# Bounds the arrays of one chunk of places, each of places by dates by features: what fits into the
# cache of a processor is faster.
_CHUNK_VALUES = 250_000
_LEAST_NOISE_SHARE = 0.005


@dataclass(frozen=True, slots=True)
class BreakRules:
    """When a departure from the usual course is a break.

    Attributes:
        method: A name of `BREAK_METHODS`.
        consecutive: Observations in a row that make a break, at least 1; None: 2 where a place is
            seen less than three times a year, else those of two months, 3 to 6.
        confidence: Probability, above 0.5 and below 1, that an observation without a change lies
            inside the interval by which breaks are judged, all features together; None: 0.95 where
            a place is seen less than three times a year, else 0.99.
        least_persistence: Share, 0-1, of all observations since the break that must lie outside
            the interval; with 0, departures that end again count too.
        least_noise: The smallest deviation of residuals that is believed, in units of the
            features: a number or one for each feature, at least 0.
        monitor_from: The date that breaks are looked for from; all before it is history. None: as
            soon as there is enough history.

    Raises:
        OptionError: If a value makes no sense.
    """

    method: str = "harmonic"
    consecutive: int | None = None
    confidence: float | None = None
    least_persistence: float = 0.5
    least_noise: float | Sequence[float] = 0.0
    monitor_from: np.datetime64 | None = None

    def __post_init__(self) -> None:
        if self.method not in BREAK_METHODS:
            raise OptionError(
                f"there is no method {self.method!r} for breaks",
                f"use one of {', '.join(BREAK_METHODS)}",
            )
        if self.consecutive is not None and self.consecutive < 1:
            raise OptionError(
                f"{self.consecutive} observations in a row make no break",
                "use at least 1 in a row",
            )
        if self.confidence is not None and not 0.5 < self.confidence < 1:
            raise OptionError(
                f"the confidence of breaks cannot be {self.confidence:g}",
                "use a value between 0.5 and 1, such as 0.99",
            )
        if not 0 <= self.least_persistence <= 1:
            raise OptionError(
                f"the persistence of breaks cannot be {self.least_persistence:g}",
                "use a share from 0 to 1, such as 0.5",
            )
        noise = np.asarray(self.least_noise, np.float64)
        if not (np.isfinite(noise) & (noise >= 0)).all():
            raise OptionError(
                "the smallest noise is to be at least 0 for each feature",
                "leave it out, or give 0.01 where smaller deviations mean nothing",
            )

    def needs(self, observations: Observations) -> HistoryNeeds:
        """The history that each place needs under these rules."""
        first_day = None
        if self.monitor_from is not None:
            first_day = float(days_of(np.asarray(self.monitor_from, "datetime64[D]")))
        return HistoryNeeds.of(
            observations,
            consecutive=self.consecutive,
            confidence=self.confidence,
            monitor_from=first_day,
            model=_MODEL_NEEDS[self.method],
        )

    def monitor(self, observations: Observations, needs: HistoryNeeds) -> MonitoredPlaces:
        """The outcome of monitoring places that have the history they need."""
        noise = np.maximum(np.asarray(self.least_noise, np.float64), _least_noise(observations))
        task = MonitoringTask(
            observations,
            needs.initial,
            needs.consecutive,
            noise,
            needs.confidence,
            self.least_persistence,
        )
        return monitor(task, BREAK_METHODS[self.method])


def find_breaks(
    dates: ArrayLike,
    values: NDArray[np.floating],
    rules: BreakRules | None = None,
    *,
    interval_dates: ArrayLike | None = None,
    progress: Callable[[int], None] | None = None,
) -> Breaks:
    """Finds the first lasting departure of each place from its usual course.

    The usual course is learnt from the first observations of a place, a year of them where it is
    seen three times a year or more; each later one is held against the forecast, and those that
    fit are learnt from too. A place that never leaves it is monitored from the last observation
    to the first too, which finds breaks that came before there was enough history. Places are
    independent: any subset gives the same answers.

    Args:
        dates: Dates of the T scenes, in any order, (T,), datetime64[D] or what numpy makes it of;
            scenes of one day become their mean.
        values: Features of the places, (N, T, F), float, NaN where not observed; infinite values
            were not observed either. A date counts where all features are observed that a place
            has on half of its dates or more.
        rules: The method and what counts as a break; None for `BreakRules()`.
        interval_dates: The dates at which the usual course is wanted, for plots; None for none.
        progress: Called with the number of places that are done.

    Returns:
        The breaks of the N places, in their order.

    Raises:
        InputError: If dates and values do not fit, or no place can be monitored: the message says
            how many dates are needed.
        MissingExtraError: If the method needs packages that are not installed.
    """
    days = checked_dates(dates)
    rules = rules or BreakRules()
    at = None if interval_dates is None else checked_dates(interval_dates)
    if rules.method != "harmonic":
        require_packages("series", "statsmodels")
    size = max(1, _CHUNK_VALUES // max(values[:1].size, 1))
    if rules.method != "harmonic":
        size = min(size, _SLOW_PLACES)
    parts = []
    for start in range(0, max(len(values), 1), size):
        observations = ordered_observations(days, values[start : start + size], at)
        parts.append(_breaks_of(observations, rules, at))
        if progress:
            progress(min(start + size, len(values)))
    breaks = joined_breaks(parts)
    _check_any_monitored(breaks, days, rules.monitor_from)
    return breaks


def _least_noise(observations: Observations) -> NDArray[np.float64]:
    """A small share of the range of each feature, (N, F): a constant history has no noise."""
    is_value = observations.observed[:, None]
    highest = np.where(is_value, observations.values, -np.inf).max(axis=2, initial=-np.inf)
    lowest = np.where(is_value, observations.values, np.inf).min(axis=2, initial=np.inf)
    size = np.where(np.isfinite(highest), highest - lowest, 0)
    return np.where(size > 0, _LEAST_NOISE_SHARE * size, 1.0)


def _breaks_of(
    observations: Observations, rules: BreakRules, interval_dates: NDArray[np.datetime64] | None
) -> Breaks:
    """The breaks of a chunk of places."""
    needs = rules.needs(observations)
    status = np.full(len(observations.values), STABLE, dtype="<U8")
    status[needs.is_short] = SHORT
    status[~observations.used.any(axis=1)] = CONSTANT
    status[observations.count == 0] = UNSEEN
    breaks = empty_breaks(status, observations, needs.needed, interval_dates)
    places = np.flatnonzero(status == STABLE)
    if not len(places):
        return breaks
    part = observations.select(places)
    part_needs = needs.select(places)
    monitored = rules.monitor(part, part_needs)
    fill_breaks(breaks, places, part, monitored, part_needs.consecutive)
    if rules.monitor_from is None:
        _monitor_backward(breaks, observations, rules)
    return breaks


def _monitor_backward(breaks: Breaks, observations: Observations, rules: BreakRules) -> None:
    """Looks at places without a break from their last observation to their first."""
    places = np.flatnonzero(breaks.status == STABLE)
    backward = observations.select(places).reversed()
    needs = rules.needs(backward)
    rows_with_history = np.flatnonzero(~needs.is_short)
    if not len(rows_with_history):
        return
    places, backward, needs = (
        places[rows_with_history],
        backward.select(rows_with_history),
        needs.select(rows_with_history),
    )
    monitored = rules.monitor(backward, needs)
    rows = np.flatnonzero(monitored.first_off >= 0)
    if len(rows):
        fill_breaks(
            breaks,
            places[rows],
            backward.select(rows),
            monitored.select(rows),
            needs.consecutive[rows],
            is_backward=True,
        )


def _check_any_monitored(
    breaks: Breaks, days: NDArray[np.datetime64], first_day: np.datetime64 | None
) -> None:
    """Refuses a series of which no place could be monitored, with the reason."""
    if np.isin(breaks.status, (STABLE, BREAK)).any():
        return
    if (breaks.status == SHORT).any():
        short = breaks.status == SHORT
        count, needed = breaks.observations[short].max(), breaks.needed[short].min()
        hint = "give more dates; where a place is seen three times a year or more, those of more "
        hint += "than a year"
        if first_day is not None:
            before = np.count_nonzero(days < first_day)
            if before == len(days):
                raise InputError(
                    f"breaks are looked for from {first_day} on, after the last date, {days.max()}",
                    "give an earlier day with --monitor-from",
                )
            hint = f"give more dates or another --monitor-from: {before} lie before {first_day}, "
            hint += f"{len(days) - before} from then on"
        raise InputError(
            f"the series is too short: {count} dates were observed at a place, {needed} are needed",
            hint,
        )
    if (breaks.status == CONSTANT).any():
        raise InputError(
            "the series is constant: no feature varies at any place",
            "check that the dates are not copies of one scene, and that the bands hold values",
        )
    raise InputError(
        "no place of the series was observed at any date",
        "check the masks of clouds and nodata, and that the places lie within the scenes",
    )
