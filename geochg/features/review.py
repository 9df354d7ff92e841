"""What a review leaves in a change layer: the fields that the QGIS plugin writes into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import geopandas as gpd

REVIEW, REVIEW_CLASS = "review", "review_class"
"""Columns of what a reviewer decided, and of the class that they gave."""

ACCEPTED, REJECTED = "accepted", "rejected"
"""The decisions: on a change, and on one that is none."""

SOURCE, DRAWN = "source", "hand"
"""Column that tells where a change came from, and its value for those that were drawn by hand."""


def without_rejected(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The features that no reviewer rejected; all of a layer without a review.

    Args:
        frame: The features, with their index.
    """
    if REVIEW not in frame.columns:
        return frame
    # Undecided ones are missing values, which compare as neither equal nor different.
    return frame[frame[REVIEW].ne(REJECTED).fillna(True)]
