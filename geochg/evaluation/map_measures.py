"""Measures of a map of changes, and of differencing, against the mask of one pair."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.georeferenced_mask import (
    GeoreferencedMask,
    bands_on,
    covered_by,
    heat_on,
    read_mask,
)
from geochg.datasets.kinds import MaskedPair
from geochg.evaluation.reliability import ScoredFeatures, scored_features
from geochg.events import Listener
from geochg.geometry.grid_cells import cell_edge
from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions
from geochg.pipeline.analyze import analyze
from geochg.pipeline.outputs import Outputs

CHANGED_SHARE = 0.05
"""A cell has changed where more than this share of its known pixels has."""

TILE_SIDE_PX = 256
"""Side of a usual tile, of which cells are thirds."""

LEAST_KNOWN_SHARE = 0.01
"""A cell of which less is known is left out."""

STRETCH_PERCENTILES = (2, 98)
MEDIAN_PX = 5
"""Side of the median that makes areas of the difference."""

_LEAST = 1e-6

_SAMPLED = 97
"""One of so many known pixels is in the sample from which thresholds are taken."""


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Known pixels, and those of them that are covered.

    Attributes:
        changed: Number of pixels that changed.
        unchanged: Number of pixels that did not.
        hits: Number of covered pixels that changed.
        alarms: Number of covered pixels that did not.
    """

    changed: int
    unchanged: int
    hits: int
    alarms: int


@dataclass(frozen=True, slots=True, eq=False)
class MapMeasures:
    """A model's map of one pair, and the difference of its dates, beside the truth.

    Attributes:
        pair: The pair.
        features: Number of features.
        judged: The confidence of the features, and which of them are right.
        truth: `(cells,)`, whether each cell changed.
        heat: `(cells,)`, mean of the heatmap.
        covered: `(cells,)`, whether features cover more than `CHANGED_SHARE` of the cell.
        difference: `(cells,)`, mean of standardised differencing.
        pixels: The pixels, and those that features cover.
        sample: `(pixels,)` of smoothed differencing, from which thresholds are taken.
    """

    pair: MaskedPair
    features: int
    scored_features: ScoredFeatures
    truth: NDArray[np.bool_]
    heat: NDArray[np.float64]
    covered: NDArray[np.bool_]
    difference: NDArray[np.float64]
    pixels: PixelCounts
    sample: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdedDifference:
    """The cells and pixels of a pair that smoothed differencing covers above one threshold.

    Attributes:
        covered: `(cells,)`, as in `MapMeasures`.
        pixels: Pixels that changed, and those that differencing covers.
    """

    covered: NDArray[np.bool_]
    pixels: PixelCounts


def map_measures(
    pair: MaskedPair, model: ChangeModel, options: AnalyzeOptions, listener: Listener
) -> MapMeasures:
    """Maps what changed as `analyze` does, and measures the map against the mask.

    Args:
        pair: The pair.
        model: Model that `load_configured_model` gives for these options.
        options: Options of the analysis.
        listener: Receives the events of `analyze`.

    Raises:
        GeochgError: For the reasons of `analyze`, or because the mask cannot be used.
    """
    mask = read_mask(pair.mask)
    with tempfile.TemporaryDirectory(prefix="geochg-") as folder:
        outputs = Outputs(heatmap=Path(folder) / "heatmap.tif")
        result = analyze(
            pair.before, pair.after, options, outputs=outputs, listener=listener, model=model
        )
        heat = heat_on(Path(folder) / "heatmap.tif", mask)
    covered_pixels = covered_by(result.features, mask)
    change = _difference(pair, mask)
    share = cell_means(mask.changed, mask.known)
    is_used = ~np.isnan(share)
    return MapMeasures(
        pair=pair,
        features=len(result.features),
        scored_features=scored_features(result.features, mask),
        truth=share[is_used] > CHANGED_SHARE,
        heat=cell_means(heat, mask.known)[is_used],
        covered=_covered_cells(covered_pixels, mask),
        difference=cell_means(change, mask.known)[is_used],
        pixels=_counts(covered_pixels, mask),
        sample=median_filtered(change)[mask.known][::_SAMPLED],
    )


def thresholded_differences(
    pair: MaskedPair, thresholds: Sequence[float]
) -> list[ThresholdedDifference]:
    """The cells and pixels of a pair that differencing covers at each threshold.

    The rasters are read again, so that those of a whole kind need not be held.

    Raises:
        InputError: If a file cannot be read any more.
    """
    mask = read_mask(pair.mask)
    smooth = median_filtered(_difference(pair, mask))
    masks = (smooth > threshold for threshold in thresholds)
    return [ThresholdedDifference(_covered_cells(m, mask), _counts(m, mask)) for m in masks]


def _difference(pair: MaskedPair, mask: GeoreferencedMask) -> NDArray[np.float64]:
    return difference(bands_on(pair.before, mask), bands_on(pair.after, mask))


def _covered_cells(covered_pixels: NDArray[np.bool_], mask: GeoreferencedMask) -> NDArray[np.bool_]:
    share = cell_means(covered_pixels, mask.known)
    return share[~np.isnan(share)] > CHANGED_SHARE


def _counts(covered_pixels: NDArray[np.bool_], mask: GeoreferencedMask) -> PixelCounts:
    unchanged = mask.known & ~mask.changed
    return PixelCounts(
        int(np.count_nonzero(mask.changed)),
        int(np.count_nonzero(unchanged)),
        int(np.count_nonzero(covered_pixels & mask.changed)),
        int(np.count_nonzero(covered_pixels & unchanged)),
    )


# --- cells ---------------------------------------------------------------------------------------


def cell_means(
    values: NDArray[np.floating] | NDArray[np.bool_], known_mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The mean of each cell over its known pixels, `(cells,)`, row by row.

    Cells begin at the upper left corner; those at the right and lower edges are smaller. NaN where
    too little of a cell is known.

    Args:
        values: `(height, width)`.
        known_mask: `(height, width)`.
    """
    return np.array(
        [
            values[cell][known_mask[cell]].mean()
            if known_mask[cell].mean() >= LEAST_KNOWN_SHARE
            else np.nan
            for cell in _cells(*known_mask.shape)
        ],
        np.float64,
    )


def _cells(height_px: int, width_px: int) -> Iterator[tuple[slice, slice]]:
    for rows in _spans(height_px):
        for cols in _spans(width_px):
            yield rows, cols


def _spans(length_px: int) -> list[slice]:
    """The cells along a side; a strip narrower than half a cell is none of its own."""
    cells = max(1, (6 * length_px + TILE_SIDE_PX) // (2 * TILE_SIDE_PX))
    edges = [min(cell_edge(number, TILE_SIDE_PX), length_px) for number in range(cells + 1)]
    return [slice(*edge) for edge in pairwise(edges)]


# --- differencing --------------------------------------------------------------------------------


def difference(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardised image differencing: length of the difference of the bands, `(height, width)`.

    Needs no model: any model should be better. 0 where either date has no data, that is no value
    above 0. Where the dates differ in their number of bands, the first bands of both are compared.

    Args:
        before: `(bands, height, width)`, 0 where there is no data.
        after: `(bands, height, width)`, on the same grid.
    """
    valid = np.asarray((before > 0).any(axis=0) & (after > 0).any(axis=0), np.bool_)
    if not valid.any():
        return np.zeros(valid.shape)
    bands = min(len(before), len(after))
    change = _standardised_bands(before[:bands], valid) - _standardised_bands(after[:bands], valid)
    return np.where(valid, np.sqrt((change**2).sum(axis=0)), 0)


def median_filtered(change: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median around each pixel, so that pixels above a threshold form areas."""
    padded = np.pad(change, MEDIAN_PX // 2, mode="symmetric")
    around = np.lib.stride_tricks.sliding_window_view(padded, (MEDIAN_PX, MEDIAN_PX))
    # Row by row, since all windows of an image at once take 25 times its memory.
    return np.array([np.median(row.reshape(len(row), -1), axis=1) for row in around])


def _standardised_bands(
    bands: NDArray[np.float64], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Bands stretched to 0-1, then to mean 0 and deviation 1, by their valid pixels."""
    low, high = np.percentile(bands[:, valid], STRETCH_PERCENTILES, axis=1)
    width = (high - low + _LEAST)[:, np.newaxis, np.newaxis]
    stretched = np.clip((bands - low[:, np.newaxis, np.newaxis]) / width, 0, 1)
    valid_values = stretched[:, valid]
    mean, deviation = valid_values.mean(axis=1), valid_values.std(axis=1) + _LEAST
    standardised: NDArray[np.float64] = (stretched - mean[:, np.newaxis, np.newaxis]) / deviation[
        :, np.newaxis, np.newaxis
    ]
    return standardised
