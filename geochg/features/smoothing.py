"""Outlines as they would be drawn, from outlines that follow pixel edges.

A slanted edge of the ground becomes a staircase in pixels. Each tread or riser that is one or two
pixels long, with turns to opposite sides at its ends, is replaced by its midpoint, and the corners
next to it go. Two edges facing each other lose what they win, so that areas hardly change; real
corners, rectangles and single pixels stay as they are.

Corners where three or more outlines meet stay where they are, and between them the result does not
depend on the direction of the walk. So neighbours keep their common edge, nothing overlaps, and no
feature is lost: a corner is only ever cut by a triangle too thin for another outline to reach into.
(Visvalingam simplification, as in `shapely.coverage_simplify`, was tried: it halves small features
before it straightens gentle slopes.)
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.geometry.lattice import (
    EdgeKeys,
    Steps,
    closed_polygons,
    edge_keys,
    next_in_ring,
    previous_in_ring,
)

LONGEST_STEP_PX = 2
"""Treads and risers up to this length are smoothed; half of it bounds how far an outline moves."""
SHOULDER_PX = 2.0
"""How much of a longer edge at a crest or in a hollow is bent towards the step beside it."""


def smoothed_polygons(steps: Steps) -> NDArray[np.object_]:
    """Straightens the staircases of polygons that follow pixel edges.

    Args:
        steps: The steps around `n` polygons that do not overlap; at least one.

    Returns:
        `(n,)` valid polygons in the same order, within one pixel of what they were.
    """
    path = _without_flat(_with_midpoints(_corners(steps)))
    return closed_polygons(path.point.astype(np.float64), path.ring, steps.polygon_of_ring)


class _Path(NamedTuple):
    """Vertices of rings, ring after ring, without repeated ends.

    Attributes:
        point: `(n, 2)` int64 or float64, x and y.
        ring: `(n,)` int64.
        fixed: `(n,)` bool; true where three or more outlines meet.
    """

    point: NDArray[np.float64] | NDArray[np.int64]
    ring: NDArray[np.int64]
    fixed: NDArray[np.bool_]


def _corners(steps: Steps) -> _Path:
    """The vertices where rings turn or meet."""
    fixed = _is_junction(edge_keys(steps))
    before = steps.direction[previous_in_ring(steps.ring)]
    keep = (before != steps.direction).any(axis=1) | fixed
    return _Path(steps.corner[keep], steps.ring[keep], fixed[keep])


def _is_junction(keys: EdgeKeys) -> NDArray[np.bool_]:
    """Whether more than two different edges meet where a step starts."""
    edges = np.sort(keys.edge)
    edges = edges[np.append(True, edges[1:] != edges[:-1])]
    start = edges // 2
    ends = np.sort(np.concatenate([start, start + np.where(edges % 2, keys.stride, 1)]))
    junctions = ends[2:][ends[2:] == ends[:-2]]
    if not len(junctions):
        return np.zeros(len(keys.corner), bool)
    nearest = np.searchsorted(junctions, keys.corner).clip(max=len(junctions) - 1)
    return np.asarray(junctions[nearest] == keys.corner)


def _with_midpoints(path: _Path) -> _Path:
    """Midpoints for short steps; the corners at their ends are gone."""
    following, previous = next_in_ring(path.ring), previous_in_ring(path.ring)
    edge = path.point[following] - path.point
    length = np.abs(edge).sum(axis=1)
    turn = _cross(edge[previous], edge)
    loose = ~path.fixed & ~path.fixed[following]
    alternates = np.sign(turn) != np.sign(turn[following])
    step = loose & alternates & (length <= LONGEST_STEP_PX)
    crest = loose & ~alternates
    is_removed = ~path.fixed & (step | step[previous])

    reach = np.where(step, length / 2, np.minimum(length / 2, SHOULDER_PX))[:, None]
    offset = edge / length[:, None] * reach
    points = np.stack([path.point, path.point + offset, path.point[following] - offset], axis=1)
    is_used = np.stack(
        [~is_removed, step | (crest & is_removed), crest & is_removed[following]], axis=1
    )
    fixed = np.zeros_like(is_used)
    fixed[:, 0] = path.fixed
    ring = np.broadcast_to(path.ring[:, None], is_used.shape)
    return _Path(points[is_used], ring[is_used], fixed[is_used])


def _without_flat(path: _Path) -> _Path:
    """Drops repeated vertices, then those on the line between their neighbours."""
    repeated = (path.point == path.point[previous_in_ring(path.ring)]).all(axis=1)
    path = _kept_vertices(path, ~repeated | path.fixed)
    before = path.point - path.point[previous_in_ring(path.ring)]
    after = path.point[next_in_ring(path.ring)] - path.point
    return _kept_vertices(path, (_cross(before, after) != 0) | path.fixed)


def _kept_vertices(path: _Path, keep: NDArray[np.bool_]) -> _Path:
    return _Path(path.point[keep], path.ring[keep], path.fixed[keep])


def _cross(edges: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(edges[:, 0] * others[:, 1] - edges[:, 1] * others[:, 0])
