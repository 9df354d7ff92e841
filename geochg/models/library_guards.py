"""Keeps libraries within bounds while they open and run models: quiet, off the hub, and in time."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import FrameType
from typing import Any

NOISY_LOGGERS = ("bitsandbytes", "torch.onnx")
"""Loggers of libraries that warn of what is meant to be so."""

_hub_lock = Lock()
_hub_states: list[bool] = []


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hides bars, reports and warnings of transformers and the `NOISY_LOGGERS`; errors are raised.

    Outside the block all of them speak as before.
    """
    from transformers.utils import logging as transformers_logging

    loggers = [logging.getLogger(name) for name in NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def hub_offline() -> Iterator[None]:
    """Lets no library ask the hub within the block, whatever the settings of a model name.

    What was to be fetched has been by then: see `hub.find_folder`.
    """
    from huggingface_hub import constants

    with _hub_lock:
        # The first of several threads keeps the state of before, the last one restores it.
        _hub_states.append(constants.HF_HUB_OFFLINE)
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        with _hub_lock:
            state = _hub_states.pop()
            if not _hub_states:
                constants.HF_HUB_OFFLINE = state


@contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Ends Python code of others that runs for too long, such as the loops of a chat template.

    Within the block no line of Python code begins after the limit, on this thread. What one line
    hands to compiled code is waited for.

    Args:
        limit_s: Time that the block may take.

    Raises:
        TimeoutError: If a line would begin later.
    """
    end_s = time.monotonic() + limit_s

    def check_time(_frame: FrameType, _event: str, _value: object) -> Any:
        if time.monotonic() > end_s:
            raise TimeoutError(f"it has not ended within {limit_s:g} seconds")
        return check_time

    previous = sys.gettrace()
    sys.settrace(check_time)
    try:
        yield
    finally:
        sys.settrace(previous)
