"""Decibels of unknown gain and offset at one date, in the unit of the other date."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.radar.mixture import fit_null

Values = NDArray[np.float64]

GREATEST_GAIN = 4.0
"""Two stretches of one place differ by less than this factor."""

ROUNDS = 80
OUTLIERS = 0.05
"""Share of the pixels that belong to no model, at the start."""

_BINS = 64
_SHARE_BINS, _SHARE_BLUR = 32, 5
_LEAST_SHARE = 0.05
_DENSITY_OF_NORMAL = 1 / math.sqrt(2 * math.pi)


class GainMatch(NamedTuple):
    """`after = gain x before + offset` where nothing changed."""

    gain: float
    offset: float

    @property
    def inverse(self) -> GainMatch:
        """The same line, solved for the earlier date."""
        return GainMatch(1 / self.gain, -self.offset / self.gain)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A fitted line, and how much it tells of one date that the other alone does not."""

    match: GainMatch
    information: float


def match_dates(before: Values, after: Values, noise: tuple[float, float]) -> GainMatch:
    """Finds the line on which unchanged ground lies, though a third of the ground has changed.

    The values of one date are a mixture, given the other's: a line with noise for what did not
    change, a normal distribution about a level of its own for what became alike (water under which
    fields lie), and a uniform one for the rest; their shares depend on the other date, because
    what lies low is often dark. Its parameters are those of greatest likelihood, by expectation
    and maximisation (Dempster, Laird & Rubin 1977), which begins with the lowest or the highest
    third of the date that is told as what became alike. The line allows for errors in both dates
    (Deming 1943), in the ratio of their noise. Either date is tried as the one that
    is given, and that fit is taken in which it tells most about the other: the mean log likelihood
    over that of the histogram.

    Args:
        before: `(pixels,)` float64, decibels of any gain and offset, averaged over a window.
        after: The same at the later date.
        noise: Standard deviations of the noise of either date's averages.

    Returns:
        The match; the ratio of the speckle of both dates where no line can be found.
    """
    forth = max(_fits(before, after, noise), key=lambda fit: fit.information, default=None)
    back = max(_fits(after, before, noise[::-1]), key=lambda fit: fit.information, default=None)
    if back is not None and (forth is None or back.information > forth.information):
        return back.match.inverse
    if forth is not None:
        return forth.match
    gain = noise[1] / noise[0] if min(noise) > 0 else 1.0
    gain = min(max(gain, 1 / GREATEST_GAIN), GREATEST_GAIN)
    return GainMatch(gain, fit_null(after - gain * before).centre)


def _fits(source: Values, target: Values, noise: tuple[float, float]) -> Iterator[_Fit]:
    """The fits from each start that come to a usable line."""
    low, low_third, high_third, high = np.quantile(target, (0.001, 1 / 3, 2 / 3, 0.999))
    if not (high > low and np.ptp(source) > 0):
        return
    bounds = _Bounds(
        least=max(noise[1], 1e-3 * float(high - low)),
        span=float(high - low),
        error_ratio=(max(noise[1], 1e-6) / max(noise[0], 1e-6)) ** 2,
    )
    entropy = _entropy(target)
    for is_cluster in (target <= low_third, target >= high_third):
        fit = _fit(source, target, is_cluster, bounds)
        if fit is not None:
            yield _Fit(fit.match, fit.information + entropy)


def _entropy(values: Values) -> float:
    """Entropy of the values by their histogram, in nepers."""
    counts, edges = np.histogram(values, _BINS)
    shares = counts[counts > 0] / len(values)
    return float(-(shares * np.log(shares)).sum() + math.log(edges[1] - edges[0]))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What holds for all rounds of a fit.

    Attributes:
        least: Least deviation of a component.
        span: Range of the date that is told.
        error_ratio: Variance of the noise of that date over that of the other.
    """

    least: float
    span: float
    error_ratio: float


@dataclass(frozen=True, slots=True)
class _Part:
    """A component: its share at each value of the date that is given, and a normal distribution.

    Attributes:
        shares: `(bins,)` of the histogram of that date.
        centre: Mean of the date that is told; for the line, of its residuals.
        deviation: Its standard deviation.
    """

    shares: Values
    centre: float
    deviation: float


def _fit(
    source: Values, target: Values, is_cluster: NDArray[np.bool_], bounds: _Bounds
) -> _Fit | None:
    """Expectation and maximisation from what is first taken for alike; None without a line."""
    bin_of = _bins(source)
    cluster_weight, likelihood = is_cluster.astype(np.float64), -math.inf
    weight = 1 - cluster_weight
    for _ in range(ROUNDS):
        line = _line(source, target, weight, bounds.error_ratio)
        if line is None or weight.mean() < _LEAST_SHARE:
            return None
        residual = target - line[0].gain * source - line[0].offset
        parts = [
            (residual, _part(bin_of, residual * 0, weight, line[1])),
            (target, _part(bin_of, target, cluster_weight, None)),
        ]
        # What belongs to no part is as likely everywhere.
        outliers = np.maximum(1 - sum(part.shares for _, part in parts), OUTLIERS)
        total = outliers[bin_of] / bounds.span
        densities = [_density(bin_of, values, part, bounds.least) for values, part in parts]
        total = total + densities[0] + densities[1]
        likelihood = float(np.log(total).mean())
        weight, cluster_weight = densities[0] / total, densities[1] / total
    line = _line(source, target, weight, bounds.error_ratio)
    return None if line is None else _Fit(line[0], likelihood)


def _bins(source: Values) -> NDArray[np.intp]:
    """The bin of each value, between the ends of what is usual."""
    low, high = np.quantile(source, (0.01, 0.99))
    places = (source - low) / max(float(high - low), 1e-12) * (_SHARE_BINS - 1)
    return np.asarray(np.clip(np.rint(places), 0, _SHARE_BINS - 1), np.intp)


def _part(
    bin_of: NDArray[np.intp], values: Values, weight: Values, deviation: float | None
) -> _Part:
    """A component of weighted points; its deviation is that of the points unless it is given."""
    counts = np.bincount(bin_of, minlength=_SHARE_BINS) + 1e-9
    sums = np.bincount(bin_of, weight, minlength=_SHARE_BINS)
    kernel = np.ones(_SHARE_BLUR)
    shares = np.convolve(sums, kernel, "same") / np.convolve(counts, kernel, "same")
    mass = max(float(weight.sum()), 1e-9)
    centre = float((weight * values).sum() / mass)
    if deviation is None:
        deviation = math.sqrt(float((weight * (values - centre) ** 2).sum() / mass))
    return _Part(shares * (1 - OUTLIERS), centre, deviation)


def _density(bin_of: NDArray[np.intp], values: Values, part: _Part, least: float) -> Values:
    deviation = max(part.deviation, least)
    exponent = -0.5 * ((values - part.centre) / deviation) ** 2
    density = _DENSITY_OF_NORMAL / deviation * np.exp(exponent)
    return np.asarray(part.shares[bin_of] * density)


def _line(
    source: Values, target: Values, weight: Values, error_ratio: float
) -> tuple[GainMatch, float] | None:
    """Deming's line through weighted points, and the deviation of the points from it.

    Args:
        source: Values of the date that is given.
        target: Values of the other.
        weight: `(pixels,)`, at least 0.
        error_ratio: Variance of the noise of `target` over that of `source`.

    Returns:
        None where the points do not rise together.
    """
    mass = weight.sum()
    if mass <= 0:
        return None
    mean, other_mean = (weight * source).sum() / mass, (weight * target).sum() / mass
    x, y = source - mean, target - other_mean
    xx, yy, xy = ((weight * product).sum() / mass for product in (x * x, y * y, x * y))
    if xx <= 0 or yy <= 0 or xy <= 0:
        return None
    rise = yy - error_ratio * xx
    gain = float((rise + math.sqrt(rise * rise + 4 * error_ratio * xy * xy)) / (2 * xy))
    gain = min(max(gain, 1 / GREATEST_GAIN), GREATEST_GAIN)
    offset = float(other_mean - gain * mean)
    return GainMatch(gain, offset), math.sqrt(float((weight * (y - gain * x) ** 2).sum() / mass))
