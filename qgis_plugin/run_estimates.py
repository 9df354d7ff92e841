"""Estimates of how long a run takes, corrected by what runs took on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from geochg_qgis.link.run_times import RunTime, corrected_time, with_run
from geochg_qgis.run_options import model_text
from geochg_qgis.settings import store_setting, stored_setting

_SETTING = "run_times"


class RunExpectation(NamedTuple):
    """What the worker expects of a run.

    Attributes:
        key: Model and device.
        seconds: Time that the run takes on a machine of which nothing was learned.
    """

    key: str
    seconds: float


class RunEstimates:
    """Learns how long runs of a model take that the worker expects to take a time.

    Args:
        clock: Function that gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._expectation: RunExpectation | None = None
        self._run: tuple[RunExpectation, float] | None = None

    @property
    def expectation(self) -> RunExpectation | None:
        """What is expected of a run of what is chosen; None where that is not known."""
        return self._expectation

    def corrected(self, expectation: RunExpectation) -> float:
        """The time that a run takes by what was learned, in seconds."""
        self._expectation = expectation
        return corrected_time(expectation.seconds, _stored_runs().get(expectation.key, ()))

    def forget(self) -> None:
        """Forgets what was expected: the choices are others now."""
        self._expectation = None

    def begin(self, expectation: RunExpectation | None) -> None:
        """Notes that a run begins; None where nothing is learned of it, as it is resumed."""
        self._run = None if expectation is None else (expectation, self._clock())

    def abandon(self) -> None:
        """Notes that the run ended before it was done."""
        self._run = None

    def end(self) -> None:
        """Learns from the run that began, which is done."""
        run, self._run = self._run, None
        if run is None:
            return
        (key, expected_s), start_s = run
        runs = _stored_runs()
        runs[key] = with_run(runs.get(key, ()), RunTime(expected_s, self._clock() - start_s))
        store_setting(_SETTING, json.dumps(runs))


def estimate_key(options: Mapping[str, Any]) -> str:
    """What the time of a run depends on, beside the pair."""
    return f"{model_text(options)} {options.get('device')}"


def _stored_runs() -> dict[str, list[RunTime]]:
    """The runs by model and device; settings that make no sense count as none."""
    try:
        entries = json.loads(stored_setting(_SETTING, "{}"))
        return {str(key): _runs(times) for key, times in entries.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _runs(times: Iterable[tuple[float, float]]) -> list[RunTime]:
    runs: list[RunTime] = []
    for expected_s, taken_s in times:
        runs = with_run(runs, RunTime(float(expected_s), float(taken_s)))
    return runs
