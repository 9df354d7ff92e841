"""What must be known of a pair to tell of it, and how masks are coded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.captions.contours import count_contours
from geochg.records import CLASSES, Change

CLASS_NAMES = ("none", *CLASSES)
"""Class by the index that masks hold; 0 is no change."""

DIRECTIONS = (None, Change.APPEARED, Change.DISAPPEARED, Change.ALTERED)
"""Direction by the index that masks hold; 0 where it is not known, or nothing changed."""


@dataclass(frozen=True, eq=False)
class MaskTruth:
    """What masks tell of a pair.

    Attributes:
        seed: Draws the wordings.
        classes: `(height, width)` uint8 index into `CLASS_NAMES`; 0 where nothing changed.
        directions: `(height, width)` uint8 index into `DIRECTIONS`.
        known: The classes whose changes would have been seen; of others nothing is said.
    """

    seed: int
    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]
    known: tuple[str, ...]

    @cached_property
    def counts(self) -> Mapping[tuple[str, Change | None], int]:
        """Number of external contours by class and direction; only those above zero."""
        found: dict[tuple[str, Change | None], int] = {}
        for class_index in np.unique(self.classes[self.classes > 0]).tolist():
            mask = self.classes == class_index
            for direction_index in np.unique(self.directions[mask]).tolist():
                key = (CLASS_NAMES[class_index], DIRECTIONS[direction_index])
                found[key] = count_contours(mask & (self.directions == direction_index))
        return found

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.classes.any())
