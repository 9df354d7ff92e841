"""What must be known of a pair to tell of it, and how masks are coded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.telling.contours import contours
from geochg.records import CLASSES, Change

CLASS_NAMES = ("none", *CLASSES)
"""Class by the index that masks hold; 0 is no change."""

DIRECTIONS = (None, Change.APPEARED, Change.DISAPPEARED, Change.ALTERED)
"""Direction by the index that masks hold; 0 where it is not known, or nothing changed."""


class Happening(Protocol):
    """One thing that happened; its name and setting choose nouns and places in sentences."""

    @property
    def name(self) -> str:
        """What it is, as the grammar knows it."""

    @property
    def setting(self) -> str:
        """What it lies next to."""


class Truth(Protocol):
    """What is true of a pair."""

    @property
    def seed(self) -> int:
        """Draws the wordings."""

    @property
    def classes(self) -> NDArray[np.uint8]:
        """`(height, width)` uint8 index into `CLASS_NAMES`; 0 where nothing changed."""

    @property
    def directions(self) -> NDArray[np.uint8]:
        """`(height, width)` uint8 index into `DIRECTIONS`."""

    @property
    def counts(self) -> Mapping[tuple[str, Change | None], int]:
        """Number of external contours by class and direction; only those above zero."""

    @property
    def events(self) -> Sequence[Happening]:
        """What happened; may be empty."""

    @property
    def changed(self) -> bool:
        """Whether anything changed."""

    @property
    def known(self) -> tuple[str, ...]:
        """The classes whose changes would have been seen; of others nothing is said."""


@dataclass(frozen=True, eq=False)
class MaskTruth:
    """What a mask tells of a pair; attributes as of `Truth`."""

    seed: int
    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]
    known: tuple[str, ...]
    events: tuple[Happening, ...] = ()

    @cached_property
    def counts(self) -> Mapping[tuple[str, Change | None], int]:
        """Number of external contours by class and direction; only those above zero."""
        found: dict[tuple[str, Change | None], int] = {}
        for class_index in np.unique(self.classes[self.classes > 0]).tolist():
            mask = self.classes == class_index
            for direction_index in np.unique(self.directions[mask]).tolist():
                key = (CLASS_NAMES[class_index], DIRECTIONS[direction_index])
                found[key] = contours(mask & (self.directions == direction_index))
        return found

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.classes.any())
