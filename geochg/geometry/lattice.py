"""The outlines of pixel polygons as unit steps between pixel corners.

Polygons with axis-parallel edges and whole-number vertices are walks on the lattice of pixel
corners. Cut into steps of length one, edges and corners that polygons share become equal numbers,
and questions of contact need no geometry any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.geometry.pieces import number_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Steps(NamedTuple):
    """Unit steps along all rings of some polygons, ring after ring, without repeated ends.

    Attributes:
        corner: `(n, 2)` int64, x and y where the step starts.
        direction: `(n, 2)` int64, its x and y, one of them 0 and the other -1 or 1.
        ring: `(n,)` int64, the ring it belongs to; rings are numbered shell first, then holes,
            polygon after polygon.
        polygon_of_ring: `(rings,)` int64, the polygon each ring belongs to.
    """

    corner: NDArray[np.int64]
    direction: NDArray[np.int64]
    ring: NDArray[np.int64]
    polygon_of_ring: NDArray[np.int64]


def unit_steps(polygons: NDArray[np.object_]) -> Steps:
    """Cuts the rings of pixel polygons into unit steps.

    Args:
        polygons: `(n,)` shapely polygons, not empty, with axis-parallel edges and whole-number
            vertices.
    """
    import shapely

    rings, polygon_of_ring = shapely.get_rings(polygons, return_index=True)
    vertices, ring = shapely.get_coordinates(rings, return_index=True)
    vertices = vertices.astype(np.int64)
    inner = ring[1:] == ring[:-1]
    edge = (vertices[1:] - vertices[:-1])[inner]
    length = np.abs(edge).sum(axis=1)
    of_edge = np.repeat(np.arange(len(edge)), length)
    step_index = np.arange(len(of_edge)) - np.repeat(np.cumsum(length) - length, length)
    direction = np.sign(edge)[of_edge]
    corner = vertices[:-1][inner][of_edge] + direction * step_index[:, None]
    return Steps(corner, direction, ring[:-1][inner][of_edge], polygon_of_ring)


def united_steps(steps: Steps, group: NDArray[np.int64]) -> Steps:
    """The outlines of groups of polygons, each group taken as one polygon.

    Steps that two polygons of a group take in opposite directions are gone, and what is left is
    joined to rings anew. Where two rings of a group meet at a corner, each keeps to the ground
    outside of the group, so that no ring meets itself.

    Args:
        steps: Steps with the interior on the left where y grows upwards, see
            `shapely.orient_polygons`. Polygons of a group are equal or do not overlap.
        group: `(n,)` int64 the group of each polygon, from 0 without gaps; each hangs together by
            shared edges.

    Returns:
        Steps whose polygons are the groups; rings go on in the direction of `steps`.
    """
    groups = int(group.max()) + 1
    owner = group[steps.polygon_of_ring[steps.ring]]
    keys = edge_keys(steps)
    rises = steps.direction.sum(axis=1) > 0
    left_over = np.flatnonzero(_is_lone(keys.edge * groups + owner, rises))
    owner, direction = owner[left_over], steps.direction[left_over]
    start = keys.corner[left_over] * groups + owner
    stop = start + direction @ np.array([1, keys.stride]) * groups

    # Arcs: steps that follow each other as they did; they end where rings meet.
    is_new = np.append(True, (np.diff(left_over) > 1) | (np.diff(steps.ring[left_over]) > 0))
    first = np.flatnonzero(is_new | _repeats(start))
    last = np.append(first[1:], len(start)) - 1
    following = _following_arcs(start[first], direction[first], stop[last], direction[last])
    ring, order = _ring_order(following)
    length = (last - first + 1)[order]
    index = np.repeat(first[order] - np.cumsum(length) + length, length) + np.arange(len(start))
    joined = Steps(steps.corner[left_over][index], direction[index], np.repeat(ring, length), owner)

    # Shells run to the left around their ground, and come before the holes of their polygon.
    starts = ring_starts(joined.ring)
    area = np.add.reduceat(joined.corner[:, 0] * joined.direction[:, 1], starts)
    ring_owner = owner[index][starts]
    ranks = np.lexsort((area < 0, ring_owner))
    rank = np.empty_like(ranks)
    rank[ranks] = np.arange(len(ranks))
    by_rank = np.argsort(rank[joined.ring], kind="stable")
    return Steps(
        joined.corner[by_rank],
        joined.direction[by_rank],
        rank[joined.ring][by_rank],
        ring_owner[ranks],
    )


def _is_lone(edge: NDArray[np.int64], rises: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which steps are the first along their edge, and have none that goes the other way."""
    order = np.argsort(edge * 2 + rises, kind="stable")
    edge, rises = edge[order], rises[order]
    begins = np.append(True, edge[1:] != edge[:-1])
    number = np.cumsum(begins) - 1
    goes_both_ways = np.maximum.reduceat(rises, np.flatnonzero(begins)) & ~rises[begins]
    lone = np.zeros(len(edge), bool)
    lone[order] = begins & ~goes_both_ways[number]
    return lone


def _repeats(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of some values occur more than once."""
    order = np.argsort(values, kind="stable")
    equal = values[order[1:]] == values[order[:-1]]
    repeats = np.zeros(len(values), bool)
    repeats[order] = np.append(equal, False) | np.append(False, equal)
    return repeats


def _following_arcs(
    start: NDArray[np.int64],
    first_direction: NDArray[np.int64],
    stop: NDArray[np.int64],
    last_direction: NDArray[np.int64],
) -> NDArray[np.intp]:
    """The arc that begins where each ends; of two, the one to the right."""
    order = np.argsort(start, kind="stable")
    position = np.searchsorted(start[order], stop)
    other = np.minimum(position + 1, len(start) - 1)
    has_other = (start[order[other]] == stop) & (other != position)
    (x, y), (next_x, next_y) = last_direction.T, first_direction[order[other]].T
    turns_right = has_other & (x * next_y - y * next_x < 0)
    return order[np.where(turns_right, other, position)]


def _ring_order(following: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The ring of each arc and the arc, ring by ring, each from its first arc on."""
    arcs = np.arange(len(following))
    ring = number_groups(arcs, following, len(arcs))
    _, first = np.unique(ring, return_index=True)
    hop = following.copy()
    is_last = following == first[ring]
    hop[is_last] = arcs[is_last]
    steps_left = (~is_last).astype(np.int64)
    while not np.array_equal(hop, hop[hop]):
        steps_left += steps_left[hop]
        hop = hop[hop]
    order = np.lexsort((-steps_left, ring))
    return ring[order], order


class EdgeKeys(NamedTuple):
    """A number for each unit edge, the same from both of its sides.

    Attributes:
        edge: `(n,)` int64, twice the key of the edge's first corner, plus one where it is vertical.
        corner: `(n,)` int64, key of the corner where the step starts.
        stride: What a corner's key grows by from one row to the next.
    """

    edge: NDArray[np.int64]
    corner: NDArray[np.int64]
    stride: int


def edge_keys(steps: Steps) -> EdgeKeys:
    """Numbers the edges of steps."""
    low = steps.corner.min(axis=0)
    stride = int(steps.corner[:, 0].max() - low[0]) + 2
    scale = np.array([1, stride])
    corner = (steps.corner - low) @ scale
    stop = corner + steps.direction @ scale
    return EdgeKeys(np.minimum(corner, stop) * 2 + (steps.direction[:, 0] == 0), corner, stride)


def previous_in_ring(ring: NDArray[np.int64]) -> NDArray[np.intp]:
    """For each item of rings that lie one after the other, the index of the one before it."""
    previous = np.arange(len(ring)) - 1
    first = ring_starts(ring)
    previous[first] = np.append(first[1:], len(ring)) - 1
    return previous


def next_in_ring(ring: NDArray[np.int64]) -> NDArray[np.intp]:
    """For each item of rings that lie one after the other, the index of the one after it."""
    following = np.arange(len(ring)) + 1
    first = ring_starts(ring)
    following[np.append(first[1:], len(ring)) - 1] = first
    return following


def ring_starts(ring: NDArray[np.int64]) -> NDArray[np.intp]:
    """Index of each ring's first item."""
    return np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))


def outline_polygons(steps: Steps) -> NDArray[np.object_]:
    """The polygons that steps go around, with vertices where they turn."""
    turns = (steps.direction != steps.direction[previous_in_ring(steps.ring)]).any(axis=1)
    return closed_polygons(
        steps.corner[turns].astype(np.float64), steps.ring[turns], steps.polygon_of_ring
    )


def closed_polygons(
    vertices: NDArray[np.float64], ring: NDArray[np.int64], polygon_of_ring: NDArray[np.int64]
) -> NDArray[np.object_]:
    """As `polygons_of`, of rings whose first vertex is not repeated."""
    first = ring_starts(ring)
    ends = np.append(first[1:], len(ring))
    closed = np.insert(vertices, ends, vertices[first], axis=0)
    return polygons_of(closed, np.insert(ring, ends, ring[first]), polygon_of_ring)


def polygons_of(
    vertices: NDArray[np.float64], ring: NDArray[np.int64], polygon_of_ring: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Builds polygons from the vertices of their rings.

    Args:
        vertices: `(n, 2)` x and y, ring after ring, the first vertex of each repeated at its end.
        ring: `(n,)` the ring each belongs to, from 0.
        polygon_of_ring: `(rings,)` the polygon each ring belongs to, from 0, shells first.
    """
    import shapely

    rings = np.asarray(shapely.linearrings(vertices, indices=ring))
    return np.asarray(shapely.polygons(rings, indices=polygon_of_ring))


def first_pixels(polygons: NDArray[np.object_]) -> NDArray[np.int64]:
    """`(n, 2)` row and column of the first pixel of each pixel polygon, row by row."""
    import shapely

    vertices, owner = shapely.get_coordinates(polygons, return_index=True)
    order = np.lexsort((vertices[:, 0], vertices[:, 1], owner))
    _, first = np.unique(owner[order], return_index=True)
    return vertices[order][first][:, ::-1].astype(np.int64)
