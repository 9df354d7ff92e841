"""The options of the backend `radar`."""

from dataclasses import dataclass
from enum import StrEnum

from geochg.models.detectors.options import StatisticalOptions
from geochg.option_fields import option


class RadarScale(StrEnum):
    """The measure in which backscatter is given."""

    INTENSITY = "intensity"
    AMPLITUDE = "amplitude"
    DB = "db"


@dataclass(frozen=True)
class RadarOptions(StatisticalOptions):
    """The options of `radar`; its `threshold` is in standard deviations of unchanged ground."""

    scale: RadarScale | None = option(
        None,
        "Measure of the values of both images: intensity (power), amplitude, or db, of which gain"
        " and offset need not be known; None to take it from tags, units and names of the bands.",
    )
    looks: float | None = option(
        None,
        "Equivalent number of looks of an image; None to estimate it.",
        least=0.5,
        greatest=100_000,
    )
    looks_before: float | None = option(
        None,
        "Equivalent number of looks of the earlier image where it has others, as the mean of"
        " several dates has; None for that of looks.",
        least=0.5,
        greatest=100_000,
    )

    @property
    def looks_of_dates(self) -> tuple[float | None, float | None]:
        """The looks that are given, of the earlier and the later image."""
        return (self.looks if self.looks_before is None else self.looks_before), self.looks
