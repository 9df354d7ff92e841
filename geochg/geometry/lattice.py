"""The outlines of pixel polygons as unit steps between pixel corners.

Polygons with axis-parallel edges and whole-number vertices are walks on the lattice of pixel
corners. Cut into steps of length one, edges and corners that polygons share become equal numbers,
and questions of contact need no geometry any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

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
