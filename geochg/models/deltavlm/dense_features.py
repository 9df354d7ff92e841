"""The dense features of a tile: what its outlines came of, for a head that learns from clicks.

Colours and levels of the encoder are in standard deviations from their mean in the pair at their
date, and logits relative to the pair's cuts, so that values of different pairs can be compared.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.models.deltavlm.detector import Detector
from geochg.models.deltavlm.postprocessing import OutlineMaker, TilePrediction
from geochg.models.deltavlm.runtime.vision_output import EncodedDates
from geochg.models.deltavlm.scene import LevelLayout
from geochg.records import DenseFeatures, Tile


class EncodedTile(NamedTuple):
    """A tile that was encoded in full size.

    Attributes:
        prediction: The prediction for it, at the size of the head's maps.
        dates: Both dates, encoded.
    """

    prediction: TilePrediction
    dates: tuple[EncodedDates, EncodedDates]


def features_maker(
    detector: Detector, maker: OutlineMaker, tile: Tile, encoded: EncodedTile | None = None
) -> Callable[[], DenseFeatures]:
    """A function that makes the dense features of a tile.

    Args:
        detector: The detector.
        maker: What makes the outlines of the pair.
        tile: The tile.
        encoded: The tile as it was encoded; None for one that was not looked at in full size, which
            the function then does.
    """

    def features() -> DenseFeatures:
        return dense_features(detector, maker, encoded or _encoded_tile(detector, maker, tile))

    return features


def dense_features(detector: Detector, maker: OutlineMaker, encoded: EncodedTile) -> DenseFeatures:
    """The dense features of a tile.

    Surfaces are the logits of any change and of a change of buildings, above their cuts; the shares
    of land covers before and after; how far apart the dates are in each level of the encoder and in
    colour; and the colours before and after. The encoding is the last level but one, before and
    after.

    Args:
        detector: The detector.
        maker: What makes the outlines of the pair.
        encoded: The tile.
    """
    prediction, dates = encoded
    shape = prediction.change.shape
    vector = maker.scene.vectors[0]
    levels = detector.head.layout.levels
    standard_levels = [
        [
            _standard(date.maps[number][0, : level.channels], vector, level, index)
            for index, date in enumerate(dates)
        ]
        for number, level in enumerate(levels)
    ]
    distances = [
        _at_shape(np.sqrt(np.square(after - before).mean(axis=0))[None], shape)
        for before, after in standard_levels
    ]
    logits = np.stack(
        (prediction.change - maker.cuts.change, prediction.building - maker.cuts.building)
    )
    colors = [_at_shape(date, shape) for date in standard_levels[0]]
    surfaces = np.concatenate((logits, prediction.before, prediction.after, *distances, *colors))
    encoding = np.concatenate(standard_levels[-2])
    side_px = detector.head.stride_px / maker.scene.zoom
    return DenseFeatures(
        surfaces.astype(np.float32),
        encoding.astype(np.float32),
        side_px,
        side_px * shape[0] / encoding.shape[1],
    )


def _encoded_tile(detector: Detector, maker: OutlineMaker, tile: Tile) -> EncodedTile:
    output = detector.detect([tile], maker.scene, needs_tokens=False, keeps_encodings=True)
    (prediction,), (dates,) = maker.small_predictions(output, [tile]), output.encodings
    assert dates is not None, "a tile is encoded in full size unless told to be quiet"
    return EncodedTile(prediction, dates)


def _standard(
    maps: NDArray[np.float32], vector: NDArray[np.float32], level: LevelLayout, date: int
) -> NDArray[np.float32]:
    mean, spread = vector[level.means[date]], vector[level.spreads[date]]
    return np.asarray((maps - mean[:, None, None]) / spread[:, None, None], np.float32)


def _at_shape(maps: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Maps `(channels, rows, columns)` at a size, each new pixel the old one that it lies in."""
    rows, cols = (
        np.arange(new) * old // new for new, old in zip(shape, maps.shape[1:], strict=True)
    )
    return maps[:, rows[:, None], cols]
