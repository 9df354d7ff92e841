"""Ends Python code of others that runs for too long, such as the loops of a chat template."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def patience(limit_s: float) -> Iterator[None]:
    """Within the block no line of Python code begins after some seconds, on this thread.

    What one line hands to compiled code is waited for.

    Raises:
        TimeoutError: If one would.
    """
    end = time.monotonic() + limit_s

    def watch(_frame: FrameType, _event: str, _value: object) -> Any:  # noqa: ANN401
        if time.monotonic() > end:
            raise TimeoutError(f"it has not ended within {limit_s:g} seconds")
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(before)
