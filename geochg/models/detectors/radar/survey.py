"""The survey of a radar pair: noise, match, unchanged ground, threshold and still water."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geochg.errors import ModelError
from geochg.models.detectors.radar.decibels import (
    Decibels,
    has_known_gain,
    looks_of_spread,
    spread_db,
)
from geochg.models.detectors.radar.likelihood import RatioTest, ratio_test
from geochg.models.detectors.radar.matching import GainMatch, match_dates
from geochg.models.detectors.radar.mixture import (
    fit_mixture,
    fit_null,
    probabilities,
)
from geochg.models.detectors.radar.nonlocal_means import REACH_PX
from geochg.models.detectors.radar.options import RadarOptions, RadarScale
from geochg.models.detectors.radar.polarisations import Polarisation
from geochg.models.detectors.radar.statistics import (
    DifferenceTest,
    PolarisationStatistics,
    RadarStatistics,
    filtered,
)
from geochg.models.detectors.radar.water import water_level
from geochg.models.detectors.radar.windows import (
    SIDE_PX,
    WINDOW_PX,
    local_statistics,
    noise_level,
    window_sums,
)
from geochg.models.detectors.sample import MAX_PIXELS, ROW_STEP, finite_pixels
from geochg.records import PixelWindow, Tile

DATES = ("before", "after")

MIN_WINDOWS = 64
"""Fewer whole windows than this are nothing to learn the noise from."""

MOST_CORE_PX = 512
"""Of larger tiles, the survey looks at the middle."""

LEAST_DEVIATION = 0.02
"""Spread of unchanged ground in units of the speckle of a single pixel, at the least."""


@dataclass(frozen=True, slots=True, eq=False)
class SurveySample:
    """The tiles of a survey, and the pixels of their cores that are sampled.

    Attributes:
        tiles: The tiles, pixels that are not finite taken as not valid.
        step: One pixel in so many is sampled, on a lattice of the grid.
    """

    tiles: tuple[Tile, ...]
    step: int

    def values(
        self, layers: Callable[[Tile], tuple[NDArray[np.float32], NDArray[np.bool_]]]
    ) -> NDArray[np.float32]:
        """What a function gives for the sampled pixels, in the order of the grid.

        Args:
            layers: Gives `(layers, height, width)` float32 of a tile, and where it is usable.

        Returns:
            `(layers, pixels)` float32.
        """
        chunks, places = [], []
        for tile in self.tiles:
            stack, is_usable = layers(tile)
            core = tile.window.core
            rows = np.arange(core.row_start, core.row_stop, dtype=np.int64)[:, np.newaxis]
            cols = np.arange(core.col_start, core.col_stop, dtype=np.int64)
            inside = core.slices_within(tile.window.read)
            is_sampled = is_usable[inside] & ((rows * ROW_STEP + cols) % self.step == 0)
            chunks.append(stack[:, *inside][:, is_sampled])
            places.append(((rows << 32) + cols)[is_sampled])
        order = np.argsort(np.concatenate(places), kind="stable")
        return np.concatenate(chunks, axis=1)[:, order]


def sample_of(tiles: Iterable[Tile], max_pixels: int = MAX_PIXELS) -> SurveySample:
    """Keeps the tiles of a survey, the middles of large ones."""
    middles = tuple(_middle(tile) for tile in tiles)
    pixels = sum(tile.window.core.height_px * tile.window.core.width_px for tile in middles)
    step = 1
    while pixels > step * max_pixels:
        step *= 2
    return SurveySample(middles, step)


def _middle(tile: Tile) -> Tile:
    window, valid = tile.window, tile.valid & finite_pixels(tile)
    core, read = window.core, window.read
    starts = [
        start + max(length - MOST_CORE_PX, 0) // 2
        for start, length in ((core.row_start, core.height_px), (core.col_start, core.width_px))
    ]
    (row, col), margin = starts, REACH_PX
    core = PixelWindow(
        row, min(row + MOST_CORE_PX, core.row_stop), col, min(col + MOST_CORE_PX, core.col_stop)
    )
    around = PixelWindow(
        core.row_start - margin,
        core.row_stop + margin,
        core.col_start - margin,
        core.col_stop + margin,
    ).cut_to(read)
    assert around is not None
    cut = around.slices_within(read)
    before, after = (
        np.where(valid[cut], date[:, *cut], 0).astype(np.float32)
        for date in (tile.before, tile.after)
    )
    return Tile(replace(window, core=core, read=around), (before, after), valid[cut])


def survey_pair(
    sample: SurveySample, polarisations_taken: Sequence[Polarisation], options: RadarOptions
) -> RadarStatistics:
    """Finds all that is to be known of a pair before its tiles are answered.

    Raises:
        ModelError: If there are too few valid pixels.
    """
    surveyed = [_survey_polarisation(sample, item, options) for item in polarisations_taken]
    polarisations = tuple(item.statistics for item in surveyed)

    def means_and_pixels(tile: Tile) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        means, pixels = filtered(polarisations, tile)
        return np.concatenate((means, pixels[np.newaxis])), tile.valid

    values = sample.values(means_and_pixels).astype(np.float64)
    means, pixels = values[:-1], values[-1]
    test = _difference_test(means, pixels, surveyed)
    mixture = fit_mixture(test.of(means, pixels))
    given_threshold = options.threshold
    thresholds = (
        (mixture.threshold(-1), mixture.threshold(1))
        if given_threshold is None
        else (given_threshold, given_threshold)
    )
    table = probabilities(mixture, thresholds, fixed=given_threshold is not None)
    return RadarStatistics(polarisations, test, table, water_level(means))


# --- one polarisation ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Surveyed:
    """A polarisation with the looks of its dates and the later values of a decibel.

    `unit` is None where the gain is not known.
    """

    statistics: PolarisationStatistics
    looks: tuple[float, float]
    unit: float | None


def _survey_polarisation(
    sample: SurveySample, polarisation: Polarisation, options: RadarOptions
) -> _Surveyed:
    """Noise and match of one polarisation."""
    raw = _valid_values(sample, polarisation)
    decibels = (
        Decibels.of_sample(polarisation.scales[0], raw[0]),
        Decibels.of_sample(polarisation.scales[1], raw[1]),
    )
    is_known = all(
        has_known_gain(scale, values)
        for scale, values in zip(polarisation.scales, raw, strict=True)
    )
    centres = [
        float(np.median(item.of(values))) for item, values in zip(decibels, raw, strict=True)
    ]

    def windows(tile: Tile) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        dates = (tile.before[polarisation.index], tile.after[polarisation.index])
        local = [
            local_statistics(np.where(tile.valid, item.of(values), 0).astype(np.float32), centre)
            for item, values, centre in zip(decibels, dates, centres, strict=True)
        ]
        is_whole = window_sums(tile.valid.astype(np.float32)) > WINDOW_PX - 0.5
        return np.stack([layer for item in local for layer in item]), is_whole

    local = sample.values(windows)
    if local.shape[1] < MIN_WINDOWS:
        raise _too_few(local.shape[1], f"windows of {SIDE_PX} x {SIDE_PX} px valid at both dates")
    noise = (noise_level(local[1]), noise_level(local[3]))
    given_looks = options.looks_of_dates
    if is_known:
        looks, noise = _looks_and_noise(noise, given_looks)
        return _Surveyed(
            PolarisationStatistics(polarisation.index, decibels, GainMatch(1.0, 0.0), noise),
            looks,
            1.0,
        )
    mean_noise = (noise[0] / SIDE_PX, noise[1] / SIDE_PX)
    match = match_dates(local[0].astype(np.float64), local[2].astype(np.float64), mean_noise)
    noise = (noise[0] * match.gain, noise[1])
    # With its looks given, the speckle of the later date tells what a decibel is.
    unit = (
        noise[1] / spread_db(given_looks[1])
        if given_looks[1] is not None and noise[1] > 0
        else None
    )
    looks = (1.0, 1.0)
    if unit is not None:
        looks, _ = _looks_and_noise((noise[0] / unit, noise[1] / unit), given_looks)
    return _Surveyed(
        PolarisationStatistics(polarisation.index, decibels, match, noise), looks, unit
    )


def _valid_values(sample: SurveySample, polarisation: Polarisation) -> NDArray[np.float32]:
    """Values of a polarisation, `(dates, pixels)`, at pixels valid at both dates."""
    raw = sample.values(
        lambda tile: (
            np.stack([tile.before[polarisation.index], tile.after[polarisation.index]]),
            tile.valid,
        )
    )
    if raw.shape[1] < MIN_WINDOWS:
        raise _too_few(raw.shape[1], "pixels valid at both dates")
    _refuse_below_zero(polarisation.scales, raw)
    return raw


def _refuse_below_zero(scales: Sequence[RadarScale], raw: NDArray[np.float32]) -> None:
    """Refuses decibels that are called something else: only they lie mostly below 0.

    Args:
        scales: Scale of each date.
        raw: `(dates, pixels)`, values of valid pixels.

    Raises:
        ModelError: If half of the values of a date are no intensity and no amplitude.
    """
    for date, scale, values in zip(DATES, scales, raw, strict=True):
        if scale is not RadarScale.DB and float(np.median(values)) < 0:
            raise ModelError(
                f"most values of the {date} image lie below 0, which no {scale} does",
                "add --model-option scale=db if both dates are in decibels",
            )


def _looks_and_noise(
    noise_db: tuple[float, float], given_looks: tuple[float | None, float | None]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Looks of both dates, as given or by their noise, and the noise that goes with them."""
    looks, noise = [], []
    for measured_db, known_looks in zip(noise_db, given_looks, strict=True):
        looks.append(looks_of_spread(measured_db) if known_looks is None else known_looks)
        noise.append(measured_db if known_looks is None else spread_db(known_looks))
    return (looks[0], looks[1]), (noise[0], noise[1])


def _too_few(count: int, unit: str) -> ModelError:
    return ModelError(
        f"radar found {count} {unit}, it needs {MIN_WINDOWS}",
        "check nodata values and the area of interest",
    )


# --- the test ------------------------------------------------------------------------------------


def _difference_test(
    means: NDArray[np.float64], pixels: NDArray[np.float64], surveyed: Sequence[_Surveyed]
) -> DifferenceTest:
    """The test in standard deviations of unchanged ground.

    Ground that did not change differs by more than speckle: by rain, wind and growth. So the
    spread of the deviates is taken from the core of their distribution, and not from theory.
    """
    usual_pixels = max(float(np.median(pixels)), 1.0)
    offsets, tests = list[float](), list[RatioTest]()
    for number, item in enumerate(surveyed):
        offsets.append(fit_null(means[2 * number + 1] - means[2 * number]).centre)
        noise = max(math.hypot(*item.statistics.noise), 1e-6)
        is_known = item.unit is not None
        unit = item.unit if item.unit is not None else noise
        tests.append(ratio_test(item.looks, usual_pixels, unit, known_gain=is_known))
    test = DifferenceTest(tuple(offsets), tuple(tests), usual_pixels)
    null = fit_null(test.of(means, np.full_like(pixels, usual_pixels)))
    # Of a single pixel's speckle, a filtered difference is never told closer than this.
    least = LEAST_DEVIATION * math.sqrt(usual_pixels)
    test = replace(test, centre=null.centre, deviation=max(null.deviation, least))
    spread = fit_null(test.of(means, pixels)).deviation
    return replace(test, deviation=max(test.deviation * spread, least))
