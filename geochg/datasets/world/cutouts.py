"""Outlined real buildings: taken off a picture, or pasted into another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.shapes import filled

Points = NDArray[np.float64]


def erased(
    rng: np.random.Generator,
    picture: FloatArray,
    gone: Sequence[Points],
    all_outlines: Sequence[Points],
    reach_px: float,
) -> tuple[FloatArray, list[Points]]:
    """A picture without some of its buildings, their ground filled from nearby ground.

    Args:
        rng: Draws where the ground comes from.
        picture: `(size, size, 3)` float32.
        gone: Outlines of the buildings to take off.
        all_outlines: Outlines of all buildings, which no ground is taken from.
        reach_px: How far shadows and eaves reach past the outlines.

    Returns:
        The picture, and the outlines of those that could be taken off.
    """
    size = picture.shape[0]
    built = filled(all_outlines, size, 1) > 0
    near = ndimage.binary_dilation(built, iterations=max(int(reach_px), 1))
    result, done = picture.copy(), list[Points]()
    for ring in gone:
        box = _box(ring, size, reach_px * 2 + 3)
        rows, cols = box
        if rows.stop - rows.start < 4 or cols.stop - cols.start < 4:
            continue
        hole = _softened(filled([ring], size, 1), box, reach_px)
        source = _source(rng, near, box, hole)
        if source is None:
            continue
        patch = picture[source]
        edge = (hole > 0.02) & (hole < 0.5)
        if edge.any():
            patch = patch + 0.7 * (result[box][edge].mean(0) - patch[edge].mean(0))
        result[box] += hole[..., None] * (patch - result[box])
        done.append(ring)
    return np.clip(result, 0, 1), done


def _softened(cover: FloatArray, box: tuple[slice, slice], reach_px: float) -> FloatArray:
    """The hole a building leaves, grown to its shadow and with a soft edge."""
    grown = ndimage.grey_dilation(cover[box], size=(2 * int(reach_px) + 1,) * 2)
    soft: FloatArray = ndimage.gaussian_filter(grown, max(reach_px * 0.4, 0.7))
    return soft


def _source(
    rng: np.random.Generator, near: NDArray[np.bool_], box: tuple[slice, slice], hole: FloatArray
) -> tuple[slice, slice] | None:
    """A box of the same size that has no building where the hole is."""
    rows, cols = box
    height, width = rows.stop - rows.start, cols.stop - cols.start
    size, needed = near.shape[0], hole > 0.05
    for _ in range(30):
        row = int(rng.integers(0, size - height + 1))
        col = int(rng.integers(0, size - width + 1))
        if not (near[row : row + height, col : col + width] & needed).any():
            return slice(row, row + height), slice(col, col + width)
    return None


def _box(ring: Points, size: int, grow: float) -> tuple[slice, slice]:
    (left, top), (right, bottom) = ring.min(0) - grow, ring.max(0) + grow
    return (
        slice(max(int(top), 0), min(int(bottom) + 1, size)),
        slice(max(int(left), 0), min(int(right) + 1, size)),
    )
