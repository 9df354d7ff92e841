"""Keeps libraries from talking over the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

TALKERS = ("bitsandbytes", "torch.onnx")
"""Loggers of libraries that warn of what is meant to be so."""


@contextmanager
def quietly() -> Iterator[None]:
    """Without bars, reports and warnings of transformers and the `TALKERS`; errors are raised."""
    import logging as standard

    from transformers.utils import logging

    talkers = [standard.getLogger(name) for name in TALKERS]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(standard.ERROR)
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
