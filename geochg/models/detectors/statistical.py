"""The base of the backends without learning: survey, answers and arithmetic of a tile."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.errors import ModelError
from geochg.models.base import Capabilities
from geochg.models.detectors.detector import DetectorOptionsT, TileChange, WeightlessModel
from geochg.models.detectors.difference import LinearDifference, sharp_strength, strength
from geochg.models.detectors.sample import PixelSample, sample_pixels
from geochg.models.detectors.smooth import smoothed
from geochg.models.detectors.spectral import (
    CHANNELS,
    CoverScores,
    channels_of,
    class_names,
    cover_bands,
    fit_cover,
    kinds,
)
from geochg.models.detectors.threshold import Cut, effective_dof, fit_cut, fixed_cut
from geochg.records import (
    Channel,
    PairFacts,
    Task,
    Tile,
)

MIN_SAMPLE_PIXELS = 64
"""Fewer valid pixels than this in the sample are nothing to learn statistics from."""


@dataclass(frozen=True, slots=True, eq=False)
class PairStatistics:
    """The results of the survey; fixed for the run.

    Attributes:
        difference: Maps band values to difference layers.
        cut: Maps the strength of the layers to a probability.
        covers: Cover scores before and after; None when the bands cannot tell cover.
    """

    difference: LinearDifference
    cut: Cut
    covers: tuple[CoverScores, CoverScores] | None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The `CHANNELS` in use: all, or only the first."""
        return CHANNELS if self.covers else CHANNELS[:1]


class StatisticalModel(WeightlessModel[DetectorOptionsT]):
    """Base of the backends that learn a linear difference from the pair itself.

    `survey` fits it on a bounded sample (`sample_pixels`); `answer` applies it, averages the
    difference layers over neighbours (`smoothed`: opposite errors on either side of a misaligned
    edge cancel, and outlines hold together), takes their strength, and turns that into a
    probability with the cut found by `fit_cut`. No tile knows of another.
    """

    backend_capabilities = Capabilities(
        tasks=frozenset({Task.CAPTION, Task.PRESENCE, Task.LOCATE}),
        location="mask",
        pixels="values",
        bands="all",
        surveys=True,
        classes=class_names(CHANNELS),
    )

    def __init__(self, options: DetectorOptionsT) -> None:
        super().__init__(options)
        self.statistics: PairStatistics | None = None

    @property
    def is_surveyed(self) -> bool:
        """Whether the statistics of the pair are known."""
        return self.statistics is not None

    def classes_of(self, facts: PairFacts) -> tuple[str, ...]:
        """Without the near infrared, only that something changed; see `channels_of`."""
        return class_names(channels_of(facts.bands))

    @abstractmethod
    def fit(self, sample: PixelSample) -> LinearDifference:
        """Finds the difference that tells change from noise in the sample.

        Raises:
            ModelError: If the sample does not allow it.
        """

    @abstractmethod
    def floor(self, difference: LinearDifference) -> float:
        """Least strength ever called change, unless the user sets the cut."""

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Fits difference, cut and cover scores on a sample of the pixels.

        Raises:
            ModelError: If there are too few valid pixels, or `fit` cannot work with them.
        """
        pixels = sample_pixels(sample)
        if pixels.pixels < MIN_SAMPLE_PIXELS:
            raise ModelError(
                f"{self.name} found {pixels.pixels} pixels valid at both dates,"
                f" it needs {MIN_SAMPLE_PIXELS}",
                "check nodata values and the area of interest",
            )
        pixels = pixels.without_outliers()
        difference = self.fit(pixels)
        layers = difference.of_pixels(pixels.before, pixels.after)
        strengths = strength(layers)
        if self.options.threshold is None:
            cut = fit_cut(strengths, effective_dof(layers), self.floor(difference))
        else:
            cut = fixed_cut(strengths, self.options.threshold)
        self.statistics = PairStatistics(difference, cut, _covers(facts, pixels))

    def measure(self, tile: Tile) -> TileChange:
        """The strength of the tile's differences as a probability; see `tile_change`."""
        assert self.statistics is not None
        return tile_change(self.statistics, tile)


def _covers(facts: PairFacts, pixels: PixelSample) -> tuple[CoverScores, CoverScores] | None:
    bands = cover_bands(facts.bands)
    if bands is None:
        return None
    return fit_cover(bands, pixels.before), fit_cover(bands, pixels.after)


def tile_change(statistics: PairStatistics, tile: Tile) -> TileChange:
    """Measures a tile of finite pixels."""
    valid_px = int(np.count_nonzero(tile.valid))
    if not valid_px:
        return TileChange(
            np.zeros(tile.valid.shape, np.float32), None, statistics.channels, valid_px
        )
    with np.errstate(over="ignore", invalid="ignore"):
        layers = statistics.difference.of_tile(tile.before, tile.after)
        mean_layers = smoothed(layers, tile.valid)
        probability = statistics.cut.probability(sharp_strength(layers, mean_layers))
    if valid_px < tile.valid.size:
        probability *= tile.valid
    return TileChange(probability, _kinds(statistics, tile), statistics.channels, valid_px)


def _kinds(statistics: PairStatistics, tile: Tile) -> NDArray[np.uint8] | None:
    if statistics.covers is None:
        return None
    scores = [
        np.tensordot(cover.weights, date, axes=1)
        for cover, date in zip(statistics.covers, (tile.before, tile.after), strict=True)
    ]
    return kinds(*scores)
