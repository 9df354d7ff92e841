"""Outlines with right angles, from outlines that follow pixel edges.

A ring is cut at the corners of its simplified outline into runs that lead along the main direction
of its polygon, or across it, by turns. A run becomes a straight edge at the mean of all that it
passes, so that it takes as much ground as it gives; corners are where edges meet. The direction is
the one that fits all runs best, by least squares. So a staircase of pixels becomes the line that it
was drawn of, to a fraction of a pixel.

This is done at several scales, the finest first. An outline is good where it keeps to the pixels as
closely as a straight line can, or, where no fine one does since the pixels are those of a rough
blob, where it fits hardly worse than an outline of as many corners of any angles. So what has
other angles than right ones, and what is round, gets none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

LEAST_PX = 12
"""Smaller polygons are too coarse to have a direction."""

_SCALES = ((1.0, 1.5), (1.5, 2.5), (2.0, 4.0), (3.0, 6.0))
"""Tolerance of the simplified outline and length of the shortest edge, in pixels."""
_STRAIGHT_PX = 0.28
"""Mean distance of pixel edges to the straight line that they were drawn of, with some to spare."""
_ROUGH_PX = 0.6
"""Mean distance beyond which the finest outline with right angles shows that pixels are rough."""
_MOST_BY_FREE = 1.3
"""How much farther from rough pixels right angles may be than any other angles."""
_FREE_TOLERANCES_PX = (0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0)
_LEAST_HOLE_PX = 4.0
"""Smaller holes are filled; they count as ground that was added."""
_CIRCLE = np.column_stack(
    [f(np.linspace(0, 2 * np.pi, 64, endpoint=False)) for f in (np.cos, np.sin)]
)
_PRICE_OF_CORNER = 0.004
"""What a corner has to win in intersection over union."""
_MOST_COMPARED, _COMPARED_PX = 150, 0.75
"""Outlines are compared with one that is simplified where there are more vertices: it is faster."""
_ROUNDING_PX = 1e-9
"""Lengths that differ by less are the same: sines and cosines are rounded as processors like."""
_ROUNDS = 2
_LEAST_TURN, _MOST_TURN = np.radians(0.05), np.radians(8)


def right_angled_polygon(polygon: Polygon, most_added: float) -> Polygon | None:
    """The polygon with right angles; None where that does not fit it.

    Args:
        polygon: A polygon that follows pixel edges, in units of a pixel's longer side, and square
            on the ground. Where its rings begin matters little, but not nothing: see
            `shapely.normalize`.
        most_added: Share of its area, 0-1, that the outline may add to it, and may take from it.

    Returns:
        A valid polygon.
    """
    if polygon.area < LEAST_PX:
        return None
    rings = [_from_farthest(shapely.get_coordinates(ring)[:-1]) for ring in _wanted_rings(polygon)]
    roughness_px = 0.0
    for tolerance_px, shortest_px in _SCALES:
        squared = _best_outline(polygon, rings, tolerance_px, shortest_px)
        if squared is None:
            continue
        added, lost = changed_shares(squared, polygon)
        distance_px = (added + lost) * polygon.area / squared.length
        roughness_px = roughness_px or distance_px
        if max(added, lost) <= most_added and (
            distance_px <= _STRAIGHT_PX
            or (
                roughness_px > _ROUGH_PX
                and distance_px <= _MOST_BY_FREE * _free_distance_px(polygon, squared)
                and not _is_round(polygon, added + lost)
            )
        ):
            return squared
        if roughness_px <= _ROUGH_PX:
            return None
    return None


def changed_shares(outline: Polygon, polygon: Polygon) -> tuple[float, float]:
    """What an outline adds to a polygon and takes from it, as shares of the polygon's area."""
    shared = shapely.intersection(outline, polygon).area
    return (outline.area - shared) / polygon.area, (polygon.area - shared) / polygon.area


def _wanted_rings(polygon: Polygon) -> Iterator[shapely.LinearRing]:
    yield polygon.exterior
    yield from (ring for ring in polygon.interiors if Polygon(ring).area >= _LEAST_HOLE_PX)


def _from_farthest(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ring from the vertex on that lies farthest out: a corner, however it is simplified."""
    distance = ((points - points.mean(axis=0)) ** 2).sum(axis=1)
    # Not the first of two that differ by a rounding error.
    first = int(np.flatnonzero(distance >= distance.max() - 1e-6)[0])
    return np.roll(points, -first, axis=0)


# --- acceptance ----------------------------------------------------------------------------------


def _free_distance_px(polygon: Polygon, squared: Polygon) -> float:
    """Mean distance of a polygon to an outline of as many corners as another, of any angles."""
    most_vertices = shapely.get_num_coordinates(squared)
    free = polygon
    for tolerance_px in _FREE_TOLERANCES_PX:
        free = shapely.simplify(polygon, tolerance_px)
        if shapely.get_num_coordinates(free) <= most_vertices:
            break
    return float(shapely.symmetric_difference(polygon, free).area / squared.length)


def _is_round(polygon: Polygon, changed_share: float) -> bool:
    """Whether an ellipse fits better than what changes such a share of the polygon.

    The ellipse has the polygon's area, and its proportions are those of the second moments.
    """
    middle = shapely.get_coordinates(polygon.centroid)
    moments = np.zeros((2, 2))
    for number, ring in enumerate(shapely.get_rings(polygon)):
        points = shapely.get_coordinates(ring) - middle
        start, stop = points[:-1], points[1:]
        cross = (start[:, 0] * stop[:, 1] - stop[:, 0] * start[:, 1])[:, None]
        total = sum((part * cross).T @ part for part in (start, stop, start + stop))
        moments += total * np.sign(cross.sum()) * (1 if number == 0 else -1)
    spread, axes = np.linalg.eigh(moments)
    radii = np.sqrt(spread.clip(1e-12))
    radii *= np.sqrt(polygon.area / (np.pi * radii.prod()))
    ellipse = Polygon(_CIRCLE * radii @ axes.T + middle)
    return sum(changed_shares(ellipse, polygon)) <= changed_share


# --- outlines ------------------------------------------------------------------------------------


class _Run(NamedTuple):
    """A part of a ring, from one vertex to the first of the next run.

    Attributes:
        is_level: Whether it leads along x rather than along y.
        start: Index of its first vertex.
    """

    is_level: bool
    start: int


def _best_outline(
    polygon: Polygon, rings: list[NDArray[np.float64]], tolerance_px: float, shortest_px: float
) -> Polygon | None:
    """The outline with right angles that fits best of those in a few directions."""
    corners = [_corner_indices(ring, tolerance_px) for ring in rings]
    if min(map(len, corners)) < 4:
        return None
    is_large = shapely.get_num_coordinates(polygon) > _MOST_COMPARED
    reference = shapely.simplify(polygon, _COMPARED_PX) if is_large else polygon
    best: _Outline | None = None
    angle = 0.0
    for first_angle in _angles(polygon, rings[0][corners[0]]):
        outline = _outline(reference, rings, corners, first_angle, shortest_px)
        if outline is not None and (best is None or outline.score > best.score + 1e-9):
            best, angle = outline, first_angle
    if best is not None and is_large:
        best = best._replace(score=_score(best.polygon, polygon))
    for _ in range(_ROUNDS):
        # Of a few pixels, the better angle may be anything.
        if best is None or not _LEAST_TURN < abs(best.better_angle - angle) < _MOST_TURN:
            break
        outline = _outline(polygon, rings, corners, best.better_angle, shortest_px)
        if outline is None or outline.score <= best.score + 1e-9:
            break
        best, angle = outline, best.better_angle
    return best and best.polygon


def _corner_indices(ring: NDArray[np.float64], tolerance_px: float) -> NDArray[np.intp]:
    """Indices of the vertices that are left of a ring that is simplified."""
    closed = shapely.linearrings(np.vstack([ring, ring[:1]]))
    vertices = shapely.get_coordinates(shapely.simplify(closed, tolerance_px))[:-1]
    index_of = {point: index for index, point in enumerate(map(tuple, ring.tolist()))}
    return np.array(sorted(index_of[point] for point in map(tuple, vertices.tolist())), np.intp)


def _angles(polygon: Polygon, corners: NDArray[np.float64]) -> list[float]:
    """Directions that may be the main one, in radians.

    That of most edges, which count by their lengths, right angles between them apart, that of the
    least rectangle, and that of the pixels.
    """
    x, y = (_following(corners) - corners).T
    mean = (np.hypot(x, y) * np.exp(4j * np.arctan2(y, x))).sum()
    edges = float(np.angle(mean)) / 4
    rectangle = shapely.get_coordinates(shapely.oriented_envelope(polygon))
    side_x, side_y = rectangle[1] - rectangle[0]
    of_rectangle = float(np.arctan2(side_y, side_x))
    angles = [edges]
    for angle in (of_rectangle, 0.0):
        distances = [abs((angle - other + np.pi / 4) % (np.pi / 2) - np.pi / 4) for other in angles]
        if min(distances) > np.radians(1):
            angles.append(angle)
    return angles


class _Outline(NamedTuple):
    """An outline with right angles along an angle.

    Attributes:
        polygon: Valid.
        score: How well it fits.
        better_angle: The angle that fits its edges best, in radians.
    """

    polygon: Polygon
    score: float
    better_angle: float


def _outline(
    polygon: Polygon,
    rings: list[NDArray[np.float64]],
    corners: list[NDArray[np.intp]],
    angle: float,
    shortest_px: float,
) -> _Outline | None:
    """The outline of edges along an angle and across it; None where there is none."""
    turned = [_turned_points(ring, -angle) for ring in rings]
    runs = [_runs(*of_ring, shortest_px) for of_ring in zip(turned, corners, strict=True)]
    if any(len(of_ring) < 4 for of_ring in runs):
        return None
    integrals = [_Integrals.of(*of_ring) for of_ring in zip(turned, runs, strict=True)]
    if any((abs(of_ring.extent) < 1e-9).any() for of_ring in integrals):
        return None
    shells = [
        _turned_points(_edge_corners(*of_ring), angle)
        for of_ring in zip(runs, integrals, strict=True)
    ]
    outline = Polygon(shells[0], shells[1:])
    if not outline.is_valid or outline.area <= 0:
        return None
    better_angle = angle + float(np.arctan(_common_slope(integrals)))
    return _Outline(outline, _score(outline, polygon), better_angle)


def _score(outline: Polygon, polygon: Polygon) -> float:
    """Intersection over union, less something for each corner."""
    added, lost = changed_shares(outline, polygon)
    return (1 - lost) / (1 + added) - _PRICE_OF_CORNER * len(outline.exterior.coords)


def _following(items: NDArray[Any]) -> NDArray[Any]:
    """The item after each one of a ring."""
    return np.concatenate([items[1:], items[:1]])


def _turned_points(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def _runs(points: NDArray[np.float64], corners: NDArray[np.intp], shortest_px: float) -> list[_Run]:
    """The runs of a ring, along x and along y by turns, those that are too short taken out."""
    steps = _following(points[corners]) - points[corners]
    is_level = abs(steps[:, 0]) >= abs(steps[:, 1]) - _ROUNDING_PX
    starts = np.flatnonzero(is_level != np.roll(is_level, 1)).tolist()
    runs = [_Run(bool(is_level[i]), int(corners[i])) for i in starts]
    while len(runs) > 4:
        lengths_px = [
            abs(points[following.start, axis] - points[run.start, axis])
            for run, following in zip(runs, runs[1:] + runs[:1], strict=True)
            for axis in [0 if run.is_level else 1]
        ]
        least_px = min(lengths_px) + _ROUNDING_PX
        if least_px >= shortest_px:
            break
        # Of runs of one length the first, whatever rounding makes of them.
        shortest = next(i for i, length_px in enumerate(lengths_px) if length_px <= least_px)
        # The runs before and after it become one.
        following = (shortest + 1) % len(runs)
        runs = [run for i, run in enumerate(runs) if i not in (shortest, following)]
    return runs


class _Integrals(NamedTuple):
    """Integrals over the way of each run, where x leads along the run and y across it.

    Attributes:
        extent: `(runs,)` of 1 dx.
        mean: `(runs,)` of y dx, by the extent.
        covariance: `(runs,)` of (x - its mean) * (y - its mean) dx, positive for a rise.
        variance: `(runs,)` of (x - its mean)**2 dx, at least 0.
        sign: `(runs,)` 1 where x is x, and -1 where it is y.
    """

    extent: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    variance: NDArray[np.float64]
    sign: NDArray[np.float64]

    @classmethod
    def of(cls, points: NDArray[np.float64], runs: list[_Run]) -> _Integrals:
        """Integrates over the runs of a ring, in order of their starts."""
        starts = np.array([run.start for run in runs])
        axis = np.array([0 if run.is_level else 1 for run in runs])
        step, middle = _following(points) - points, (_following(points) + points) / 2
        product = middle[:, 0] * middle[:, 1] + step[:, 0] * step[:, 1] / 12
        y_dx = _sums(middle[:, ::-1] * step, starts, axis)
        xy_dx = _sums(product[:, None] * step, starts, axis)
        first = points[starts, axis]
        last = points[_following(starts), axis]
        extent, centre = last - first, (first + last) / 2
        sign = np.sign(extent)
        safe = np.where(extent == 0, 1.0, extent)
        return cls(
            extent,
            y_dx / safe,
            (xy_dx - centre * y_dx) * sign,
            abs(extent) ** 3 / 12,
            np.where(axis == 0, 1.0, -1.0),
        )


def _sums(
    values: NDArray[np.float64], starts: NDArray[np.intp], axis: NDArray[np.intp]
) -> NDArray[np.float64]:
    """`(runs,)` sums of one column of values from each start to the next, around the ring."""
    total = np.vstack([np.zeros(2), np.cumsum(values, axis=0)])
    sums = total[_following(starts)] - total[starts]
    sums[-1] += total[-1]
    return np.asarray(sums[np.arange(len(starts)), axis])


def _common_slope(integrals: list[_Integrals]) -> float:
    """The slope of all edges to their axes that is left, by least squares."""
    rise = sum(float((of_ring.covariance * of_ring.sign).sum()) for of_ring in integrals)
    return rise / sum(float(of_ring.variance.sum()) for of_ring in integrals)


def _edge_corners(runs: list[_Run], integrals: _Integrals) -> NDArray[np.float64]:
    """Where the edges of a ring meet."""
    following = _following(integrals.mean)
    is_level = np.array([run.is_level for run in runs])[:, None]
    return np.where(
        is_level,
        np.column_stack([following, integrals.mean]),
        np.column_stack([integrals.mean, following]),
    )
