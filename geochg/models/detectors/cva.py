"""Change vector analysis on standardised bands: fast, and easy to explain."""

from typing import ClassVar

from geochg.models.detectors.difference import LinearDifference
from geochg.models.detectors.options import CvaOptions
from geochg.models.detectors.sample import PixelSample
from geochg.models.detectors.standardise import standardised_difference
from geochg.models.detectors.statistical import StatisticalModel


class CvaModel(StatisticalModel[CvaOptions]):
    """Change vector analysis (Malila 1980) on bands standardised for each date.

    The change vector is the difference of the dates' standardised bands; its strength is the root
    mean square over the bands, in standard deviations of the scene.
    """

    name = "cva"
    summary = "change vector analysis on standardised bands; no weights"
    algorithm_version: ClassVar[int] = 1

    def floor(self, difference: LinearDifference) -> float:
        """Half a standard deviation of the scene, however quiet the noise."""
        return 0.5

    def fit(self, sample: PixelSample) -> LinearDifference:
        """Standardises the bands; see `standardised_difference`."""
        return standardised_difference(sample.before, sample.after)
