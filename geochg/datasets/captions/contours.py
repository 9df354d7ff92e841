"""Objects in masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def count_contours(mask: NDArray[np.bool_], least_px: int = 1) -> int:
    """Number of external contours of a mask.

    Pixels that touch at a corner belong together (8 neighbours); what lies in a hole of another
    piece has no external contour and is not counted, as ChangeChat-105k counts.

    Args:
        mask: `(height, width)` bool.
        least_px: Pieces of fewer set pixels are not counted.
    """
    from scipy import ndimage

    # Labelling the ground once fills holes many times faster than `binary_fill_holes`.
    ground, _ = ndimage.label(~np.pad(mask, 1))
    filled = (ground != ground[0, 0])[1:-1, 1:-1]
    labels, found = ndimage.label(filled, np.ones((3, 3)))
    if not found:
        return 0
    sizes = np.bincount(labels.ravel(), weights=mask.ravel(), minlength=found + 1)[1:]
    return int((sizes >= least_px).sum())
