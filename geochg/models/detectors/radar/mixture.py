"""The threshold between unchanged and changed ground, and the probability of change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.chi_squared import quantile
from geochg.models.detectors.threshold import FALSE_ALARM

Values = NDArray[np.float64]

LEAST_FALSE_ALARM = 1e-3
"""No more of unchanged ground than this is called changed, wherever a second mode lies."""

LEAST_MODE = 1e-3
"""Share of the pixels that makes a mode."""

LEAST_SEPARATION = 2.0
"""Two modes are told apart where Ashman's D is above this (Ashman, Bird & Zepf 1994)."""

MOST_DOUBT = 0.9
"""How far a probability is drawn to .5 where all pixels are among the tails."""

ROUNDS = 300

_UNIT, _STEP, _STEPS = 5.0, 0.02, 300
_EDGES = _UNIT * np.sinh(_STEP * np.arange(-_STEPS, _STEPS + 1))
CENTRES = (_EDGES[:-1] + _EDGES[1:]) / 2
"""Deviates at which densities and probabilities are kept: a tenth apart near 0, and up to 1000."""

_START = 4.0
_CORE = 1.5
_CORE_SHARE = math.erf(_CORE / math.sqrt(2))
_CORE_VARIANCE = 1 - 2 * _CORE * math.exp(-(_CORE**2) / 2) / math.sqrt(2 * math.pi) / _CORE_SHARE
_HALF_WIDTH = 1.349


class Null(NamedTuple):
    """Centre and standard deviation of unchanged ground."""

    centre: float
    deviation: float


def fit_null(values: Values) -> Null:
    """The normal distribution of the core of the values, whatever their tails hold.

    The empirical null of Efron (2004, JASA 99, 96-104): mean and variance of what lies within
    1.5 standard deviations of the centre, corrected for what is cut off, from the shortest half
    on. Up to about a third of the values may belong to something else.

    Args:
        values: `(pixels,)` float64, not empty.
    """
    ordered = np.sort(values)
    half = len(ordered) // 2
    widths = ordered[half:] - ordered[: len(ordered) - half]
    first = int(np.argmin(widths))
    centre = float(ordered[first] + ordered[first + half]) / 2
    deviation = float(widths[first]) / _HALF_WIDTH
    for _ in range(100):
        reach = _CORE * deviation
        start, stop = np.searchsorted(ordered, (centre - reach, centre + reach), side="left")
        core = ordered[start : max(int(stop), int(start) + 1)]
        previous = centre, deviation
        centre = float(core.mean())
        deviation = math.sqrt(float(core.var()) / _CORE_VARIANCE)
        if np.allclose(previous, (centre, deviation), rtol=1e-6, atol=1e-12):
            break
    return Null(centre, deviation)


@dataclass(frozen=True, slots=True)
class Component:
    """A normal distribution in a mixture."""

    share: float
    centre: float
    deviation: float

    def density(self, values: Values) -> Values:
        """Its density at some values, times its share."""
        return np.asarray(np.exp(self.log_density(values)))

    def log_density(self, values: Values) -> Values:
        """The logarithm of its density at some values, times its share."""
        scale = max(self.share, 1e-12) / (self.deviation * math.sqrt(2 * math.pi))
        return np.asarray(math.log(scale) - 0.5 * ((values - self.centre) / self.deviation) ** 2)

    def separation(self, other: Component) -> float:
        """Ashman's D: the distance of two modes over their spread."""
        spread = math.hypot(self.deviation, other.deviation)
        return math.sqrt(2) * abs(self.centre - other.centre) / spread


@dataclass(frozen=True, slots=True)
class Mixture:
    """Deviates of a scene: unchanged ground, changes to either side, and heavy tails.

    Attributes:
        null: Unchanged ground.
        low: What fell; None without such a mode.
        high: What rose; None without such a mode.
        tails: What is spread widely about unchanged ground.
    """

    null: Component
    low: Component | None
    high: Component | None
    tails: Component

    def threshold(self, side: int) -> float:
        """Where change begins on one side, -1 or 1: the distance from 0, above 0.

        With a mode of its own, it is where that outweighs unchanged ground (the minimum error of
        Kittler & Illingworth 1986, Pattern Recognition 19, 41-47), and at least the deviate that
        `LEAST_FALSE_ALARM` exceeds; else the deviate that `FALSE_ALARM` exceeds.
        """
        if (self.low if side < 0 else self.high) is None:
            return two_sided_deviate(FALSE_ALARM)
        return max(side * self.crossing(side), two_sided_deviate(LEAST_FALSE_ALARM))

    def crossing(self, side: int) -> float:
        """Where the mode of a side, which must be there, begins to outweigh unchanged ground."""
        mode = self.low if side < 0 else self.high
        assert mode is not None
        line = np.linspace(self.null.centre, mode.centre, 400)
        outweighs = mode.log_density(line) > self.null.log_density(line)
        return float(line[int(np.argmax(outweighs))]) if outweighs.any() else float(line[-1])


def two_sided_deviate(probability: float) -> float:
    """The normal deviate that noise exceeds, to either side, with a probability."""
    return math.sqrt(quantile(1, 1 - probability))


def counts_of(values: Values) -> NDArray[np.int64]:
    """The histogram of deviates at `CENTRES`."""
    counts, _ = np.histogram(np.clip(values, CENTRES[0], CENTRES[-1]), _EDGES)
    return np.asarray(counts, np.int64)


def fit_mixture(values: Values, start: tuple[Component, Component] | None = None) -> Mixture:
    """Fits the mixture to the histogram of deviates, by expectation and maximisation.

    A mode on either side begins with what lies beyond four standard deviations and is kept where
    it stays on its side and stands apart (`LEAST_SEPARATION`). The tails have the centre of
    unchanged ground and at least twice its spread; they keep modes from growing wide.

    Args:
        values: `(pixels,)` float64, standard deviations of unchanged ground.
        start: Unchanged ground and the one mode, to the low side, from which to start instead.
    """
    shares = counts_of(values) / max(len(values), 1)
    null, tails = Component(0.9, 0.0, 1.0), Component(0.02, 0.0, 4.0)
    modes = {side: _first_mode(shares, side) for side in (-1, 1)}
    if start is not None:
        null, modes = start[0], {-1: start[1], 1: None}
    for _ in range(ROUNDS):
        parts = [null, tails, *(mode for mode in modes.values() if mode)]
        densities = [part.density(CENTRES) for part in parts]
        total = np.sum(densities, axis=0) + 1e-300
        weights = iter([density / total * shares for density in densities])
        null = refitted(next(weights), null)
        tails = _refitted_tails(next(weights), null)
        modes = {
            side: mode and _on_side(refitted(next(weights), mode), null, side)
            for side, mode in modes.items()
        }
    # Without a start of its own, what does not reach beyond the flank is a swelling of it.
    least = _START * null.deviation if start is None else 0.0
    low, high = (
        mode if mode and _stands_apart(mode, null, least) else None for mode in modes.values()
    )
    return Mixture(null, low, high, tails)


def _stands_apart(mode: Component, null: Component, least: float) -> bool:
    is_far = abs(mode.centre - null.centre) > least
    return is_far and mode.separation(null) > LEAST_SEPARATION


def _first_mode(shares: Values, side: int) -> Component | None:
    beyond = np.where(side * CENTRES > _START, shares, 0)
    if beyond.sum() < LEAST_MODE:
        return None
    return refitted(beyond, Component(0.0, 0.0, 1.0))


def refitted(weights: Values, part: Component) -> Component:
    """The component of a weighted histogram at `CENTRES`; where nothing has weight, as it was."""
    share = float(weights.sum())
    if share < 1e-9:
        return Component(share, part.centre, part.deviation)
    centre = float((weights * CENTRES).sum() / share)
    variance = float((weights * (CENTRES - centre) ** 2).sum() / share)
    return Component(share, centre, max(math.sqrt(variance), 0.3))


def _refitted_tails(weights: Values, null: Component) -> Component:
    share = float(weights.sum())
    variance = float((weights * (CENTRES - null.centre) ** 2).sum() / max(share, 1e-12))
    return Component(share, null.centre, max(math.sqrt(variance), 2 * null.deviation))


def _on_side(mode: Component, null: Component, side: int) -> Component | None:
    """The mode; None once it is too small, or no longer on its side of unchanged ground."""
    is_apart = side * (mode.centre - null.centre) > 2 * null.deviation
    return mode if is_apart and mode.share >= LEAST_MODE / 2 else None


def probabilities(mixture: Mixture, thresholds: tuple[float, float], *, fixed: bool) -> Values:
    """The probability of change at `CENTRES`: .5 at the thresholds, rising outwards.

    It is that of the mode of a side against unchanged ground; a side without one, or with a fixed
    threshold, has an even density instead, which outweighs unchanged ground from the threshold on.
    Where the heavy tails, which may be either, hold most of the pixels, it is drawn towards .5.

    Args:
        mixture: The mixture.
        thresholds: Distances from 0 on the low and the high side.
        fixed: Whether the thresholds were given and not found.
    """
    null, tails = mixture.null, mixture.tails.density(CENTRES)
    probability: Values = np.zeros_like(CENTRES)
    for side, mode, threshold in zip((-1, 1), (mixture.low, mixture.high), thresholds, strict=True):
        at = np.array([side * threshold])
        changed = np.broadcast_to(null.log_density(at), CENTRES.shape)
        if mode is not None and not fixed:
            changed = changed + mode.log_density(CENTRES) - mode.log_density(at)
        odds = np.clip(changed - null.log_density(CENTRES), -700, 700)
        chance = 1 / (1 + np.exp(-odds))
        total = np.exp(changed) + tails + null.density(CENTRES)
        doubt = MOST_DOUBT * np.divide(tails, total, out=np.zeros_like(total), where=total > 0)
        chance = 0.5 + (chance - 0.5) * (1 - doubt)
        is_outward = side * CENTRES > 0
        rising = np.maximum.accumulate(chance[is_outward][::side])
        probability[is_outward] = rising[::side]
    return probability
