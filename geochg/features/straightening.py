"""Outlines of buildings as they are built: straight, with right angles.

A building that fills its smallest rectangle well becomes that rectangle, of its own area; another
has its edges turned into the two directions of that rectangle. What fits neither way, or would
reach into a neighbour, keeps its smoothed outline.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

RECTANGLE_FIT = 0.85
"""Least intersection over union of a building and its rectangle."""
CORNERS_FIT = 0.82
"""Least intersection over union of a building and its outline with right angles."""
REACH_PX = 4.0
"""How far an outline may reach beyond its pixels: what lies farther away needs not be looked at."""
LEAST_PX = 12
"""Smaller buildings are too coarse to have a direction."""

_TOLERANCE_PX = 1.5
_SHORTEST_EDGE_PX = 2.5
_OVERLAP_PX = 1e-6


def straightened_polygons(
    pixels: NDArray[np.object_],
    smooth: NDArray[np.object_],
    eligible: NDArray[np.bool_],
    height_per_width: float,
) -> NDArray[np.object_]:
    """Straightens some outlines.

    Args:
        pixels: `(n,)` polygons that follow pixel edges and do not overlap.
        smooth: `(n,)` the same, smoothed.
        eligible: `(n,)` bool, which are buildings and share no edge with another polygon.
        height_per_width: Height of a pixel on the ground by its width.

    Returns:
        `(n,)` valid polygons of which none overlaps another, or reaches more than `REACH_PX`
        beyond its pixels.
    """
    indexes = np.flatnonzero(eligible & (shapely.area(pixels) >= LEAST_PX))
    if len(indexes) == 0:
        return smooth
    scale = np.array([1.0, height_per_width])
    # Where a ring begins depends on the tiles that its ground lay in.
    square = shapely.normalize(shapely.transform(pixels[indexes], lambda xy: xy * scale))
    straight = shapely.transform(_straight(square), lambda xy: xy / scale)
    is_usable = ~shapely.is_missing(straight)
    reach = shapely.buffer(pixels[indexes[is_usable]], REACH_PX)
    is_usable[is_usable] = shapely.covers(reach, straight[is_usable])
    outlines: NDArray[np.object_] = smooth.copy()
    outlines[indexes[is_usable]] = straight[is_usable]
    return _without_overlaps(outlines, smooth, indexes[is_usable])


def _without_overlaps(
    outlines: NDArray[np.object_], smooth: NDArray[np.object_], straight: NDArray[np.intp]
) -> NDArray[np.object_]:
    """Takes outlines that overlap another back to what they were."""
    while len(straight):
        tree = shapely.STRtree(outlines)
        left, right = tree.query(outlines[straight], predicate="intersects")
        index = straight[left]
        left, right = index[index != right], right[index != right]
        shared = shapely.area(shapely.intersection(outlines[left], outlines[right]))
        bad = np.unique(left[shared > _OVERLAP_PX])
        if len(bad) == 0:
            break
        outlines[bad] = smooth[bad]
        straight = np.setdiff1d(straight, bad)
    return outlines


def _straight(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Straight outlines, None where none fits; units are square."""
    rectangles = shapely.oriented_envelope(polygons)
    fitting = _of_area(rectangles, polygons)
    outlines: NDArray[np.object_] = fitting.copy()
    outlines[_overlap_share(fitting, polygons) < RECTANGLE_FIT] = None
    for i in np.flatnonzero(shapely.is_missing(outlines)).tolist():
        candidate = _with_right_angles(polygons[i], rectangles[i])
        if candidate is not None:
            share = _overlap_share(np.array([candidate]), polygons[i : i + 1])
            outlines[i] = candidate if share[0] >= CORNERS_FIT else None
    return outlines


def _overlap_share(
    polygons: NDArray[np.object_], others: NDArray[np.object_]
) -> NDArray[np.float64]:
    """Intersection over union, 0-1."""
    shared = shapely.area(shapely.intersection(polygons, others))
    return shared / (shapely.area(polygons) + shapely.area(others) - shared)


def _of_area(rectangles: NDArray[np.object_], polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """The rectangles about the polygons' middles, of the polygons' areas."""
    factor = np.sqrt(shapely.area(polygons) / shapely.area(rectangles))[:, None, None]
    corners = shapely.get_coordinates(rectangles).reshape(-1, 5, 2)
    middle, target = (
        shapely.get_coordinates(shapely.centroid(shapes))[:, None]
        for shapes in (rectangles, polygons)
    )
    return np.asarray(shapely.polygons((corners - middle) * factor + target))


# --- right angles --------------------------------------------------------------------------------


class _Edge(NamedTuple):
    """An edge, or several as one, along x at y = `position`, or along y at x = `position`."""

    is_level: bool
    position: float
    length: float

    def joined_edge(self, other: _Edge) -> _Edge:
        """One edge for two of the same direction."""
        length = self.length + other.length
        position = (self.position * self.length + other.position * other.length) / length
        return _Edge(self.is_level, position, length)


def _with_right_angles(polygon: Polygon, rectangle: Polygon) -> Polygon | None:
    """The polygon with all edges along the directions of its rectangle; None where that fails."""
    from shapely import affinity

    if polygon.interiors or rectangle.geom_type != "Polygon":
        return None
    angle, middle = _direction(rectangle), polygon.centroid
    level = affinity.rotate(polygon, -angle, origin=middle, use_radians=True)
    edges = _edges(shapely.get_coordinates(level.simplify(_TOLERANCE_PX))[:-1])
    if len(edges) < 4 or len(edges) % 2:
        return None
    corners = []
    for edge, following in zip(edges, edges[1:] + edges[:1], strict=True):
        x, y = (following, edge) if edge.is_level else (edge, following)
        corners.append((x.position, y.position))
    squared = shapely.Polygon(corners)
    if not squared.is_valid or squared.area <= 0:
        return None
    return affinity.rotate(squared, angle, origin=middle, use_radians=True)


def _direction(rectangle: Polygon) -> float:
    """Angle of the rectangle's longer side to the x axis, in radians."""
    corners = shapely.get_coordinates(rectangle)
    sides = corners[1:3] - corners[:2]
    x, y = sides[int(np.hypot(*sides.T).argmax())]
    return float(np.arctan2(y, x))


def _edges(corners: NDArray[np.float64]) -> list[_Edge]:
    """The edges of a ring by turns along x and y, those that are too short taken out."""
    steps = np.roll(corners, -1, axis=0) - corners
    middles = corners + steps / 2
    edges: list[_Edge] = []
    for (x, y), (step_x, step_y) in zip(middles.tolist(), steps.tolist(), strict=True):
        is_level = abs(step_x) >= abs(step_y)
        position, length = (y, abs(step_x)) if is_level else (x, abs(step_y))
        if length > 0:
            edges.append(_Edge(is_level, position, length))
    edges = _by_turns(edges)
    while len(edges) > 4:
        shortest = min(range(len(edges)), key=lambda i: edges[i].length)
        if edges[shortest].length >= _SHORTEST_EDGE_PX:
            break
        edges = _by_turns(edges[shortest + 1 :] + edges[:shortest])
    return edges


def _by_turns(edges: list[_Edge]) -> list[_Edge]:
    """Neighbouring edges of one direction as one, around the ring."""
    merged_edges: list[_Edge] = []
    for edge in edges:
        if merged_edges and merged_edges[-1].is_level == edge.is_level:
            merged_edges[-1] = merged_edges[-1].joined_edge(edge)
        else:
            merged_edges.append(edge)
    if len(merged_edges) > 1 and merged_edges[0].is_level == merged_edges[-1].is_level:
        merged_edges[0] = merged_edges[0].joined_edge(merged_edges.pop())
    return merged_edges
