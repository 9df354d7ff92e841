"""The table of breaks: a row a place, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STABLE, BREAK, UNSEEN, SHORT, CONSTANT = "stable", "break", "unseen", "short", "constant"
STATUSES = (STABLE, BREAK, UNSEEN, SHORT, CONSTANT)
"""What can become of a place: see `Breaks.status`."""


@dataclass(frozen=True, slots=True)
class FittedInterval:
    """The usual course of N places at D dates, for plots.

    Attributes:
        dates: Dates, (D,), datetime64[D].
        fitted: Expected values, (N, D, F), in units of the features; NaN where a place has no fit.
        lower: Lower end of the interval that 95 % of new observations should lie in, (N, D, F).
        upper: Upper end of it, (N, D, F).
    """

    dates: NDArray[np.datetime64]
    fitted: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Breaks:
    """The first break of each of N places in F features, and how well its usual course is known.

    Attributes:
        status: (N,), strings. `break`: the place left its course. `stable`: it did not. `unseen`:
            it has no observations. `short`: too few, see `needed`. `constant`: no feature varies.
        break_date: The first observation off the old course, (N,), datetime64[D]; NaT where there
            is no break. The change happened after `break_from` and no later than this.
        break_from: The last observation on the old course, (N,), datetime64[D]; NaT likewise.
        break_to: The first observation off it, (N,), datetime64[D]; equal to `break_date`.
        feature: Index of the feature that left its interval, (N,), int; -1 where none did.
        shift: Median of the deviations from the forecast over the observations that confirm the
            break, (N, F), in units of the features, new minus old; NaN where there is no break.
        strength: Size of the shift of `feature` in standard deviations of its residuals, (N,), at
            least 0; NaN where there is no break.
        persistence: Share, 0-1, of the observations since the break that lie outside the interval
            of the old course by which breaks are judged, in any feature, (N,); NaN where there is
            no break.
        is_early: Places, (N,), bool, whose break came before enough history was there: their
            usual course is that after the break, and persistence is the share before it.
        observations: Number of dates at which a place was observed, (N,), int.
        needed: Number of observations that the method needs there, (N,), int.
        rmse: Root of the mean squared residual of the fit to the usual course, outliers among
            it, (N, F), in units of the features; NaN where there is no fit.
        aic: Akaike's information criterion of that fit under normal residuals, (N, F): smaller is
            better, between methods on the same observations.
        coverage: Share, 0-1, of the observations of the usual course that lay inside the 95 %
            interval that was forecast for them from earlier observations alone, (N,), the mean of
            the features; NaN where nothing was forecast.
        forecasts: Number of observations that `coverage` was counted on, (N,), int.
        interval: The usual course for plots; None unless it was asked for.
    """

    status: NDArray[np.str_]
    break_date: NDArray[np.datetime64]
    break_from: NDArray[np.datetime64]
    break_to: NDArray[np.datetime64]
    feature: NDArray[np.intp]
    shift: NDArray[np.float64]
    strength: NDArray[np.float64]
    persistence: NDArray[np.float64]
    is_early: NDArray[np.bool_]
    observations: NDArray[np.intp]
    needed: NDArray[np.intp]
    rmse: NDArray[np.float64]
    aic: NDArray[np.float64]
    coverage: NDArray[np.float64]
    forecasts: NDArray[np.intp]
    interval: FittedInterval | None = None

    def __len__(self) -> int:
        return len(self.status)

    @property
    def mean_coverage(self) -> float:
        """The share of all forecast observations that their 95 % interval held; NaN without any."""
        total = self.forecasts.sum()
        return float(np.nansum(self.coverage * self.forecasts) / total) if total else float("nan")


def joined_breaks(parts: Sequence[Breaks]) -> Breaks:
    """The tables of several sets of places under each other; at least one."""
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Breaks)
        if field.name != "interval"
    }
    intervals = [part.interval for part in parts if part.interval is not None]
    interval = None
    if intervals:
        curves = ("fitted", "lower", "upper")
        interval = FittedInterval(
            intervals[0].dates,
            *(np.concatenate([getattr(part, name) for part in intervals]) for name in curves),
        )
    return Breaks(**columns, interval=interval)
