"""The attributes of a result, and those that a review adds."""

from __future__ import annotations

CLASSES = ("building", "road", "vegetation", "water", "bare", "other")
COVERS = ("bare", "low plants", "woody", "water", "road", "building")
"""What the ground can be at either date."""

CHANGES = ("appeared", "disappeared", "altered")

REVIEW = "review"
"""`accepted`, `rejected` or nothing."""

REVIEW_CLASS = "review_class"
"""The class a reviewer gave instead; nothing where it stands."""

ACCEPTED, REJECTED = "accepted", "rejected"

CLASS_SHOWN = f'coalesce("{REVIEW_CLASS}", "class")'
"""The class as it stands after the review, an expression."""
