"""Land covers as sets: what a pixel of a label may be, one bit a cover.

Labels tell different things: a mask of buildings says "building" or "anything but a building", a
land cover map says which. A set says both.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from geochg.land_cover import COVERS
from geochg.records import LAND_COVER


class Cover(IntFlag):
    """The covers of `LAND_COVER` in order, and what no sensor sees through."""

    BARE = 1
    LOW = 2
    WOODY = 4
    WATER = 8
    ROAD = 16
    BUILDING = 32
    NOT_SEEN = 64


NOTHING = 0
"""A pixel without a label: it takes no part."""

ANY = 63
"""Any ground that is seen."""

COVERS_OF_CLASS = {
    name: Cover(sum(1 << LAND_COVER.index(cover) for cover in covers))
    for name, covers in COVERS.items()
}
"""Land covers of each class of change."""

UNKNOWN_CHANGE = 255
"""Value of a change mask where nobody knows."""

assert len(LAND_COVER) == ANY.bit_count()


def changed_by_cover(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Whether the covers of two dates tell a change: `(height, width)` 0, 1 or `UNKNOWN_CHANGE`.

    Changed where the sets have nothing in common, unchanged where both are one and the same
    cover, or field and field: one crop, or bare field, in another's place is no change.
    """
    single = (before & (before - 1)) == 0
    field = Cover.LOW | Cover.BARE
    is_same = (before == after) & (single | (after == field))
    changed = np.where(is_same, 0, UNKNOWN_CHANGE)
    changed[(before & after) == 0] = 1
    changed[(before == NOTHING) | (after == NOTHING)] = UNKNOWN_CHANGE
    changed[(before == Cover.NOT_SEEN) | (after == Cover.NOT_SEEN)] = UNKNOWN_CHANGE
    return changed.astype(np.uint8)
