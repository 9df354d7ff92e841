"""The backend `radar`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from geochg.models.base import Capabilities
from geochg.models.detectors.detector import TileChange, WeightlessModel
from geochg.models.detectors.radar.options import RadarOptions
from geochg.models.detectors.radar.polarisations import polarisations_of
from geochg.models.detectors.radar.statistics import CHANNELS, RadarStatistics
from geochg.models.detectors.radar.survey import sample_of, survey_pair
from geochg.records import PairFacts, Task, Tile

SURVEY_TILES = 64
"""Tiles of a survey: each is filtered, which takes as long as an answer about it."""


class RadarModel(WeightlessModel[RadarOptions]):
    """Change of radar backscatter in one or two polarisations.

    Values become decibels (`decibels`), dates of unknown gain are matched (`matching`), speckle
    is filtered by non-local means over both dates (`nonlocal_means`), the likelihood ratio of
    Conradsen et al. (2003) measures the difference (`likelihood`), and a mixture of unchanged
    ground, modes of change and heavy tails gives threshold and probability (`mixture`). The sign
    tells the direction, a dark mode of the levels still water (`water`).
    """

    name = "radar"
    summary = "log and likelihood ratio of radar images, speckle filtered; no weights"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.CAPTION, Task.PRESENCE, Task.LOCATE}),
        location="mask",
        pixels="values",
        bands="all",
        radar="needed",
        surveys=True,
        survey_tiles=SURVEY_TILES,
        classes=tuple(dict.fromkeys(channel.class_name for channel in CHANNELS)),
    )
    algorithm_version: ClassVar[int] = 1

    def __init__(self, options: RadarOptions) -> None:
        super().__init__(options)
        self.statistics: RadarStatistics | None = None

    @property
    def is_surveyed(self) -> bool:
        """Whether the statistics of the pair are known."""
        return self.statistics is not None

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Measures noise, match, threshold and water on a sample of the tiles.

        Raises:
            ModelError: If the bands are no radar, or nothing says what they measure, or there are
                too few valid pixels.
        """
        polarisations = polarisations_of(facts, self.options.scale)
        self.statistics = survey_pair(sample_of(sample), polarisations, self.options)

    def measure(self, tile: Tile) -> TileChange:
        """The probability that backscatter changed, and what that was."""
        assert self.statistics is not None
        return self.statistics.measure(tile)
