"""The choices of options that take one of a few values."""

from __future__ import annotations

from enum import StrEnum


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
