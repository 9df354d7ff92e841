"""How long the fuzz runs, and from which seeds.

In the gate the inputs are always the same and every target has its share of two minutes.
`make fuzz SECONDS=3600` goes on with other seeds, which a failure prints, for an hour.
"""

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

TARGETS = 12
"""Tests of this folder, which share the time."""

SECONDS = float(os.environ.get("FUZZ_SECONDS", "120"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))
GOES_ON = "FUZZ_SECONDS" in os.environ


def fuzz(inputs: SearchStrategy, check: Callable[[object], None], *, most: int) -> None:
    """Tries a check on inputs until its share of the time is over.

    Args:
        inputs: What is drawn.
        check: Raises where something is not right.
        most: Inputs of a round.
    """
    end = time.monotonic() + SECONDS / TARGETS
    number = FIRST_SEED
    while True:
        _round(inputs, check, most, number, end)
        number += 1
        if not GOES_ON or time.monotonic() > end:
            return


def _round(
    inputs: SearchStrategy, check: Callable[[object], None], most: int, number: int, end: float
) -> None:
    @seed(number)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(inputs)
    def tried(value: object) -> None:
        if time.monotonic() < end:
            check(value)

    try:
        tried()
    except BaseException:
        print(f"found by FUZZ_SEED={number}")
        raise
