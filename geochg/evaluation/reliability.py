"""Whether features of a confidence of, say, 0.7 are right seven times in ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geochg.datasets.ground_label import GroundLabel, numbers_on

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

RIGHT_SHARE = 0.5
"""A feature is right when more than this share of its known pixels changed."""

BINS = 5
"""Bins of confidence from 0 to 1, all as wide."""


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
        high: Its end; only the last bin holds it.
        features: Their number.
        confidence: Their mean confidence; None where there are no features.
        right: The share of them that are right; likewise.
    """

    low: float
    high: float
    features: int
    confidence: float | None
    right: float | None


def scored_features(features: gpd.GeoDataFrame, label: GroundLabel) -> ScoredFeatures:
    """Tells which features are right; those that cover no known pixel's centre are left out.

    Args:
        features: In any CRS, with `confidence`.
        label: The mask.
    """
    owners = numbers_on(features, label)
    known = np.bincount(owners[label.known], minlength=len(features) + 1)[1:]
    changed = np.bincount(owners[label.known & label.changed], minlength=len(features) + 1)[1:]
    seen = known > 0
    confidence = features["confidence"].to_numpy(np.float64)
    return ScoredFeatures(confidence[seen], changed[seen] > RIGHT_SHARE * known[seen])


def reliability(maps: Sequence[ScoredFeatures]) -> list[Reliability]:
    """The bins of confidence, of all features of some maps together."""
    confidence = np.concatenate([np.zeros(0), *(each.confidence for each in maps)])
    right = np.concatenate([np.zeros(0, bool), *(each.right for each in maps)])
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        _bin(place, confidence[places == place], right[places == place]) for place in range(BINS)
    ]


def _bin(place: int, confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Reliability:
    some = len(confidence) > 0
    return Reliability(
        place / BINS,
        (place + 1) / BINS,
        len(confidence),
        float(confidence.mean()) if some else None,
        float(right.mean()) if some else None,
    )
