"""How many separate objects a patch of ground consists of.

Buildings stand close, and at the resolution of an image their outlines run into each other. Two
bodies count as two where the neck between them is clearly narrower than both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geochg.geometry.morphology import edge_distances
from geochg.geometry.pieces import label_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely import Polygon

NECK_SHARE = 0.6
"""Bodies are separate where the neck between them is narrower than this share of the lesser."""

_FIRST_LEVEL_PX = 1.5
_LEVEL_STEP = 1.2
_LEAST_DIVIDED_PX = 50  # two bodies of five pixels' width; what is smaller is one object
_MOST_DRAWN_PX = 2048  # longest side of a drawing of a polygon; longer ones are drawn coarser


def object_centres(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The innermost pixel of each object.

    Args:
        mask: `(height, width)` bool, where the objects are.

    Returns:
        `(objects, 2)` rows and columns.
    """
    labels, count = label_pieces(mask)
    centres: list[tuple[int, int]] = []
    for number, part in enumerate(_bounds(labels, count), start=1):
        depth = edge_distances(np.pad(labels[part] == number, 1))
        row, col = part[0].start - 1, part[1].start - 1
        centres += [(row + r, col + c) for r, c in _innermost(depth, _FIRST_LEVEL_PX)]
    return np.array(centres, np.intp).reshape(-1, 2)


def objects_within(polygon: Polygon) -> NDArray[np.float64]:
    """A point in each separate object of a polygon, at least one.

    Args:
        polygon: In grid pixels.

    Returns:
        `(objects, 2)` float64, x and y.
    """
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    if polygon.area >= _LEAST_DIVIDED_PX:
        left, low, right, high = polygon.bounds
        scale = max(1.0, max(right - left, high - low) / _MOST_DRAWN_PX)
        shape = (math.ceil((high - low) / scale), math.ceil((right - left) / scale))
        transform = Affine.translation(left, low) * Affine.scale(scale)
        mask = rasterize([polygon], shape, transform=transform, dtype="uint8").astype(bool)
        centres = object_centres(mask)
        if len(centres):
            points: NDArray[np.float64] = (centres[:, ::-1] + 0.5) * scale + np.array([left, low])
            return points
    return point_within(polygon)


def point_within(polygon: Polygon) -> NDArray[np.float64]:
    """`(1, 2)` float64: x and y of a point in a polygon."""
    point = polygon.point_on_surface()
    return np.array([[point.x, point.y]])


def _bounds(labels: NDArray[np.int32], count: int) -> list[tuple[slice, slice]]:
    """Rows and columns that each piece takes up."""
    rows, cols = np.nonzero(labels)
    piece = labels[rows, cols] - 1
    bounds = np.empty((2, 2, count), np.intp)
    for axis, positions in enumerate((rows, cols)):
        bounds[axis] = [[labels.shape[axis]], [0]]
        np.minimum.at(bounds[axis, 0], piece, positions)
        np.maximum.at(bounds[axis, 1], piece, positions + 1)
    return [
        (slice(top, bottom), slice(left, right))
        for top, bottom, left, right in bounds.reshape(4, count).T.tolist()
    ]


def _innermost(depth: NDArray[np.float64], level: float) -> list[tuple[int, int]]:
    """The deepest pixel of each body of a piece, of its `(height, width)` distance to the edge."""
    while level < depth.max() * NECK_SHARE:
        labels, count = label_pieces(depth >= level)
        if count > 1:
            deepest = np.zeros(count + 1)
            np.maximum.at(deepest, labels[labels > 0], depth[labels > 0])
            bodies = np.flatnonzero(deepest * NECK_SHARE >= level)
            if len(bodies) > 1:
                parts = [np.where(labels == body, depth, 0) for body in bodies]
                return [centre for part in parts for centre in _innermost(part, level)]
        level *= _LEVEL_STEP
    row, col = np.unravel_index(depth.argmax(), depth.shape)
    return [(int(row), int(col))]
