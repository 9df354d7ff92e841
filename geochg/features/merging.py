"""Pieces of changed ground that share an edge become one feature."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geochg.geometry.lattice import edge_keys, unit_steps
from geochg.geometry.pieces import number_groups


def feature_numbers(polygons: NDArray[np.object_], kind: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers the features that pieces belong to.

    Pieces of one kind that share an edge of positive length belong together, and so do those that
    a chain of such pieces connects; contact at a corner does not join.

    Args:
        polygons: `(n,)` polygons in grid pixels with whole-number vertices; those of one kind do
            not overlap.
        kind: `(n,)` int64 from 0, what must be equal for pieces to be joined.

    Returns:
        `(n,)` int64 from 0 without gaps, in order of each feature's first piece.
    """
    count = len(polygons)
    if count == 0:
        return np.empty(0, np.int64)
    left, right = shared_edges(polygons, kind)
    return number_groups(left, right, count)


def shared_edges(
    polygons: NDArray[np.object_], kind: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of pieces that share a unit edge, one pair for each such edge.

    Args:
        polygons: `(n,)` polygons in grid pixels with whole-number vertices; at least one.
        kind: `(n,)` int64 from 0; only pieces of one kind are paired, and those of different kinds
            may overlap. None pairs all, of which none may overlap.

    Returns:
        Two `(edges,)` arrays of indices.
    """
    steps = unit_steps(polygons)
    piece = steps.polygon_of_ring[steps.ring]
    key = edge_keys(steps).edge
    if kind is not None:
        key = key * (int(kind.max()) + 1) + kind[piece]
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    return piece[order[twin]], piece[order[twin + 1]]


def merged_polygons(
    polygons: NDArray[np.object_], feature: NDArray[np.int64]
) -> NDArray[np.object_]:
    """The united pieces of each feature.

    `feature` is what `feature_numbers` gives for the `(n,)` pieces; the `(features,)` polygons each
    cover what their pieces cover.
    """
    order = np.argsort(feature, kind="stable")
    size = np.bincount(feature)
    first = np.cumsum(size) - size
    united: NDArray[np.object_] = polygons[order[first]]
    for index in np.flatnonzero(size > 1):
        members = order[first[index] : first[index] + size[index]]
        united[index] = _union(polygons[members])
    return united


def _union(pieces: NDArray[np.object_]) -> BaseGeometry:
    """The union of pieces that share edges, several times as fast as of any polygons.

    A coverage union wants every vertex of an edge in both pieces that share it, so all edges are
    cut at each pixel, exactly. Boxes of cells whose classes are in doubt come several times.
    """
    _, distinct = np.unique(shapely.to_wkb(pieces), return_index=True)
    cut_pieces = shapely.transform(shapely.segmentize(pieces[distinct], 1), np.rint)
    united = shapely.coverage_union_all(cut_pieces)
    return shapely.simplify(united, 0)
