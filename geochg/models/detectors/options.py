"""The options of the backends `irmad` and `cva`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from geochg.errors import OptionError
from geochg.options import Options


@dataclass(frozen=True)
class StatisticalOptions(Options):
    """The options of every detector.

    Attributes:
        threshold: Strength above which a pixel is changed (root mean square over the layers of the
            difference, in the backend's unit); None to find it in the data.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "threshold": (0, 1e12),
    }

    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not self.threshold > 0:
            raise OptionError(f"threshold {self.threshold}", "it must be above zero")
        super().__post_init__()


@dataclass(frozen=True)
class IrmadOptions(StatisticalOptions):
    """The options of `irmad`; its `threshold` is in standard deviations of the noise.

    Attributes:
        max_iterations: Rounds of reweighting at most.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "threshold": (0, 1e12),
        "max_iterations": (1, 100_000),
    }

    max_iterations: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_iterations < 1:
            raise OptionError(f"max_iterations {self.max_iterations}", "it must be above zero")


@dataclass(frozen=True)
class CvaOptions(StatisticalOptions):
    """The options of `cva`; its `threshold` is in standard deviations of the scene."""
