"""Accuracy and areas, estimated of a stratified random sample.

The estimators are those of Stehman (2014, International Journal of Remote Sensing 35, 4923-4939),
for which strata need not be the classes of the map: unchanged ground near changes and far from them
is one class in two strata. Where strata are the classes, they are the ones that Olofsson et al.
(2014, Remote Sensing of Environment 148, 42-57) recommend, equations 2 to 11. Points are drawn of a
plane, so there is no correction for a finite number of units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.96
"""The standard normal distribution has 95 % of its mass within this; the paper's own digits."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval.

    Attributes:
        value: The estimate; None where the sample says nothing of it, such as the user's accuracy
            of a class that the map does not have.
        low: Lower end of the interval; None where the interval is not known.
        high: Upper end of the interval.
        standard_error: Its standard error; None where a stratum has one unit only.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None

    def scaled(self, factor: float) -> Estimate:
        """The estimate in another unit, `factor` of which make one of this."""
        parts = (self.value, self.low, self.high, self.standard_error)
        return Estimate(*(None if part is None else part * factor for part in parts))


@dataclass(frozen=True)
class AccuracyEstimates:
    """What a sample says of a map.

    Attributes:
        classes: Names of the classes, in the order of rows and columns.
        counts: `(classes, classes)`, int: units by the map's class (row) and the reference's.
        matrix: The same as shares of the area, row by row.
        overall: Share of the area whose class is right, 0 to 1.
        users: For each class the share of its mapped area that is of the class.
        producers: For each class the share of its true area that is mapped as the class.
        area_m2: For each class its true area in m², as the sample corrects the mapped one.
        mapped_m2: For each class its area in the map in m²; only strata of one class count.
    """

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    matrix: tuple[tuple[Estimate, ...], ...]
    overall: Estimate
    users: Mapping[str, Estimate]
    producers: Mapping[str, Estimate]
    area_m2: Mapping[str, Estimate]
    mapped_m2: Mapping[str, float]


@dataclass(frozen=True)
class JudgedSample:
    """Units of a stratified random sample, judged.

    Attributes:
        strata: `(units,)`, the stratum of each.
        mapped: `(units,)`, the class that the map gives each.
        reference: `(units,)`, the class that a person found there.
        areas_m2: The area of each stratum in m², above 0; each has at least one unit.
    """

    strata: Sequence[str]
    mapped: Sequence[str]
    reference: Sequence[str]
    areas_m2: Mapping[str, float]


def estimate_accuracy(sample: JudgedSample, classes: Sequence[str]) -> AccuracyEstimates:
    """Estimates accuracy and areas of a judged sample.

    Args:
        sample: The units.
        classes: All classes that the map or the reference has, in the order of the matrix.

    Returns:
        The estimates; shares are within 0 and 1, areas at least 0.
    """
    means = _StratumMeans(sample)
    mapped = np.asarray(sample.mapped, np.str_)
    reference = np.asarray(sample.reference, np.str_)
    of_map = {name: mapped == name for name in classes}
    of_reference = {name: reference == name for name in classes}
    total_m2 = sum(sample.areas_m2.values())
    cells = [[of_map[row] & of_reference[column] for column in classes] for row in classes]
    return AccuracyEstimates(
        classes=tuple(classes),
        counts=np.array([[int(cell.sum()) for cell in row] for row in cells], np.int64),
        matrix=tuple(tuple(means.share(cell) for cell in row) for row in cells),
        overall=means.share(mapped == reference),
        users={
            name: means.ratio(of_map[name] & of_reference[name], of_map[name]) for name in classes
        },
        producers={
            name: means.ratio(of_map[name] & of_reference[name], of_reference[name])
            for name in classes
        },
        area_m2={name: means.share(of_reference[name]).scaled(total_m2) for name in classes},
        mapped_m2={name: (means.share(of_map[name]).value or 0.0) * total_m2 for name in classes},
    )


class _StratumMeans:
    """Means of units by stratum, weighted by the strata's share of the area."""

    def __init__(self, sample: JudgedSample) -> None:
        names, self._index = np.unique(np.asarray(sample.strata, np.str_), return_inverse=True)
        areas = np.array([sample.areas_m2[name] for name in names])
        self._weights = areas / sum(sample.areas_m2.values())
        self._units = np.bincount(self._index).astype(float)

    def share(self, hits: Bools) -> Estimate:
        """The share of the area of which something holds: Stehman (2014), equations 3 and 25."""
        value = float(self._weights @ self._mean(hits.astype(float)))
        return _estimate(value, self._variance_of_mean(hits.astype(float)), 1.0)

    def ratio(self, hits: Bools, ground: Bools) -> Estimate:
        """The share of an area of which something holds: Stehman (2014), equations 27 and 28."""
        denominator = float(self._weights @ self._mean(ground.astype(float)))
        if not denominator:
            return Estimate(None)
        value = float(self._weights @ self._mean(hits.astype(float))) / denominator
        # s²(y) + R² s²(x) - 2 R s(x, y) is the variance of y - R x.
        variance = self._variance_of_mean(hits - value * ground) / denominator**2
        return _estimate(value, variance, 1.0)

    def _mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.bincount(self._index, values) / self._units
        return means

    def _variance_of_mean(self, values: NDArray[np.float64]) -> float:
        """Variance of the mean over the area; infinite where a stratum has one unit only."""
        gaps = (values - self._mean(values)[self._index]) ** 2
        squares = np.bincount(self._index, gaps)
        if (self._units < 2).any():
            return inf
        return float((self._weights**2 * squares / (self._units - 1) / self._units).sum())


def _estimate(value: float, variance: float, largest: float) -> Estimate:
    if variance == inf:
        return Estimate(value)
    error = sqrt(variance)
    low, high = max(value - Z_95 * error, 0.0), min(value + Z_95 * error, largest)
    return Estimate(value, low, high, error)
