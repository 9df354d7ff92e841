"""Outlined real buildings: taken off a picture, or pasted into another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.shapes import filled

Points = NDArray[np.float64]

LEAST_PX = 5
"""Shortest side of the buildings that are pasted."""


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


def inserted(
    rng: np.random.Generator,
    picture: FloatArray,
    standing: Sequence[Points],
    donor: FloatArray,
    chosen: Sequence[Points],
    scale: float,
    height_px: float,
) -> tuple[FloatArray, list[Points]]:
    """A picture with buildings cut out of another, each with a shadow.

    Args:
        rng: Draws where they stand and the sun.
        picture: `(size, size, 3)` float32.
        standing: Outlines of the buildings it has, which none is put on.
        donor: The other picture, of the same shape.
        chosen: Outlines in it; those that reach past it are left out, as are specks and giants.
        scale: By how much cut-outs are enlarged.
        height_px: How high buildings are at most.

    Returns:
        The picture, and the outlines of those that found room.
    """
    size, turn = picture.shape[0], float(rng.uniform(0, 2 * np.pi))
    sun, shade = (np.cos(turn), np.sin(turn)), np.float32(rng.uniform(0.35, 0.7))
    taken = ndimage.binary_dilation(filled(standing, size, 1) > 0, iterations=2)
    result, done = picture.copy(), list[Points]()
    for ring in chosen:
        sides = np.ptp(ring, axis=0) * scale
        if not _whole(ring, donor.shape[0]) or sides.min() < LEAST_PX or sides.max() > size // 2:
            continue
        rows, cols = _box(ring, donor.shape[0], 2)
        tall, wide = (round((one.stop - one.start) * scale) for one in (rows, cols))
        piece = _enlarged(donor[rows, cols], (wide, tall))
        shape = (ring - (cols.start, rows.start)) * scale
        for _ in range(12):
            row, col = int(rng.integers(size - tall + 1)), int(rng.integers(size - wide + 1))
            box = slice(row, row + tall), slice(col, col + wide)
            if not taken[box].any():
                break
        else:
            continue
        moved = shape + np.array((col, row))
        cover = filled([moved], size)
        reach = height_px * float(rng.uniform(0.5, 1))
        dark = _thrown(cover, sun, reach) * (1 - cover)
        result *= (1 - shade * dark)[..., None]
        soft = ndimage.gaussian_filter(cover[box], 0.5)[..., None]
        result[box] += soft * (piece - result[box])
        taken |= cover > 0
        done.append(moved)
    return np.clip(result, 0, 1), done


def _whole(ring: Points, size: int) -> bool:
    """Whether a picture shows all of an outline."""
    return bool(ring.min() >= 0 and ring.max() <= size - 1)


def _enlarged(piece: FloatArray, shape: tuple[int, int]) -> FloatArray:
    levels = Image.fromarray((np.clip(piece, 0, 1) * 255 + 0.5).astype(np.uint8))
    return np.asarray(levels.resize(shape, Image.Resampling.BICUBIC), np.float32) / np.float32(255)


def _thrown(cover: FloatArray, sun: tuple[float, float], reach_px: float) -> FloatArray:
    """The shade that a cover throws away from the sun, as far as it falls into the picture."""
    size, margin = cover.shape[0], int(reach_px) + 1
    sheet, dark = np.pad(cover, margin), np.zeros_like(cover)
    for away in np.linspace(0, reach_px, max(int(reach_px), 1) + 1)[1:]:
        row, col = (margin + round(part * away) for part in (sun[1], sun[0]))
        dark = np.maximum(dark, sheet[row : row + size, col : col + size])
    return dark


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
