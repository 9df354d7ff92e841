"""What the survey of a radar pair finds, and what it makes of a tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.models.detectors.detector import PROBABILITY_CUT, TileChange
from geochg.models.detectors.radar.decibels import Decibels
from geochg.models.detectors.radar.likelihood import RatioTest, Real, deviates
from geochg.models.detectors.radar.matching import GainMatch
from geochg.models.detectors.radar.mixture import CENTRES
from geochg.models.detectors.radar.nonlocal_means import Filtered, nonlocal_means
from geochg.models.detectors.radar.windows import window_sums
from geochg.records import Change, Channel, Tile

CHANNELS = (
    Channel("other", Change.ALTERED),
    Channel("water", Change.APPEARED),
    Channel("water", Change.DISAPPEARED),
)
"""The kinds of change that are told apart."""


@dataclass(frozen=True, slots=True)
class PolarisationStatistics:
    """One polarisation of a pair, as the survey found it.

    Attributes:
        index: The band's place in the tiles.
        decibels: How the values of either date become decibels.
        match: How decibels of the earlier date become those of the later, where their gain or
            offset is unknown.
        noise: Standard deviation of the speckle of either date, in decibels of the later.
    """

    index: int
    decibels: tuple[Decibels, Decibels]
    match: GainMatch
    noise: tuple[float, float]

    def layers(self, tile: Tile) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Both dates in decibels of the later, each `(height, width)` float32."""
        before = self.decibels[0].of(tile.before[self.index])
        before = np.float32(self.match.gain) * before + np.float32(self.match.offset)
        return before, self.decibels[1].of(tile.after[self.index])


def filtered(polarisations: tuple[PolarisationStatistics, ...], tile: Tile) -> Filtered:
    """Both dates of each polarisation without speckle: `(2 polarisations, height, width)`.

    Differences are measured by the noise of the log ratio, that of both dates together, so that
    what is finer than that at either date is not kept apart.
    """
    layers = [layer for polarisation in polarisations for layer in polarisation.layers(tile)]
    noise = [
        np.hypot(*polarisation.noise) for polarisation in polarisations for _ in polarisation.noise
    ]
    return nonlocal_means(np.stack(layers), np.array(noise), tile.valid)


@dataclass(frozen=True, slots=True)
class DifferenceTest:
    """How much the dates differ, in standard deviations of unchanged ground.

    Attributes:
        offsets: Of each polarisation, the difference of unchanged ground, in decibels.
        tests: The test of each polarisation, for means over so many pixels as is usual.
        usual_pixels: Pixels that a mean is usually worth.
        centre: Deviate at the centre of unchanged ground.
        deviation: Spread of the deviates of unchanged ground; 1 where only speckle differs.
    """

    offsets: tuple[float, ...]
    tests: tuple[RatioTest, ...]
    usual_pixels: float
    centre: float = 0.0
    deviation: float = 1.0

    def of(self, means: NDArray[Real], pixels: NDArray[Real]) -> NDArray[Real]:
        """Signed deviates, below 0 where backscatter fell.

        Speckle weighs more where a mean is worth few pixels, as about single bright points; by how
        much unchanged ground differs beyond that does not depend on it.

        Args:
            means: `(2 polarisations, ...)` filtered decibels.
            pixels: `(...)` pixels that each mean is worth.
        """
        total = np.zeros_like(means[0])
        direction = np.zeros_like(means[0])
        for number, (offset, test) in enumerate(zip(self.offsets, self.tests, strict=True)):
            difference = means[2 * number + 1] - means[2 * number] - means.dtype.type(offset)
            statistic = test.statistic(difference)
            total += statistic
            direction += np.copysign(np.sqrt(statistic), difference)
        signed = np.copysign(deviates(total, len(self.tests)), direction)
        signed -= means.dtype.type(self.centre)
        variance = self.deviation**2
        speckle = np.maximum(pixels, 1) ** -1 * pixels.dtype.type(
            self.usual_pixels * min(variance, 1.0)
        )
        return np.asarray(signed / np.sqrt(speckle + pixels.dtype.type(max(variance - 1.0, 0.0))))


@dataclass(frozen=True, slots=True)
class WaterLevel:
    """How dark still water is.

    Attributes:
        centres: Of each polarisation, the level of land, in decibels of the later date.
        deviations: The spread of land.
        cut: Mean standardised level of the polarisations below which there is water.
    """

    centres: tuple[float, ...]
    deviations: tuple[float, ...]
    cut: float

    def below(self, means: NDArray[Real], date: int) -> NDArray[np.bool_]:
        """Where there is water at a date, 0 or 1, by `(2 polarisations, ...)` decibels."""
        return np.asarray(standard_level(means, date, self.centres, self.deviations) < self.cut)


def standard_level(
    means: NDArray[Real], date: int, centres: tuple[float, ...], deviations: tuple[float, ...]
) -> NDArray[Real]:
    """The mean over the polarisations of a date's level, in standard deviations of land."""
    total = np.zeros_like(means[0])
    for number, (centre, deviation) in enumerate(zip(centres, deviations, strict=True)):
        level = means[2 * number + date] - means.dtype.type(centre)
        total += level / means.dtype.type(deviation)
    return np.asarray(total / means.dtype.type(len(centres)))


@dataclass(frozen=True, slots=True, eq=False)
class RadarStatistics:
    """The results of the survey; fixed for the run.

    Attributes:
        polarisations: The polarisations.
        test: Turns filtered dates into deviates.
        probability: Probability of change at the deviates `CENTRES`.
        water: How dark still water is; None where that cannot be told.
    """

    polarisations: tuple[PolarisationStatistics, ...]
    test: DifferenceTest
    probability: NDArray[np.float64]
    water: WaterLevel | None

    def measure(self, tile: Tile) -> TileChange:
        """The probability that backscatter changed, and what that was."""
        means, pixels = filtered(self.polarisations, tile)
        signed = self.test.of(means, pixels)
        probability = np.interp(signed, CENTRES, self.probability).astype(np.float32)
        kinds = np.zeros(tile.valid.shape, np.uint8)
        if self.water is not None:
            before, after = (self.water.below(means, date) for date in (0, 1))
            changed = tile.valid & (probability >= PROBABILITY_CUT)
            kinds[_commoner(changed & (signed < 0), after & ~before)] = 1
            kinds[_commoner(changed & (signed > 0), before & ~after)] = 2
        return TileChange(probability * tile.valid, kinds, CHANNELS, int(tile.valid.sum()))


def _commoner(changed: NDArray[np.bool_], is_water: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where most of what changed around a changed pixel is water: rims of water are mixed."""
    water, other = (
        window_sums((changed & kind).astype(np.float32)) for kind in (is_water, ~is_water)
    )
    return np.asarray(changed & (water > other))
