"""Estimates of how long a run takes, corrected by what runs took on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from geochg_qgis.settings import store_setting, stored_setting

_SETTING = "time_ratios"
_NEW_SHARE = 0.5
"""Weight of the last run among those before."""

_LEAST_S = 2.0
"""Runs shorter than this tell nothing: starting the worker takes longer."""

_GREATEST_RATIO = 20.0


class RunEstimates:
    """Learns by which factor runs of a model take longer than the worker expects.

    Args:
        clock: Function that gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._expected_s: float | None = None
        self._run: tuple[str, float, float] | None = None
        self._may_resume = False

    def corrected(self, key: str, expected_s: float) -> float:
        """The time that a run takes by what was learned, in seconds.

        Args:
            key: Model and device.
            expected_s: Time that the worker expects, in seconds; a run that begins next is
                compared with it.
        """
        self._expected_s = expected_s
        return expected_s * _ratios().get(key, 1.0)

    def forget(self) -> None:
        """Forgets what was expected: the choices are others now."""
        self._expected_s = None

    def begin(self, key: str) -> None:
        """Notes that a run begins; one after a run that was not done may go on with that."""
        is_comparable = self._expected_s is not None and not self._may_resume
        self._run = (key, self._expected_s, self._clock()) if is_comparable else None
        self._may_resume = False

    def abandon(self) -> None:
        """Notes that a run ended before it was done, or that an unfinished one goes on."""
        self._run, self._may_resume = None, True

    def end(self) -> None:
        """Learns from the run that began, which is done."""
        run, self._run = self._run, None
        if run is None:
            return
        key, expected_s, start_s = run
        taken_s = self._clock() - start_s
        if taken_s < _LEAST_S:
            return
        ratio = min(max(taken_s / expected_s, 1 / _GREATEST_RATIO), _GREATEST_RATIO)
        ratios = _ratios()
        former = ratios.get(key)
        if former is not None:
            # The mean of ratios is that of their logarithms.
            ratio = former ** (1 - _NEW_SHARE) * ratio**_NEW_SHARE
        store_setting(_SETTING, json.dumps({**ratios, key: ratio}))


def _ratios() -> dict[str, float]:
    try:
        ratios = json.loads(stored_setting(_SETTING, "{}"))
    except ValueError:
        return {}
    entries = ratios.items() if isinstance(ratios, dict) else ()
    return {str(key): float(ratio) for key, ratio in entries if isinstance(ratio, (int, float))}
