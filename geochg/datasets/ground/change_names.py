"""Class and direction of changes, where the ground is known as sets of land covers."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS
from geochg.datasets.ground.covers import Cover
from geochg.land_cover import agrees, class_and_direction
from geochg.records import LAND_COVER, Change

_SETS = 2 * int(Cover.NOT_SEEN)


class ChangeNames(NamedTuple):
    """Classes and directions of the changes of a pair; all `(height, width)` uint8.

    Attributes:
        classes: Index into `CLASS_NAMES`; 0 where no class holds for all covers of the sets.
        directions: Index into `DIRECTIONS`; 0 where there is no class.
        possible: A bit `1 << index` for each of `CLASS_NAMES` after which some covers of the sets
            would be called.
    """

    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]
    possible: NDArray[np.uint8]


def change_names(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> ChangeNames:
    """Names the change of each pixel as if it had changed.

    Args:
        before: `(height, width)` uint8, sets of `Cover`.
        after: As `before`.
    """
    return ChangeNames(*(table[before, after] for table in _tables()))


def change_name(before: int, after: int) -> tuple[str, Change] | None:
    """The class and direction that are true of all covers of two sets.

    Of several, the one that `class_and_direction` gives most often: from anything but water to
    water, water has appeared, whether on a field or over a road. Of two that are given as often,
    what appeared: plants on bare soil, which may be low or woody.

    Args:
        before: A set of `Cover`.
        after: Another one, of the later date.

    Returns:
        None where nothing is true of all: sets that share a cover, that are empty, or that may not
        be seen.
    """
    if before & after or max(before, after) >= Cover.NOT_SEEN:
        return None
    changes = list(product(_covers(before), _covers(after)))
    names = Counter(
        class_and_direction(code_before, code_after) for code_before, code_after in changes
    )
    true = [name for name in names if all(agrees(*name, *change) for change in changes)]
    return max(true, key=lambda name: (names[name], name[1] is Change.APPEARED), default=None)


@cache
def _tables() -> tuple[NDArray[np.uint8], ...]:
    """`ChangeNames` of each set (rows) to each other (columns)."""
    classes, directions, possible = np.zeros((3, _SETS, _SETS), np.uint8)
    sets = np.arange(_SETS)
    for (code_before, before), (code_after, after) in product(enumerate(LAND_COVER), repeat=2):
        holds_change = (sets[:, None] >> code_before) & (sets >> code_after) & 1
        index = CLASS_NAMES.index(class_and_direction(before, after)[0])
        possible |= (holds_change << index).astype(np.uint8)
    for first, second in product(range(_SETS), repeat=2):
        if (name := change_name(first, second)) is not None:
            classes[first, second] = CLASS_NAMES.index(name[0])
            directions[first, second] = DIRECTIONS.index(name[1])
    return classes, directions, possible


def _covers(cover: int) -> list[str]:
    return [name for bit, name in enumerate(LAND_COVER) if cover >> bit & 1]
