"""Water and vegetation from band ratios, and the kind of change they tell.

The cuts of the indices need not be the textbook ones, which hold for reflectances: source units may
be 8-bit numbers stretched for the eye, each date in its own way. Each date gets its own cuts, in
the deepest valley of the index's histogram near the textbook value, if there is one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.records import Change, Channel

CHANNELS = (
    Channel("other", Change.ALTERED),
    Channel("vegetation", Change.ALTERED),
    Channel("water", Change.ALTERED),
    Channel("vegetation", Change.APPEARED),
    Channel("vegetation", Change.DISAPPEARED),
    Channel("water", Change.APPEARED),
    Channel("water", Change.DISAPPEARED),
)
"""The kinds of change told apart when there is a near-infrared band."""


def class_names(channels: Iterable[Channel]) -> tuple[str, ...]:
    """The classes of some kinds of change, each once."""
    return tuple(dict.fromkeys(channel.class_name for channel in channels))


_OTHER, _VEGETATION, _WATER = 0, 1, 2

_KIND = np.array(
    [
        # after:  other vegetation water, before:
        [0, 3, 5],  # other
        [4, 1, 5],  # vegetation
        [6, 6, 2],  # water
    ],
    dtype=np.uint8,
)
"""Index into `CHANNELS` by cover before and after; water outranks vegetation."""


@dataclass(frozen=True, slots=True)
class CutRange:
    """Range of the cut of an index, and its value when the histogram has no valley."""

    low: float
    high: float
    otherwise: float


VEGETATION_CUT = CutRange(low=0.1, high=0.5, otherwise=0.3)
WATER_CUT = CutRange(low=-0.1, high=0.45, otherwise=0.2)
"""McFeeters cuts at 0; a scene without a hill of water has asphalt and shadow there instead."""

LEAST_DEPTH = 1.5
"""A valley counts when the hills on both sides are this many times as high as its floor."""

_BIN_WIDTH = 0.01
_BLUR = 0.03
_LEAST_DENSITY = 1e-5


@dataclass(frozen=True, slots=True)
class CoverBands:
    """Positions of the bands that tell cover."""

    nir: int
    red: int | None
    green: int | None


def cover_bands(bands: tuple[str, ...]) -> CoverBands | None:
    """The bands that tell cover by their names; None without `nir` and one of `red`, `green`."""
    index = {name: bands.index(name) for name in ("nir", "red", "green") if name in bands}
    if "nir" not in index or len(index) == 1:
        return None
    return CoverBands(index["nir"], index.get("red"), index.get("green"))


def channels_of(bands: tuple[str, ...]) -> tuple[Channel, ...]:
    """The kinds of change that bands of these names tell apart."""
    positions = cover_bands(bands)
    if positions is None:
        return CHANNELS[:1]
    if positions.red is None:
        return tuple(channel for channel in CHANNELS if channel.class_name != "vegetation")
    return CHANNELS


@dataclass(frozen=True, slots=True, eq=False)
class CoverScores:
    """Two numbers a pixel, linear in the bands of one date; where one is above 0 the cover is that.

    An index (a - b)/(a + b) above a cut t means (1 - t) a - (1 + t) b above 0 (for a + b above 0),
    which needs no division.

    Attributes:
        weights: `(2, bands)` float32; vegetation, then water.
    """

    weights: NDArray[np.float32]


def fit_cover(bands: CoverBands, values: NDArray[np.float64]) -> CoverScores:
    """Finds one date's cuts of NDVI and NDWI.

    Vegetation is NDVI = (nir - red)/(nir + red) above a cut in `VEGETATION_CUT`; water is NDWI =
    (green - nir)/(green + nir) (McFeeters 1996) above a cut in `WATER_CUT`. Without green, red
    stands in for it; without red, nothing is called vegetation.

    Args:
        bands: Indices of the bands.
        values: `(bands, pixels)` float64 sample of the date, source units.
    """
    weights = np.zeros((2, len(values)), dtype=np.float32)
    nir = values[bands.nir]
    if bands.red is not None:
        cut = valley(_ratio(nir, values[bands.red]), VEGETATION_CUT)
        weights[0, bands.nir], weights[0, bands.red] = 1 - cut, -(1 + cut)
    visible = bands.red if bands.green is None else bands.green
    assert visible is not None
    cut = valley(_ratio(values[visible], nir), WATER_CUT)
    weights[1, visible], weights[1, bands.nir] = 1 - cut, -(1 + cut)
    return CoverScores(weights)


def kinds(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The kind of change of each pixel by the scores of both dates, `(2, height, width)` float32.

    Returns:
        `(height, width)` uint8, index into `CHANNELS`.
    """
    return np.asarray(_KIND.ravel()[_cover(before) * 3 + _cover(after)])


def _cover(scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    vegetation, water = scores > 0
    return np.where(water, np.uint8(_WATER), vegetation.view(np.uint8))


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    total = a + b
    return (a - b)[total > 0] / total[total > 0]


def valley(index: NDArray[np.float64], cut_range: CutRange) -> float:
    """The deepest valley of the index's blurred histogram in the range.

    A valley's depth is the height of the lower of the highest hills on its two sides over its own.

    Args:
        index: `(pixels,)` float64, -1 to 1 (clipped).
        cut_range: Range, and the value without a valley.

    Returns:
        The valley's position, or `within.otherwise` where no valley is `LEAST_DEPTH` deep.
    """
    edges = np.linspace(-1.0, 1.0, round(2 / _BIN_WIDTH) + 1)
    centres = edges[:-1] + _BIN_WIDTH / 2
    counts = np.histogram(np.clip(index, -1.0, 1.0), edges)[0]
    steps = np.arange(-9, 10) * _BIN_WIDTH
    kernel = np.exp(-0.5 * (steps / _BLUR) ** 2)
    density = np.convolve(counts / max(len(index), 1), kernel / kernel.sum(), mode="same")
    left = np.maximum.accumulate(density)
    right = np.maximum.accumulate(density[::-1])[::-1]
    depth = np.minimum(left, right) / (density + _LEAST_DENSITY)
    depth[(centres < cut_range.low) | (centres > cut_range.high)] = 0.0
    deepest = int(np.argmax(depth))
    return float(centres[deepest]) if depth[deepest] >= LEAST_DEPTH else cut_range.otherwise
