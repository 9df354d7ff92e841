"""What the ground can be, which change a transition is, and the arrays that say so.

A mask holds a class index (`CLASS_NAMES`) and a direction index (`DIRECTIONS`) for each pixel.
What counts as change is decided here alone: low plants (crops, grass, scrub) among themselves never
do, whatever the season, a harvest, a plough or snow makes of their colours; a crop field without
plants is still `crop`. Woods, water, built-up, paved and worked ground (`groundwork`) do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.telling.truth import DIRECTIONS as DIRECTIONS

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]

CLASS_NAMES = ("none", "building", "road", "vegetation", "water", "bare")
"""Class by the index that masks hold; 0 is no change."""

BUILDING, ROAD, VEGETATION, WATER, BARE = range(1, 6)

APPEARED, DISAPPEARED, ALTERED = 1, 2, 3


class Mark(NamedTuple):
    """Class and direction index of a change; (0, 0) is no change."""

    class_index: int
    direction_index: int


NO_MARK = Mark(0, 0)

GROUPS = {
    "crop": "low",
    "paddy": "low",
    "grass": "low",
    "lawn": "low",
    "scrub": "low",
    "desert": "dry",
    "rock": "dry",
    "soil": "dry",
    "forest": "wood",
    "conifer": "wood",
    "orchard": "wood",
    "water": "water",
    "groundwork": "worked",
    "quarry": "worked",
    "rubble": "worked",
    "clearing": "cut",
    "burnt": "burnt",
    "paved": "paved",
    "concrete": "paved",
    "town": "built",
    "dense": "built",
    "sparse": "garden",
    "tarmac": "paved",
    "slab": "worked",
}
"""Group of each kind of ground."""

_COMING = {
    "built": Mark(BUILDING, APPEARED),
    "garden": Mark(BUILDING, APPEARED),
    "paved": Mark(ROAD, APPEARED),
    "water": Mark(WATER, APPEARED),
    "worked": Mark(BARE, APPEARED),
    "burnt": Mark(VEGETATION, ALTERED),
    "wood": Mark(VEGETATION, APPEARED),
}
_GOING = {
    "built": Mark(BUILDING, DISAPPEARED),
    "garden": Mark(BUILDING, DISAPPEARED),
    "paved": Mark(ROAD, DISAPPEARED),
    "water": Mark(WATER, DISAPPEARED),
    "wood": Mark(VEGETATION, DISAPPEARED),
    "burnt": Mark(VEGETATION, ALTERED),
    "worked": Mark(BARE, DISAPPEARED),
    "cut": Mark(VEGETATION, APPEARED),
}


def transition(before: str, after: str) -> Mark:
    """The change that ground of one kind turning into another is, by what comes, then goes."""
    old, new = GROUPS[before], GROUPS[after]
    if old == new:
        rebuilt = old == "built" and before != after
        return Mark(BUILDING, ALTERED) if rebuilt else NO_MARK
    if old == "built" and new == "garden":
        return _GOING["built"]
    if old == "wood" and new == "worked":
        return _GOING["wood"]
    if old == "worked" and new == "low":
        return Mark(VEGETATION, APPEARED)
    return _COMING.get(new) or _GOING.get(old) or NO_MARK
