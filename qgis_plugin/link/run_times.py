"""What runs took on this machine, and what the next one will take by that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_MOST = 24
"""Runs that are kept of a model; older ones are forgotten."""

_ALIKE = math.log(3)
"""Runs whose expected times differ by this factor's logarithm tell much less of each other."""

_AGEING = 0.9
"""Weight of a run among those after it: machines are busier on some days than on others."""

_DOUBT = 0.25
"""Weight of what the worker expects among runs, each of which weighs 1 at most."""

_GREATEST_RATIO = 20.0

LEAST_S = 0.5
"""Shorter times tell nothing."""


class RunTime(NamedTuple):
    """A run that is done.

    Attributes:
        expected_s: Time that the worker expected before it, in seconds.
        taken_s: Time that it took, in seconds.
    """

    expected_s: float
    taken_s: float


def corrected_time(expected_s: float, runs: Sequence[RunTime]) -> float:
    """The time that a run will take, in seconds, by what runs of the model took.

    Short runs, in which all is prepared, and long ones differ in how they depart from what the
    worker expects: those of about the same expected time count most.

    Args:
        expected_s: Time that the worker expects, in seconds.
        runs: Runs of the same model and device, the latest last.
    """
    if expected_s <= 0:
        return expected_s
    total = _DOUBT
    logarithm = 0.0
    for age, run in enumerate(reversed(runs)):
        distance = math.log(expected_s / run.expected_s) / _ALIKE
        weight = _AGEING**age * math.exp(-(distance**2) / 2)
        ratio = min(max(run.taken_s / run.expected_s, 1 / _GREATEST_RATIO), _GREATEST_RATIO)
        # The mean of ratios is that of their logarithms.
        logarithm += weight * math.log(ratio)
        total += weight
    return expected_s * math.exp(logarithm / total)


def with_run(runs: Sequence[RunTime], run: RunTime) -> list[RunTime]:
    """The runs and a further one; one that tells nothing is left out."""
    if min(run) < LEAST_S or not all(map(math.isfinite, run)):
        return list(runs)
    return [*runs, run][-_MOST:]
