"""The attributes of a result and their values, and those of a review."""

from __future__ import annotations

COVERS = ("bare", "low plants", "woody", "water", "road", "building")
"""Land covers at either date."""

CHANGES = ("appeared", "disappeared", "altered")
"""Directions of a change."""

REVIEW = "review"
"""Field of the reviewer's decision: `accepted`, `rejected` or nothing."""

REVIEW_CLASS = "review_class"
"""Field of the class that a reviewer gave instead; nothing where the model's stands."""

ACCEPTED, REJECTED = "accepted", "rejected"

SOURCE = "source"
"""Field of who drew a change: `hand` for a reviewer, nothing for the model."""

HAND = "hand"

REVIEW_FIELDS = (REVIEW, REVIEW_CLASS, SOURCE)
"""Fields that a review adds to a result."""

REVIEWED_CLASS = f'coalesce("{REVIEW_CLASS}", "class")'
"""QGIS expression for the class as it stands after the review."""
