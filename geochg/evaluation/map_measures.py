"""What a pair with a mask tells of a map of its changes, before it is added up with others."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geochg.datasets.ground_label import GroundLabel, bands_on, covered_by, heat_on, read_label
from geochg.datasets.kinds import MaskedPair
from geochg.evaluation.differencing import difference, smoothed
from geochg.evaluation.ground_cells import cell_means
from geochg.evaluation.reliability import Judged, judged
from geochg.events import Listener
from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions
from geochg.pipeline.analyze import analyze
from geochg.pipeline.outputs import Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANGED_SHARE = 0.05
"""A cell has changed where more than this share of its known pixels has."""

_SAMPLED = 97
"""Of so many known pixels one is among those that thresholds are taken from."""


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Known pixels, and those of them that are covered.

    Attributes:
        changed: Pixels that changed.
        unchanged: Pixels that did not.
        hits: Covered pixels that changed.
        alarms: Covered pixels that did not.
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
    judged: Judged
    truth: NDArray[np.bool_]
    heat: NDArray[np.float64]
    covered: NDArray[np.bool_]
    difference: NDArray[np.float64]
    pixels: PixelCounts
    sample: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """What smoothed differencing of one pair covers above one threshold.

    Attributes:
        covered: `(cells,)`, as in `MapMeasures`.
        pixels: As in `MapMeasures`.
    """

    covered: NDArray[np.bool_]
    pixels: PixelCounts


def map_measures(
    pair: MaskedPair, model: ChangeModel, options: AnalyzeOptions, listener: Listener
) -> MapMeasures:
    """Maps what changed as `analyze` does, and measures the map against the mask.

    Args:
        pair: The pair.
        model: As `load_configured_model` loads it for these options.
        options: How the pair is analysed.
        listener: Told of what `analyze` says.

    Raises:
        GeochgError: As `analyze`, and an `InputError` if the mask cannot be used.
    """
    label = read_label(pair.mask)
    with tempfile.TemporaryDirectory(prefix="geochg-") as folder:
        outputs = Outputs(heatmap=Path(folder) / "heatmap.tif")
        result = analyze(
            pair.before, pair.after, options, outputs=outputs, listener=listener, model=model
        )
        heat = heat_on(Path(folder) / "heatmap.tif", label)
    covered = covered_by(result.features, label)
    change = _difference(pair, label)
    share = cell_means(label.changed, label.known)
    used = ~np.isnan(share)
    return MapMeasures(
        pair=pair,
        features=len(result.features),
        judged=judged(result.features, label),
        truth=share[used] > CHANGED_SHARE,
        heat=cell_means(heat, label.known)[used],
        covered=_covered_cells(covered, label),
        difference=cell_means(change, label.known)[used],
        pixels=_counts(covered, label),
        sample=smoothed(change)[label.known][::_SAMPLED],
    )


def cuts(pair: MaskedPair, thresholds: Sequence[float]) -> list[Cut]:
    """What differencing covers of a pair at each threshold.

    The rasters are read again, so that those of a whole kind need not be held.

    Raises:
        InputError: If a file cannot be read any more.
    """
    label = read_label(pair.mask)
    smooth = smoothed(_difference(pair, label))
    return [_cut(smooth > threshold, label) for threshold in thresholds]


def _cut(covered: NDArray[np.bool_], label: GroundLabel) -> Cut:
    return Cut(_covered_cells(covered, label), _counts(covered, label))


def _difference(pair: MaskedPair, label: GroundLabel) -> NDArray[np.float64]:
    return difference(bands_on(pair.before, label), bands_on(pair.after, label))


def _covered_cells(covered: NDArray[np.bool_], label: GroundLabel) -> NDArray[np.bool_]:
    share = cell_means(covered, label.known)
    return share[~np.isnan(share)] > CHANGED_SHARE


def _counts(covered: NDArray[np.bool_], label: GroundLabel) -> PixelCounts:
    unchanged = label.known & ~label.changed
    return PixelCounts(
        int(np.count_nonzero(label.changed)),
        int(np.count_nonzero(unchanged)),
        int(np.count_nonzero(covered & label.changed)),
        int(np.count_nonzero(covered & unchanged)),
    )
