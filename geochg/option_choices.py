"""The choices of options that take one of a few values, and values of one written form."""

from __future__ import annotations

from enum import StrEnum

from geochg.errors import OptionError
from geochg.safety.untrusted_text import cleaned


class AlignMode(StrEnum):
    """What to do about a residual shift between the dates."""

    AUTO = "auto"
    SHIFT = "shift"
    FIELD = "field"
    REPORT = "report"
    OFF = "off"


class Geometry(StrEnum):
    """What shape features take."""

    OUTLINE = "outline"
    CELLS = "cells"


class Sensitivity(StrEnum):
    """How easily a model that outlines calls a pixel changed; `normal` is as it was calibrated."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"

    @property
    def log_odds(self) -> float:
        """What is added to the log odds of the model's thresholds."""
        return {Sensitivity.LOW: 1.0, Sensitivity.HIGH: -1.0}.get(self, 0.0)


class Quantize(StrEnum):
    """In how many bits a model holds its weights."""

    FOUR = "4bit"
    EIGHT = "8bit"


class Dtype(StrEnum):
    """Number type of a model's weights."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def nodata_value(text: str) -> tuple[float, ...]:
    """A nodata value as it is written; an empty tuple for `none`.

    Raises:
        OptionError: If it is no number.
    """
    if text.lower() == "none":
        return ()
    try:
        if "_" not in text:
            return (float(text),)
    except ValueError:
        pass
    raise OptionError(
        f"nodata {cleaned(text, 40)!r} is no number",
        "write --nodata VALUE, or --nodata BEFORE,AFTER; nan and none are values too",
    )
