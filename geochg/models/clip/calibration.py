"""The usual move of a pair's posterior, and from which move on it is change.

Between two dates all likenesses move: season, light, haze and sensor differ everywhere. What moved
alike in most of the pair is taken off, likenesses are divided by a temperature at which the rest of
the noise moves little probability, and the cut is found in the distribution of the moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.threshold import Cut, effective_dof, fit_cut, fixed_cut

LEAST_MOVE = 1.0
"""A smaller move (0-2, sum of absolute differences) is never change unless the user says so: half
of the probability has to go over to other classes. With less, places whose class is in doubt at
both dates changed on drawn pairs (`benchmarks/clip.py`)."""

MOST_MOVE = 1.6
"""A larger move is always change unless the user says otherwise: where all of a scene changed,
there is no noise to be seen."""

NOISE = 0.5
"""Standard deviation of the noise of logits, above which the temperature rises: with it about a
tenth of the probability moves."""

SPREAD = 2.0
"""Spread of logits over a scene, below which the temperature falls: with less, all places are
nearly as likely to show any class as another."""

LOWEST_TEMPERATURE = 0.1

_STEEPNESS = 4.0

_NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class LogitSample(NamedTuple):
    """Logits of some pixels at both dates, each `(classes, pixels)` float32."""

    before: NDArray[np.float32]
    after: NDArray[np.float32]

    @classmethod
    def joined(cls, samples: Sequence["LogitSample"]) -> "LogitSample":
        """All samples as one."""
        return cls(*(np.concatenate(dates, axis=1) for dates in zip(*samples, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class PairCalibration:
    """What makes posteriors of two dates comparable; fixed for a pair.

    Attributes:
        shift: `(classes,)` usual move of the logits from the earlier date to the later.
        temperature: Divisor of the logits.
        cut: Turns the move of a posterior (0-2) into a probability of change.
    """

    shift: NDArray[np.float32]
    temperature: float
    cut: Cut

    @classmethod
    def fit(
        cls, sample: LogitSample, group_of: NDArray[np.intp], threshold: float | None
    ) -> "PairCalibration":
        """Measured on the pixels of a pair.

        Args:
            sample: Pixels spread over the pair; not empty.
            group_of: `(classes,)` the group of each class; moves within a group do not count.
            threshold: Move above which a pixel has changed; None to find it.
        """
        before, after = (_centred(date) for date in sample)
        places = [date - np.median(date, axis=1, keepdims=True) for date in (before, after)]
        spread = _deviation(np.concatenate(places, axis=1))
        moves = after - before
        # More than the places differ among themselves is not the season: most of it changed.
        shift = np.clip(np.median(moves, axis=1), -spread, spread).astype(np.float32)
        noise = _deviation(moves - shift[:, None])
        temperature = max(min(1.0, spread / SPREAD), noise / NOISE, LOWEST_TEMPERATURE)
        unfinished = cls(shift, temperature, Cut(LEAST_MOVE, 1.0))
        first, second = unfinished.posteriors(*sample)
        differences = grouped(second - first, group_of).astype(np.float64)
        strengths = np.abs(differences).sum(axis=0)
        if threshold is None:
            cut = fit_cut(strengths, effective_dof(differences), LEAST_MOVE)
            cut = replace(cut, strength=min(cut.strength, MOST_MOVE))
        else:
            cut = fixed_cut(strengths, max(threshold, 1e-6))
        return cls(shift, temperature, cut)

    @classmethod
    def plain(cls, classes: int, threshold: float | None) -> "PairCalibration":
        """What is taken where there is nothing to measure on."""
        least = LEAST_MOVE if threshold is None else max(threshold, 1e-6)
        return cls(np.zeros(classes, np.float32), 1.0, Cut(least, _STEEPNESS))

    def posteriors(
        self, before: NDArray[np.float32], after: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The probability of each class at both dates; they add up to 1.

        Args:
            before: `(classes, ...)` logits.
            after: As `before`; half of the usual move is taken off each date.
        """
        half: NDArray[np.float32] = (self.shift / np.float32(2)).reshape(
            -1, *[1] * (before.ndim - 1)
        )
        return (
            _softmax(before + half, self.temperature),
            _softmax(after - half, self.temperature),
        )


def grouped(values: NDArray[np.float32], group_of: NDArray[np.intp]) -> NDArray[np.float32]:
    """`(groups, ...)`: sums of the layers `(classes, ...)` of each group."""
    totals = np.zeros((int(group_of.max()) + 1, *values.shape[1:]), values.dtype)
    for layer, group in zip(values, group_of.tolist(), strict=True):
        totals[group] += layer
    return totals


def _centred(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits with a mean of 0 over the classes, which mean the same probabilities."""
    centred_logits: NDArray[np.float32] = logits - logits.mean(axis=0)
    return centred_logits


def _deviation(values: NDArray[np.float32]) -> float:
    """Standard deviation about 0 that half of the values decide."""
    return _NORMAL_MAD * float(np.median(np.abs(values)))


def _softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    powers: NDArray[np.float32] = np.exp((logits - logits.max(axis=0)) / np.float32(temperature))
    powers /= powers.sum(axis=0)
    return powers
