"""Whether features of a confidence of, say, 0.7 are right seven times in ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.datasets.georeferenced_mask import GeoreferencedMask, numbers_on

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

RIGHT_SHARE = 0.5
"""A feature is right when more than this share of its known pixels changed."""

BINS = 5
"""Number of bins of confidence from 0 to 1, all of one width."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFeatures:
    """The features of a map that lie on known pixels.

    Attributes:
        confidence: `(features,)` float64, 0-1.
        right: `(features,)` bool.
    """

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reliability:
    """The features of one bin of confidence.

    Attributes:
        low: The least confidence of the bin.
        high: The end of the bin; only the last bin holds it.
        features: Number of features.
        confidence: Mean confidence of the features; None where there are none.
        right: Share of the features that are right; None where there are none.
    """

    low: float
    high: float
    features: int
    confidence: float | None
    right: float | None


def scored_features(features: gpd.GeoDataFrame, mask: GeoreferencedMask) -> ScoredFeatures:
    """Which features of a map are right.

    Left out are those that cover no known pixel's centre, and those without a confidence.

    Args:
        features: In any CRS, with `confidence`.
        mask: The mask of the pair.
    """
    owners = numbers_on(features, mask)
    known_px = np.bincount(owners[mask.known], minlength=len(features) + 1)[1:]
    changed = np.bincount(owners[mask.known & mask.changed], minlength=len(features) + 1)[1:]
    confidence = features["confidence"].to_numpy(np.float64)
    is_seen = (known_px > 0) & ~np.isnan(confidence)
    return ScoredFeatures(confidence[is_seen], changed[is_seen] > RIGHT_SHARE * known_px[is_seen])


def reliability(maps: Sequence[ScoredFeatures]) -> list[Reliability]:
    """The bins of confidence, of all features of some maps together."""
    confidence = np.concatenate([np.zeros(0), *(features.confidence for features in maps)])
    right = np.concatenate([np.zeros(0, bool), *(features.right for features in maps)])
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [_bin(index, confidence[bins == index], right[bins == index]) for index in range(BINS)]


def _bin(index: int, confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Reliability:
    has_features = len(confidence) > 0
    return Reliability(
        index / BINS,
        (index + 1) / BINS,
        len(confidence),
        float(confidence.mean()) if has_features else None,
        float(right.mean()) if has_features else None,
    )
