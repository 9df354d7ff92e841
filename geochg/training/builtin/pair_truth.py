"""The changes of a pair of labelled ground that can be stated without error.

Labels of ground leave gaps: a mask of buildings does not tell what else the ground became. A pair
gets sentences only where such gaps are too small to be seen.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from geochg.datasets.captions.truth import CLASS_NAMES, MaskTruth
from geochg.datasets.ground.change_names import ChangeNames, change_names
from geochg.land_cover import COVERS
from geochg.training.builtin.pairs import Pair

LEAST_PX = 12
"""Changed pieces of fewer pixels are left out."""

_SPECKS_SHARE = 0.1
"""Largest share of the named change that may be left out so."""

_SEAM_PX = 5
"""Width of seams of unknown change around what is put in, which are not looked at."""

_BESIDE_PX = 10
"""What changed that near to a named change goes with it, such as the yard of a new house."""

_UNNAMED_SHARE = 0.005
"""Largest share of a pair that may have changed, or not be known, without a name."""


def pair_truth(pair: Pair, seed: int) -> MaskTruth | None:
    """The changes of a pair by class and direction.

    Args:
        pair: A pair of labelled ground.
        seed: Seed of the choice of sentences.

    Returns:
        None where sentences from it could be false: more than a little changed, or may have, that
        has no one class and direction; a class that changed may have changed elsewhere too; or
        much of the change is specks.
    """
    names = change_names(pair.cover_before, pair.cover_after)
    is_named = (pair.change == 1) & (names.classes > 0)
    is_kept = _without_specks(is_named, names)
    if np.count_nonzero(is_named & ~is_kept) > _SPECKS_SHARE * np.count_nonzero(is_named):
        return None
    if _unnamed_change((pair.change != 0) & ~is_named, is_kept).mean() > _UNNAMED_SHARE:
        return None
    known_classes = _known_classes(pair.change == 1, names)
    if not known_classes or not _class_names(names.classes[is_kept]) <= set(known_classes):
        return None
    classes, directions = (
        np.where(is_kept, layer, np.uint8(0)) for layer in (names.classes, names.directions)
    )
    return MaskTruth(seed, classes, directions, known_classes)


def _class_names(classes: NDArray[np.uint8]) -> set[str]:
    return {CLASS_NAMES[index] for index in np.unique(classes)}


def _without_specks(is_named: NDArray[np.bool_], names: ChangeNames) -> NDArray[np.bool_]:
    """The pixels in pieces of one class and direction that are large enough."""
    is_kept = np.zeros_like(is_named)
    codes = np.where(is_named, 4 * names.classes + names.directions, 0)
    for code in np.unique(codes[is_named]).tolist():
        _, labels, statistics, _ = cv2.connectedComponentsWithStats(
            (codes == code).astype(np.uint8)
        )
        large = statistics[:, cv2.CC_STAT_AREA] >= LEAST_PX
        large[0] = False
        is_kept |= large[labels]
    return is_kept


def _unnamed_change(unnamed: NDArray[np.bool_], is_kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What may have changed and has no name, but for seams and what lies beside a named change."""
    window = np.ones((_SEAM_PX, _SEAM_PX), np.uint8)
    wide = cv2.morphologyEx(unnamed.astype(np.uint8), cv2.MORPH_OPEN, window) > 0
    side_px = 2 * _BESIDE_PX + 1
    near = cv2.dilate(is_kept.astype(np.uint8), np.ones((side_px, side_px), np.uint8)) > 0
    return np.asarray(wide & ~near, np.bool_)


def _known_classes(changed: NDArray[np.bool_], names: ChangeNames) -> tuple[str, ...]:
    """The classes of which no change is called by another name, or by none."""

    def is_known(name: str) -> bool:
        index = CLASS_NAMES.index(name)
        hidden = changed & (names.possible >> index & 1 > 0) & (names.classes != index)
        return bool(np.count_nonzero(hidden) < LEAST_PX)

    return tuple(name for name in CLASS_NAMES if name in COVERS and is_known(name))
