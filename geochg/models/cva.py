"""Change vector analysis on standardised bands: fast, and easy to explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from geochg.errors import OptionError
from geochg.models.standardise import standardised_difference
from geochg.models.statistical import StatisticalModel
from geochg.options import Options

if TYPE_CHECKING:
    from geochg.models.difference import LinearDifference
    from geochg.models.sample import PixelSample


@dataclass(frozen=True)
class CvaOptions(Options):
    """What `cva` can be told.

    Attributes:
        threshold: Strength above which a pixel is changed, in standard deviations of the scene
            (root mean square over the bands); None to find it in the data.
    """

    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not self.threshold > 0:
            raise OptionError(f"threshold {self.threshold}", "it must be above zero")


class CvaModel(StatisticalModel):
    """Change vector analysis (Malila 1980) on bands standardised for each date.

    The change vector is the difference of the dates' standardised bands; its strength is the root
    mean square over the bands, in standard deviations of the scene.
    """

    name: ClassVar[str] = "cva"
    summary: ClassVar[str] = "change vector analysis on standardised bands; no weights"
    options_type: ClassVar[type[Options]] = CvaOptions
    algorithm_version: ClassVar[int] = 1

    @property
    def manual_cut(self) -> float | None:
        """The `threshold` option."""
        assert isinstance(self.options, CvaOptions)
        return self.options.threshold

    def floor(self, difference: LinearDifference) -> float:
        """Half a standard deviation of the scene, however quiet the noise."""
        return 0.5

    def fit(self, sample: PixelSample) -> LinearDifference:
        """Standardises the bands; see `standardised_difference`."""
        return standardised_difference(sample.before, sample.after)
