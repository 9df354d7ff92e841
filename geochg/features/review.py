"""What a review leaves in a change layer: the fields that the QGIS plugin writes into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING

from geochg.errors import InputError
from geochg.geometry.vector_file import field_text
from geochg.safety.untrusted_text import cleaned

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy as np
    from numpy.typing import NDArray

REVIEW, REVIEW_CLASS = "review", "review_class"
"""Columns of what a reviewer decided, and of the class that they gave."""

ACCEPTED, REJECTED = "accepted", "rejected"
"""The decisions: on a change, and on one that is none."""

SOURCE, DRAWN = "source", "hand"
"""Column that tells where a change came from, and its value for those that were drawn by hand."""

SAME_PLACE_SHARE = 0.5
"""Changes are of one place where they share more than this of their union."""

_LONGEST_WORD = 60


class ReviewVerdict(IntEnum):
    """What was decided on a change."""

    UNDECIDED = -1
    REJECTED = 0
    ACCEPTED = 1


_VERDICTS = {
    "": ReviewVerdict.UNDECIDED,
    REJECTED: ReviewVerdict.REJECTED,
    ACCEPTED: ReviewVerdict.ACCEPTED,
}


def review_verdicts(frame: gpd.GeoDataFrame, label: str) -> list[ReviewVerdict]:
    """The verdict on each change; what was drawn by hand is accepted unless it was rejected.

    Args:
        frame: The changes.
        label: Name of the layer, for messages.

    Raises:
        InputError: If a word is no verdict.
    """
    words = field_texts(frame, REVIEW)
    for name, word in zip(feature_names(frame), words, strict=True):
        if word not in _VERDICTS:
            raise InputError(
                f"{label}, {name}, has the verdict {cleaned(word, _LONGEST_WORD)!r}, which is none",
                f"write {ACCEPTED} or {REJECTED} into the field {REVIEW}, or leave it empty",
            )
    return [
        _VERDICTS[ACCEPTED if not word and source == DRAWN else word]
        for word, source in zip(words, field_texts(frame, SOURCE), strict=True)
    ]


def feature_names(frame: gpd.GeoDataFrame) -> list[str]:
    """What messages call each change, such as `feature 7`."""
    return [f"feature {text or row}" for row, text in enumerate(field_texts(frame, "id"), 1)]


def field_texts(frame: gpd.GeoDataFrame, column: str) -> list[str]:
    """The values of a field as text, empty where there is none."""
    if column not in frame.columns:
        return [""] * len(frame)
    return [field_text(value) for value in frame[column].astype(object).tolist()]


def same_places(
    polygons: NDArray[np.object_], are_comparable: Callable[[int, int], bool]
) -> Iterator[tuple[int, int]]:
    """Pairs of changes of one place, the lower number first, in ascending order.

    Args:
        polygons: `(n,)` valid polygons in one CRS.
        are_comparable: Tells of two numbers whether the changes may be one and the same.
    """
    import shapely

    pairs = shapely.STRtree(polygons).query(polygons, predicate="intersects").T.tolist()
    for first, second in sorted(pairs):
        if first >= second or not are_comparable(first, second):
            continue
        shared = shapely.area(shapely.intersection(polygons[first], polygons[second]))
        union = shapely.area(polygons[first]) + shapely.area(polygons[second]) - shared
        if shared > SAME_PLACE_SHARE * union:
            yield first, second


def without_rejected(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The features that no reviewer rejected; all of a layer without a review.

    Args:
        frame: The features, with their index.
    """
    if REVIEW not in frame.columns:
        return frame
    # Undecided ones are missing values, which compare as neither equal nor different.
    return frame[frame[REVIEW].ne(REJECTED).fillna(True)]
