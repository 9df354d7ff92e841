"""How fast a run is and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_SHARES = {
    "shift": (0.0, 5.0),
    "survey": (5.0, 10.0),
    "tiles": (10.0, 97.0),
    "write": (97.0, 100.0),
}
"""From and to what percent of the bar a stage goes."""


class Standing(NamedTuple):
    """How far a run is.

    Attributes:
        percent: 0 to 100.
        stage: As the worker names it.
        done: Units of the stage that are done.
        total: Units of the stage.
        rate: Units a second; None until it is known.
        left_s: Seconds until the stage is done; None until they are known.
    """

    percent: float
    stage: str
    done: int
    total: int
    rate: float | None
    left_s: float | None


class Pace:
    """Turns progress events into a standing.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._start_s = 0.0
        self._first = 0

    def standing(self, event: Mapping[str, Any]) -> Standing:
        """How far a run is after an event of kind `progress`."""
        stage, done, total = str(event["stage"]), int(event["done"]), int(event["total"])
        if stage != self._stage:
            self._stage, self._start_s, self._first = stage, self._clock(), done
        low, high = _SHARES.get(stage, (0.0, 100.0))
        share = min(1.0, done / total) if total > 0 else 0.0
        spent_s, made = self._clock() - self._start_s, done - self._first
        rate = made / spent_s if made > 0 and spent_s > 0.5 else None
        left_s = (total - done) / rate if rate else None
        return Standing(low + share * (high - low), stage, done, total, rate, left_s)
