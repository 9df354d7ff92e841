"""The progress, rate and time left of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_SHARES = {
    "clouds": (0.0, 2.0),
    "scenes": (2.0, 4.0),
    "shift": (0.0, 5.0),
    "survey": (5.0, 10.0),
    "tiles": (10.0, 97.0),
    "write": (97.0, 100.0),
}
"""Percent of the progress bar at the start and end of a stage."""


class RunProgress(NamedTuple):
    """The progress of a run.

    Attributes:
        percent: Share of the whole run, 0 to 100.
        stage: Stage, as the worker names it.
        done: Number of units of the stage that are done.
        total: Number of units of the stage.
        rate: Units a second; None until it is known.
        left_s: Seconds until the stage is done; None until they are known.
    """

    percent: float
    stage: str
    done: int
    total: int
    rate: float | None
    left_s: float | None


class ProgressMeter:
    """Measures rate and time left of a run's progress events.

    Args:
        clock: Function that gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._start_s = 0.0
        self._first = 0

    def measure(self, event: Mapping[str, Any]) -> RunProgress:
        """The progress of the run at an event of kind `progress`."""
        stage, done_count, total = str(event["stage"]), int(event["done"]), int(event["total"])
        if stage != self._stage:
            self._stage, self._start_s, self._first = stage, self._clock(), done_count
        low, high = _SHARES.get(stage, (0.0, 100.0))
        share = min(1.0, done_count / total) if total > 0 else 0.0
        elapsed_s, count = self._clock() - self._start_s, done_count - self._first
        rate = count / elapsed_s if count > 0 and elapsed_s > 0.5 else None
        left_s = (total - done_count) / rate if rate else None
        return RunProgress(low + share * (high - low), stage, done_count, total, rate, left_s)
