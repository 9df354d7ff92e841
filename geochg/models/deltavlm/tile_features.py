"""Features of whole tiles: land covers, the means of the encoder's levels, quantiles of change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from geochg.errors import ModelError
from geochg.models.deltavlm.postprocessing import OutlineMaker, TilePrediction
from geochg.models.tile_features import TileFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.models.deltavlm.detector import Detector
    from geochg.records import Tile

_QUANTILES = (0.5, 0.9, 0.99, 1.0)
"""Quantiles over a tile of what differs from pixel to pixel."""


def tile_features(
    detector: Detector | None, tiles: Sequence[Tile], resolution_m: float | None
) -> list[TileFeatures]:
    """The features of tiles.

    Args:
        detector: The vision encoder with its dense head; None for a model without such a head.
        tiles: See `features_of_tile`.
        resolution_m: Side of a pixel on the ground, in metres; None where it is not known.

    Raises:
        ModelError: If there is no dense head.
    """
    if detector is None:
        raise ModelError(
            "this DeltaVLM has no dense head, and so no land covers to learn from",
            "choose a model that outlines, such as builtin",
        )
    return [features_of_tile(detector, tile, resolution_m) for tile in tiles]


def features_of_tile(detector: Detector, tile: Tile, resolution_m: float | None) -> TileFeatures:
    """The features of a tile, which is a scene of its own.

    Posteriors are the mean shares of the land covers, pooled features the means of the colours and
    of each level of the encoder but the deepest. The relation are quantiles of the logits of any
    change and of a change of buildings, and of how far the land covers moved.

    Args:
        detector: The vision encoder with its dense head.
        tile: The tile, of two dates, with some valid pixels.
        resolution_m: Side of a pixel on the ground, in metres; None where it is not known.
    """
    scene = detector.survey([tile], resolution_m, None)
    output = detector.detect([tile], scene, needs_tokens=False)
    (prediction,) = OutlineMaker(detector.head, scene).small_predictions(output, [tile])
    inside = _valid_pixels(prediction, tile)
    before, after = (date[:, inside].astype(np.float64) for date in _dates(prediction))
    moves = np.abs(after - before).sum(axis=0)
    maps = (prediction.change[inside], prediction.building[inside], moves)
    vector = scene.vectors[0]
    # The deepest level has more channels than there are labelled tiles, and few pixels in a tile.
    levels = detector.head.layout.levels[:-1]
    pooled = [np.concatenate([vector[level.means[date]] for level in levels]) for date in (0, 1)]
    return TileFeatures(
        (before.mean(axis=1), after.mean(axis=1)),
        (pooled[0].astype(np.float64), pooled[1].astype(np.float64)),
        np.concatenate([np.quantile(values.astype(np.float64), _QUANTILES) for values in maps]),
    )


def _dates(prediction: TilePrediction) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return prediction.before, prediction.after


def _valid_pixels(prediction: TilePrediction, tile: Tile) -> NDArray[np.bool_]:
    """`(rows, columns)` bool: the pixels of a prediction that show something valid."""
    rows, cols = prediction.change.shape
    height, width = tile.valid.shape
    row = (np.arange(rows) * height + height // 2) // rows
    col = (np.arange(cols) * width + width // 2) // cols
    inside: NDArray[np.bool_] = tile.valid[np.ix_(row, col)]
    return inside if inside.any() else np.ones_like(inside)
