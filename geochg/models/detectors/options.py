"""The options of the backends `irmad` and `cva`."""

from dataclasses import dataclass

from geochg.errors import OptionError
from geochg.option_fields import ModelOptions, option


@dataclass(frozen=True)
class StatisticalOptions(ModelOptions):
    """The options of every detector."""

    threshold: float | None = option(
        None,
        "Strength above which a pixel is changed (root mean square over the layers of the"
        " difference, in the backend's unit); None to find it in the data.",
        least=0,
        greatest=1e12,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold == 0:
            raise OptionError(f"threshold {self.threshold}", "it must be above zero")


@dataclass(frozen=True)
class IrmadOptions(StatisticalOptions):
    """The options of `irmad`; its `threshold` is in standard deviations of the noise."""

    max_iterations: int = option(50, "Rounds of reweighting at most.", least=1, greatest=100_000)


@dataclass(frozen=True)
class CvaOptions(StatisticalOptions):
    """The options of `cva`; its `threshold` is in standard deviations of the scene."""
