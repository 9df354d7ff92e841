"""Separate objects within a piece of ground, such as the houses of a row.

Buildings stand close, and at the resolution of an image their outlines run into each other. Two
bodies count as two where the neck between them is clearly narrower than both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geochg.geometry.lattice import ring_starts, unit_steps
from geochg.geometry.morphology import edge_distances
from geochg.geometry.pieces import label_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from shapely import Polygon

NECK_SHARE = 0.6
"""Bodies are separate where the neck between them is narrower than this share of the lesser."""

_FIRST_LEVEL_PX = 1.5
_LEVEL_STEP = 1.2
_LEAST_DIVIDED_PX = 50  # two bodies of five pixels' width; what is smaller is one object
_MOST_DRAWN_PX = 2048  # longest side of a drawing of a polygon; longer ones are drawn coarser
_SHEET_PX = 1 << 19  # pixels of the pieces that are looked at together


def object_centres(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The innermost pixel of each object.

    Args:
        mask: `(height, width)` bool, where the objects are.

    Returns:
        `(objects, 2)` rows and columns.
    """
    labels, count = label_pieces(mask)
    parts = _bounds(labels, count)
    pieces = [labels[part] == number for number, part in enumerate(parts, start=1)]
    corners = [(rows.start, cols.start) for rows, cols in parts]
    centres = [centre + corner for centre, corner in zip(_centres(pieces), corners, strict=True)]
    return np.concatenate([np.empty((0, 2), np.intp), *centres])


def objects_within(polygons: NDArray[np.object_]) -> list[NDArray[np.float64]]:
    """Points in the separate objects of polygons, at least one in each polygon.

    Args:
        polygons: `(n,)` polygons that follow pixel edges, in grid pixels.

    Returns:
        `(objects, 2)` float64, x and y, for each polygon.
    """
    import shapely

    points = list(points_within(polygons))
    divided = np.flatnonzero(shapely.area(polygons) >= _LEAST_DIVIDED_PX)
    bounds = shapely.bounds(polygons[divided])
    scales = np.maximum((bounds[:, 2:] - bounds[:, :2]).max(axis=1, initial=0) / _MOST_DRAWN_PX, 1)
    drawings = _drawings(polygons[divided[scales == 1]])
    for index in np.flatnonzero(scales > 1).tolist():
        coarse = _coarse_drawing(polygons[divided[index]], scales[index])
        drawings.insert(index, coarse)
    for index, centres, corner, scale in zip(
        divided.tolist(), _centres(drawings), bounds[:, :2], scales, strict=True
    ):
        if len(centres):
            points[index] = (centres[:, ::-1] + 0.5) * scale + corner
    return points


def points_within(polygons: NDArray[np.object_]) -> NDArray[np.float64]:
    """`(n, 1, 2)` float64: x and y of a point in each of `n` polygons."""
    import shapely

    return shapely.get_coordinates(shapely.point_on_surface(polygons))[:, None]


def _drawings(polygons: NDArray[np.object_]) -> list[NDArray[np.bool_]]:
    """`(height, width)` the pixels of each of some polygons that follow their edges."""
    if not len(polygons):
        return []
    steps = unit_steps(polygons)
    owner = steps.polygon_of_ring[steps.ring]
    starts = ring_starts(owner)
    low = np.minimum.reduceat(steps.corner, starts)
    sizes = (np.maximum.reduceat(steps.corner, starts) - low).tolist()
    is_vertical = steps.direction[:, 0] == 0
    col, row = (steps.corner - low[owner] + np.minimum(steps.direction, 0))[is_vertical].T
    stops = np.searchsorted(owner[is_vertical], np.arange(1, len(polygons)))
    drawings = []
    for (width, height), rows, cols in zip(
        sizes, np.split(row, stops), np.split(col, stops), strict=True
    ):
        crossed = np.bincount(rows * (width + 1) + cols, minlength=height * (width + 1))
        is_inside = np.cumsum(crossed.reshape(height, -1), axis=1)[:, :-1] % 2
        drawings.append(is_inside.astype(bool))
    return drawings


def _coarse_drawing(polygon: Polygon, scale: float) -> NDArray[np.bool_]:
    """A drawing with pixels that are `scale` times as large."""
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    left, low, right, high = polygon.bounds
    shape = (math.ceil((high - low) / scale), math.ceil((right - left) / scale))
    transform = Affine.translation(left, low) * Affine.scale(scale)
    return np.asarray(rasterize([polygon], shape, transform=transform, dtype="uint8"), bool)


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


def _centres(pieces: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.intp]]:
    """`(objects, 2)` row and column of the innermost pixel of each object of each piece."""
    centres = [np.empty((0, 2), np.intp)] * len(pieces)
    # Pieces of one depth together: the deepest of a sheet decides how long distances take.
    order = sorted(range(len(pieces)), key=lambda i: min(pieces[i].shape))
    for numbers in _sheets(order, pieces):
        height = max(len(pieces[i]) for i in numbers) + 2
        sheet = np.zeros((height, sum(pieces[i].shape[1] + 1 for i in numbers) + 1), bool)
        starts = np.cumsum([1, *(pieces[i].shape[1] + 1 for i in numbers)])
        for i, start in zip(numbers, starts.tolist(), strict=False):
            piece_height, width = pieces[i].shape
            sheet[1 : piece_height + 1, start : start + width] = pieces[i]
        row, col = _innermost(edge_distances(sheet))
        place = np.searchsorted(starts, col, side="right") - 1
        for index, i in enumerate(numbers):
            is_here = place == index
            centres[i] = np.stack([row[is_here] - 1, col[is_here] - starts[index]], axis=1)
    return centres


def _sheets(order: Sequence[int], pieces: Sequence[NDArray[np.bool_]]) -> Iterator[list[int]]:
    """Pieces that are looked at side by side."""
    numbers: list[int] = []
    height = width = 0
    for i in order:
        height, width = max(height, len(pieces[i])), width + pieces[i].shape[1]
        if numbers and height * width > _SHEET_PX:
            yield numbers
            numbers, (height, width) = [], pieces[i].shape
        numbers.append(i)
    if numbers:
        yield numbers


def _innermost(depth: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the deepest pixel of each body, of the distance to the edge."""
    inside = np.flatnonzero(depth)
    labels, count = label_pieces(depth > 0)
    body, depths = labels.ravel()[inside], depth.ravel()[inside]
    deepest = _highest(depths, body, count)
    level = _FIRST_LEVEL_PX
    while (is_deep := level < deepest * NECK_SHARE).any():
        mask = np.zeros(depth.size, bool)
        mask[inside] = (depths >= level) & is_deep[body]
        labels, count = label_pieces(mask.reshape(depth.shape))
        part = labels.ravel()[inside]
        owner = np.zeros(count + 1, body.dtype)
        owner[part] = body
        part_deepest = _highest(depths, part, count)
        is_body = part_deepest * NECK_SHARE >= level
        is_body[0] = False
        is_split = np.bincount(owner[is_body], minlength=len(deepest)) > 1
        # The bodies of what is divided get numbers behind those that there are.
        is_new = is_body & is_split[owner]
        number = np.zeros(count + 1, body.dtype)
        number[is_new] = np.arange(is_new.sum()) + len(deepest)
        body = np.where(is_split[body], number[part], body)
        deepest = np.append(np.where(is_split, 0, deepest), part_deepest[is_new])
        level *= _LEVEL_STEP
    is_innermost = (depths == deepest[body]) & (body > 0)
    body, position = body[is_innermost], inside[is_innermost]
    _, first = np.unique(body, return_index=True)
    rows, cols = np.unravel_index(position[first], depth.shape)
    return rows, cols


def _highest(
    depths: NDArray[np.float64], labels: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """`(count + 1,)` the greatest depth of each label, 0 of those without a pixel."""
    highest = np.zeros(count + 1)
    np.maximum.at(highest, labels, depths)
    highest[0] = 0
    return highest
