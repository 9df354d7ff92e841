"""Residual monitoring: each observation against the forecast from those before it.

A break is a run of observations of which each leaves the interval of the forecast to the same
side, as in CCDC (Zhu and Woodcock 2014); the history grows with what came before, and the model is
fitted anew whenever it has grown by a third.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.timeseries.forecasts import Forecast, SeriesModel
from geochg.timeseries.observations import Observations
from geochg.timeseries.student_t import two_sided_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOMINAL_COVERAGE = 0.95
"""The share of new observations that an interval that is drawn or scored should hold."""

_GROWTH = 4 / 3
# A series is looked at this often for places whose history has grown: fits of many places at once
# are faster.
_CHECKS = 16
_NO_DATE = -1


@dataclass(frozen=True, slots=True)
class MonitoredPlaces:
    """The outcome of monitoring n places over T dates.

    Attributes:
        first_off: Index of the first date off the history's forecast, (n,), int; -1 where none.
        last_on: Index of the last observation before it, (n,), int; -1 where none.
        feature: Index of the feature that left its interval, (n,), int; -1 where none.
        side: 1 where it lies above its interval, -1 below, 0 where there is no break, (n,).
        history: The observations before the break, (n, T), bool.
        forecast: The forecast by that history.
        persistence: Share of the observations since the break that lie outside the interval that
            breaks are judged by, (n,); NaN where there is no break.
        covered_share: Share of features that lay inside the interval of the nominal coverage,
            forecast from earlier observations alone, (n, T); NaN where nothing was forecast.
    """

    first_off: NDArray[np.intp]
    last_on: NDArray[np.intp]
    feature: NDArray[np.intp]
    side: NDArray[np.intp]
    history: NDArray[np.bool_]
    forecast: Forecast
    persistence: NDArray[np.float64]
    covered_share: NDArray[np.float64]

    def select(self, places: NDArray[np.intp]) -> MonitoredPlaces:
        """What was found for some places."""
        return MonitoredPlaces(
            self.first_off[places],
            self.last_on[places],
            self.feature[places],
            self.side[places],
            self.history[places],
            self.forecast.select(places),
            self.persistence[places],
            self.covered_share[places],
        )


@dataclass(frozen=True, slots=True)
class MonitoringTask:
    """What is monitored, and the rules of a break.

    Attributes:
        observations: The series of n places.
        initial: How many observations are the first history, (n,), int.
        consecutive: How many observations in a row make a break, (n,), int.
        least_noise: Smallest noise that is believed, (n, F), above 0.
        confidence: Probability that an observation without a change lies inside the interval by
            which breaks are judged, (n,).
        least_persistence: Share of the observations since a break that must be off for it to count.
    """

    observations: Observations
    initial: NDArray[np.intp]
    consecutive: NDArray[np.intp]
    least_noise: NDArray[np.float64]
    confidence: NDArray[np.float64]
    least_persistence: float

    def fit(
        self, model: SeriesModel, history: NDArray[np.bool_], places: NDArray[np.intp]
    ) -> Forecast:
        """The forecast of some places by a history (len(places), T)."""
        series = self.observations
        return model(series.days, series.values[places], history, self.least_noise[places])

    def limit(self, dof: NDArray[np.float64], places: NDArray[np.intp]) -> NDArray[np.float64]:
        """Deviations beyond which an observation is off, shared among the features, (n,)."""
        features = np.maximum(self.observations.used[places].sum(axis=1), 1)
        # Bonferroni: one of many features is outside its own interval more often.
        inside = 1 - (1 - self.confidence[places]) / features
        limits = np.empty(len(dof))
        for probability in np.unique(inside):
            rows = inside == probability
            limits[rows] = two_sided_quantile(dof[rows], float(probability))
        return limits


def monitor(task: MonitoringTask, model: SeriesModel) -> MonitoredPlaces:
    """Finds the first break of each place.

    Args:
        task: The observations, at least `initial` at each place, and the rules.
        model: The model that is fitted to the history of each place.

    Returns:
        What was found, all indices in the order of the series.
    """
    series = task.observations
    n, dates = series.observed.shape
    rank = np.cumsum(series.observed, axis=1)
    history = series.observed & (rank <= task.initial[:, None])
    everywhere = np.arange(n)
    forecast = task.fit(model, history, everywhere)
    limit = task.limit(forecast.dof, everywhere)
    nominal = two_sided_quantile(forecast.dof, NOMINAL_COVERAGE)
    fitted_count = history.sum(axis=1)
    runs = _Runs.begin(n, series.values.shape[1])
    covered_share = np.full((n, dates), np.nan)
    is_check = _check_dates(series.is_scene)
    for date in range(dates):
        places = np.flatnonzero(
            series.observed[:, date] & (rank[:, date] > task.initial) & (runs.first_off < 0)
        )
        stale = places[rank[places, date] - 1 >= _GROWTH * fitted_count[places]]
        if is_check[date] and len(stale):
            pending = runs.pending(stale, date)
            before = series.observed[stale] & (np.arange(dates) < pending[:, None])
            renewed = task.fit(model, before, stale)
            forecast.assign(stale, renewed)
            limit[stale] = task.limit(renewed.dof, stale)
            nominal[stale] = two_sided_quantile(renewed.dof, NOMINAL_COVERAGE)
            fitted_count[stale] = rank[stale, date] - 1
        if len(places):
            scores = _scores(task, forecast, places, date)
            covered_share[places, date] = _covered(scores, nominal[places], series.used[places])
            runs.add(places, date, scores, limit[places], task.consecutive[places])
    return _finished(task, model, runs, covered_share)


def _check_dates(is_scene: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dates at which models may be fitted anew, (T,): by the scenes alone, whatever the places."""
    interval = -(-int(is_scene.sum()) // _CHECKS)
    is_check: NDArray[np.bool_] = is_scene & (np.cumsum(is_scene) % interval == 0)
    return is_check


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of observations off the forecast, by place, feature and side (below, above)."""

    length: NDArray[np.intp]
    start: NDArray[np.intp]
    first_off: NDArray[np.intp]
    feature: NDArray[np.intp]
    side: NDArray[np.intp]

    @classmethod
    def begin(cls, n: int, features: int) -> _Runs:
        return cls(
            length=np.zeros((n, features, 2), np.intp),
            start=np.zeros((n, features, 2), np.intp),
            first_off=np.full(n, _NO_DATE),
            feature=np.full(n, _NO_DATE),
            side=np.zeros(n, np.intp),
        )

    def pending(self, places: NDArray[np.intp], date: int) -> NDArray[np.intp]:
        """The first date of any run that is under way at some places, else the date itself."""
        start = np.where(self.length[places] > 0, self.start[places], date)
        first: NDArray[np.intp] = start.min(axis=(1, 2))
        return first

    def add(
        self,
        places: NDArray[np.intp],
        date: int,
        scores: NDArray[np.float64],
        limit: NDArray[np.float64],
        consecutive: NDArray[np.intp],
    ) -> None:
        """Takes in the scores (len(places), F) of a date, and ends runs that are long enough."""
        is_off = np.stack([scores < -limit[:, None], scores > limit[:, None]], axis=2)
        length = np.where(is_off, self.length[places] + 1, 0)
        self.start[places] = np.where(length == 1, date, self.start[places])
        self.length[places] = length
        is_break = (length >= consecutive[:, None, None]).any(axis=(1, 2))
        rows = np.flatnonzero(is_break)
        # Of several features, the one that lies farthest off.
        far = np.where(length >= consecutive[:, None, None], np.abs(scores)[:, :, None], -1)[rows]
        feature, side = np.divmod(far.reshape(len(rows), 2 * length.shape[1]).argmax(axis=1), 2)
        broken = places[rows]
        self.first_off[broken] = self.start[broken, feature, side]
        self.feature[broken] = feature
        self.side[broken] = 2 * side - 1


def _scores(
    task: MonitoringTask, forecast: Forecast, places: NDArray[np.intp], date: int
) -> NDArray[np.float64]:
    """Deviations of observations from their forecast, in its standard deviations, (n, F)."""
    series = task.observations
    error = series.values[places, :, date] - forecast.mean[places, :, date]
    scores = error / forecast.deviation[places, :, date]
    return np.where(series.used[places], scores, 0.0)


def _covered(
    scores: NDArray[np.float64], limit: NDArray[np.float64], is_used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    inside = ((np.abs(scores) <= limit[:, None]) & is_used).sum(axis=1)
    share: NDArray[np.float64] = inside / np.maximum(is_used.sum(axis=1), 1)
    return share


def _finished(
    task: MonitoringTask, model: SeriesModel, runs: _Runs, covered_share: NDArray[np.float64]
) -> MonitoredPlaces:
    """The history before each break, its forecast, and where the break truly begins."""
    series = task.observations
    n, dates = series.observed.shape
    everywhere, index = np.arange(n), np.arange(dates)
    end = np.where(runs.first_off < 0, dates, runs.first_off)
    history = series.observed & (index < end[:, None])
    forecast = task.fit(model, history, everywhere)
    last_on, persistence = _departure(task, forecast, runs, history)
    is_broken = (runs.first_off >= 0) & (persistence >= task.least_persistence)
    returned = np.flatnonzero((runs.first_off >= 0) & ~is_broken)
    if len(returned):
        history[returned] = series.observed[returned]
        forecast.assign(returned, task.fit(model, history[returned], returned))
    first_off = (series.observed & (index > last_on[:, None])).argmax(axis=1)
    end = np.where(is_broken, first_off, dates)
    return MonitoredPlaces(
        first_off=np.where(is_broken, first_off, _NO_DATE),
        last_on=np.where(is_broken, last_on, _NO_DATE),
        feature=np.where(is_broken, runs.feature, _NO_DATE),
        side=np.where(is_broken, runs.side, 0),
        history=history & (index < end[:, None]),
        forecast=forecast,
        persistence=np.where(is_broken, persistence, np.nan),
        covered_share=np.where(index < end[:, None], covered_share, np.nan),
    )


def _departure(
    task: MonitoringTask, forecast: Forecast, runs: _Runs, history: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The last observation on the old course, (n,), and the share since then that is off, (n,)."""
    series = task.observations
    n, dates = series.observed.shape
    error = (series.values - forecast.mean) / forecast.deviation
    scores = np.where(series.used[:, :, None] & series.observed[:, None], error, 0.0)
    limit = task.limit(forecast.dof, np.arange(n))
    # The first history may hold the beginning of the break, which a robust fit leaves aside.
    signed = scores[np.arange(n), np.maximum(runs.feature, 0)] * runs.side[:, None]
    last_on = _last_true(history & ~(signed > limit[:, None]))
    since = series.observed & (np.arange(dates) > last_on[:, None])
    is_off = (np.abs(scores) > limit[:, None, None]).any(axis=1) & since
    return last_on, is_off.sum(axis=1) / np.maximum(since.sum(axis=1), 1)


def _last_true(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The last True of each row, -1 where there is none."""
    last = flags.shape[1] - 1 - flags[:, ::-1].argmax(axis=1)
    return np.where(flags.any(axis=1), last, _NO_DATE)
