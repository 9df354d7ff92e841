"""The first and the last image of a series on which a change is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAME_GROUND = 0.5
"""Share of the smaller of two features that lies in the other where both are of one ground."""


class DatedStep(Protocol):
    """Two dates of a series, as `features.layer.ChangePeriod`."""

    @property
    def from_date(self) -> str | None:
        """The earlier date; None where it is not known."""

    @property
    def to_date(self) -> str | None:
        """The later date."""


class PeriodFeatures(NamedTuple):
    """Features of a series.

    Attributes:
        periods: `(n,)` number of the period of each, from 0; the last period is the whole series.
        kinds: Class and direction of each.
        polygons: `(n,)` polygons.
    """

    periods: Sequence[int]
    kinds: Sequence[tuple[str, str]]
    polygons: NDArray[np.object_]


class SeenDates(NamedTuple):
    """Dates of some features, ISO 8601; None where they are not known.

    Attributes:
        first_seen: Date of the first image that shows the change: of a step its later one, of the
            whole series that of the first step which shows the same change there; None where no
            step does.
        last_seen: Date of the last image before a later step changes the same ground again; the
            last date of the series where none does.
    """

    first_seen: list[str | None]
    last_seen: list[str | None]


def seen_dates(
    features: PeriodFeatures, steps: PeriodFeatures, periods: Sequence[DatedStep]
) -> SeenDates:
    """The dates between which changes were seen, of consecutive pairs of a series.

    Args:
        features: The features that are asked about.
        steps: The features of single steps around them.
        periods: The periods of the series: its steps, and last the whole.
    """
    last_period = len(periods) - 1
    first = [number if number != last_period else None for number in features.periods]
    end: list[int | None] = [None] * len(first)
    for feature, other in _overlaps(features.polygons, steps.polygons):
        period, step = features.periods[feature], steps.periods[other]
        if period == last_period:
            if features.kinds[feature] == steps.kinds[other]:
                former = first[feature]
                first[feature] = step if former is None else min(former, step)
        elif step > period:
            former_end = end[feature]
            end[feature] = step if former_end is None else min(former_end, step)
    return SeenDates(
        [None if number is None else periods[number].to_date for number in first],
        [periods[-1].to_date if number is None else periods[number].from_date for number in end],
    )


def _overlaps(polygons: NDArray[np.object_], others: NDArray[np.object_]) -> list[tuple[int, int]]:
    """Numbers of the polygons that lie on the same ground, in pairs."""
    import shapely

    if not len(polygons) or not len(others):
        return []
    left, right = shapely.STRtree(others).query(polygons, predicate="intersects")
    shared = shapely.area(shapely.intersection(polygons[left], others[right]))
    smaller = np.minimum(shapely.area(polygons)[left], shapely.area(others)[right])
    is_same = shared >= SAME_GROUND * smaller
    return list(zip(left[is_same].tolist(), right[is_same].tolist(), strict=True))
