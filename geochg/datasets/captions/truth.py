"""Masks of the changes of a pair, and how they are coded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.classes import MASK_CLASSES
from geochg.geometry.morphology import fill_holes
from geochg.geometry.pieces import label_pieces
from geochg.records import Change

CLASS_NAMES = tuple(MASK_CLASSES[code] for code in range(len(MASK_CLASSES)))
"""Class by the index that masks hold; 0 is no change."""

DIRECTIONS = (None, Change.APPEARED, Change.DISAPPEARED, Change.ALTERED)
"""Direction by the index that masks hold; 0 where it is not known, or nothing changed."""

UNKNOWN_LABEL = 254
"""Value of a mask of classes where nobody knows whether something changed.

No class and no value of LEVIR-MCI's masks is called so: whoever does not know it refuses it.
"""


@dataclass(frozen=True, eq=False)
class MaskTruth:
    """The masks of a pair.

    Attributes:
        seed: Seed of the wordings.
        classes: `(height, width)` uint8 index into `CLASS_NAMES`; 0 where nothing changed.
        directions: `(height, width)` uint8 index into `DIRECTIONS`.
        known: Classes whose changes the masks would show; of others nothing is known.
        whole: Whether the masks tell all of the pair; if not, only whether something changed can
            be said of it.
    """

    seed: int
    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]
    known: tuple[str, ...]
    whole: bool = True

    @cached_property
    def counts(self) -> Mapping[tuple[str, Change | None], int]:
        """Number of external contours by class and direction; only those above zero."""
        counts: dict[tuple[str, Change | None], int] = {}
        for class_index in np.unique(self.classes[self.classes > 0]).tolist():
            mask = self.classes == class_index
            for direction_index in np.unique(self.directions[mask]).tolist():
                key = (CLASS_NAMES[class_index], DIRECTIONS[direction_index])
                counts[key] = count_contours(mask & (self.directions == direction_index))
        return counts

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.classes.any())


def split_unknown(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The values of a mask of classes, 0 where it is unknown, and where it is known."""
    is_known = values != UNKNOWN_LABEL
    return np.where(is_known, values, values.dtype.type(0)), is_known


def count_contours(mask: NDArray[np.bool_], least_px: int = 1) -> int:
    """Number of external contours of a mask.

    Pixels that touch at a corner belong together (8 neighbours); what lies in a hole of another
    piece has no external contour and is not counted, as ChangeChat-105k counts.

    Args:
        mask: `(height, width)` bool.
        least_px: Pieces of fewer set pixels are not counted.
    """
    labels, count = label_pieces(fill_holes(mask), corners=True)
    if not count:
        return 0
    sizes = np.bincount(labels.ravel(), weights=mask.ravel(), minlength=count + 1)[1:]
    return int((sizes >= least_px).sum())
