"""Outlines of buildings as people draw them: squared, where that fits, and clear of neighbours.

What adjoins a building follows its new walls, so that both still meet and nothing overlaps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from geochg.geometry.lattice import edge_keys, unit_steps
from geochg.geometry.right_angles import LEAST_PX, changed_shares, right_angled_polygon

REACH_PX = 8.0
"""How far an outline may reach beyond its pixels: what lies farther away needs not be looked at."""
USUAL_SHARE = 0.15
"""Share of a building's area that its outline may gain, and lose, unless another is given."""

_OVERLAP_PX = 1e-6
_GRID_PX = 2.0**-26
"""Slits that are narrower, which come of rounding, are closed; far below what could be seen."""
_SMOOTHED_PX = 1.5
"""How far, at most, outlines lie from their pixels before they are squared, with some to spare."""
_NEAR_PX = 1e-6
_LEAST_PIECE_PX = 0.01
"""Smaller pieces that come loose are let go."""
_WALL_PX = 2.0
"""How far from a neighbour an outline is kept as it was, where both share an edge."""


class Regularized(NamedTuple):
    """Outlines, some of them squared.

    Attributes:
        outlines: `(n,)` valid polygons.
        is_squared: `(n,)` bool, which were squared; others are as they were, but for those that
            follow the wall of one that they adjoin.
    """

    outlines: NDArray[np.object_]
    is_squared: NDArray[np.bool_]


def regularized_outlines(
    pixels: NDArray[np.object_],
    outlines: NDArray[np.object_],
    eligible: NDArray[np.bool_],
    axes: NDArray[np.float64],
    share: float = USUAL_SHARE,
) -> Regularized:
    """Squares polygons along their main directions, on the ground.

    Args:
        pixels: `(n,)` polygons that follow pixel edges and do not overlap, in grid pixels.
        outlines: `(n,)` the same as they are drawn where they are not squared, such as
            `features.smoothing.smoothed_polygons` gives them; none overlaps another.
        eligible: `(n,)` bool, which may be squared.
        axes: `(n, 2, 2)` where a step of a pixel leads around each, see `placement.ground_axes`.
        share: Share of a polygon's area, 0-1, that its outline may add to it, and take from it.

    Returns:
        Outlines in grid pixels, of which none overlaps another or reaches more than `REACH_PX`
        beyond its pixels.
    """
    candidates = np.flatnonzero(eligible & (shapely.area(pixels) >= LEAST_PX))
    squared: NDArray[np.object_] = np.full(len(pixels), None)
    for index in candidates.tolist():
        squared[index] = _squared_on_ground(pixels[index], axes[index], share)
    numbers = np.flatnonzero(~shapely.is_missing(squared))
    if not len(numbers):
        return Regularized(outlines, np.zeros(len(pixels), bool))
    reach = shapely.buffer(pixels[numbers], REACH_PX)
    numbers = numbers[shapely.covers(reach, squared[numbers])]
    placing = _Placing(pixels, outlines, eligible)
    # In what order polygons come depends on the tiles of a run, where they lie does not.
    bounds, area = shapely.bounds(pixels).tolist(), shapely.area(pixels).tolist()
    for number in sorted(numbers.tolist(), key=lambda number: (-area[number], bounds[number])):
        placing.place(number, squared[number], share)
    return placing.final_result()


def _squared_on_ground(polygon: Polygon, axes: NDArray[np.float64], share: float) -> Polygon | None:
    """A polygon in grid pixels, squared where its angles are those of the ground."""
    lengths = np.linalg.norm(axes, axis=0)
    if not np.isfinite(axes).all() or abs(np.linalg.det(axes)) < 1e-3 * lengths.max() ** 2:
        return None  # Near a pole, a pixel has no shape.
    # Numbers stay small, and a pixel's longer side becomes 1. Without the last digits, which
    # processors round otherwise, points as far from a line as others stay so.
    origin = shapely.get_coordinates(polygon).min(axis=0)
    to_ground = np.round(axes.T / lengths.max(), 9)
    # Where a ring begins depends on the tiles that its ground lay in.
    on_ground = shapely.normalize(shapely.transform(polygon, lambda xy: (xy - origin) @ to_ground))
    squared = right_angled_polygon(on_ground, share)
    if squared is None:
        return None
    to_pixels = np.linalg.inv(to_ground)
    in_pixels: Polygon = shapely.transform(squared, lambda xy: xy @ to_pixels + origin)
    return in_pixels if in_pixels.is_valid else None


def _sharing(pixels: NDArray[np.object_]) -> dict[int, list[int]]:
    """Of pixel polygons those that share edges with others, and with which."""
    steps = unit_steps(pixels)
    key, polygon = edge_keys(steps).edge, steps.polygon_of_ring[steps.ring]
    order = np.argsort(key, kind="stable")
    is_shared = key[order[1:]] == key[order[:-1]]
    pairs = np.column_stack([polygon[order[1:]], polygon[order[:-1]]])[is_shared]
    sharing: dict[int, list[int]] = {}
    for number, other in np.unique(np.vstack([pairs, pairs[:, ::-1]]), axis=0).tolist():
        sharing.setdefault(number, []).append(other)
    return sharing


def _clipped_part(polygon: Polygon, bounds: tuple[float, float, float, float]) -> BaseGeometry:
    """The part of a polygon, which may be large, in a rectangle."""
    part = shapely.clip_by_rect(polygon, *bounds)
    return part if part.is_valid else shapely.intersection(polygon, shapely.box(*bounds))


class _Placing:
    """Squared polygons that are put among their neighbours, one after the other.

    What a polygon shares an edge with yields to it, and takes over what it leaves, unless that may
    be squared too: then their common wall stays. Where neither is possible, and where it would
    overlap others, the polygon keeps its outline.

    Args:
        pixels: As for `regularized_outlines`.
        outlines: Likewise.
        eligible: Likewise.
    """

    def __init__(
        self,
        pixels: NDArray[np.object_],
        outlines: NDArray[np.object_],
        eligible: NDArray[np.bool_],
    ) -> None:
        self._pixels, self._outlines, self._eligible = pixels, outlines, eligible
        self._result: NDArray[np.object_] = outlines.copy()
        self._is_squared = np.zeros(len(pixels), bool)
        self._tree = shapely.STRtree(pixels)
        self._sharing = _sharing(pixels)
        self._given: dict[int, dict[int, BaseGeometry]] = {}

    def place(self, number: int, squared: Polygon, share: float) -> None:
        """Takes a squared polygon instead of an outline, if its neighbours allow it."""
        near = self._tree.query(squared, "dwithin", 2 * REACH_PX)
        near = near[near != number]
        sharing = np.array(self._sharing.get(number, []), np.intp)
        walls = sharing[self._eligible[sharing]]
        if len(walls):
            polygon = _with_shared_walls(
                squared, self._outlines[number], shapely.union_all(self._result[walls])
            )
            if polygon is None or max(changed_shares(polygon, self._pixels[number])) > share:
                return
            squared = polygon
        yielding = sharing[~self._eligible[sharing]]
        others = np.setdiff1d(near, yielding)
        # What others left was given away, and they may have to be taken back.
        occupied = np.concatenate([self._result[others], self._outlines[others]])
        if (shapely.area(shapely.intersection(occupied, squared)) > _OVERLAP_PX).any():
            return
        grounds = self._ground_given(number, squared, yielding.tolist())
        if grounds is None:
            return
        for other, ground in grounds.items():
            self._given.setdefault(other, {})[number] = ground
        self._result[number], self._is_squared[number] = squared, True

    def final_result(self) -> Regularized:
        """All outlines, those that yielded too."""
        yielded: dict[int, Polygon | None] = {}
        # One that yields to several may fall into parts that it did not with each of them.
        while (
            None
            in (yielded := {other: self._yielded_outline(other) for other in self._given}).values()
        ):
            for other in [other for other, outline in yielded.items() if outline is None]:
                self._take_back(set(self._given.get(other, {})))
        for other, outline in yielded.items():
            self._result[other] = outline
        return Regularized(self._result, self._is_squared)

    def _yielded_outline(self, other: int) -> Polygon | None:
        """What is left of a polygon, and what it took over; None where it falls into parts."""
        grounds = self._given[other]
        union = shapely.union_all([self._outlines[other], *grounds.values()])
        rest = shapely.difference(union, shapely.union_all(self._result[list(grounds)]))
        return _main_part(shapely.set_precision(rest, _GRID_PX), self._outlines[other])

    def _take_back(self, numbers: set[int]) -> None:
        """Leaves some polygons as they were."""
        for number in numbers:
            self._result[number], self._is_squared[number] = self._outlines[number], False
        remaining = {
            other: {number: ground for number, ground in grounds.items() if number not in numbers}
            for other, grounds in self._given.items()
        }
        self._given = {other: grounds for other, grounds in remaining.items() if grounds}

    def _ground_given(
        self, number: int, squared: Polygon, yielding: list[int]
    ) -> dict[int, BaseGeometry] | None:
        """What each neighbour takes over; None where one of them would fall into parts."""
        outline = self._outlines[number]
        corners = np.array(shapely.union(outline, squared).bounds)
        bounds = tuple((corners + REACH_PX * np.array([-1, -1, 1, 1])).tolist())
        near = {other: _clipped_part(self._outlines[other], bounds) for other in yielding}
        # Borders are the same but for rounding.
        margins = {other: shapely.buffer(part, _NEAR_PX) for other, part in near.items()}
        grounds: dict[int, BaseGeometry] = {other: Polygon() for other in yielding}
        # Each piece goes to the one that it has the longest border with.
        for piece in shapely.get_parts(shapely.difference(outline, squared)):
            border = shapely.boundary(piece)
            lengths = {
                other: shapely.intersection(border, margin).length
                for other, margin in margins.items()
            }
            other = max(yielding, key=lengths.__getitem__, default=-1)
            if lengths.get(other, 0) <= 10 * _NEAR_PX:
                continue
            grounds[other] = shapely.union(grounds[other], piece)
        for other, part in near.items():
            rest = shapely.difference(shapely.union(part, grounds[other]), squared)
            pieces = shapely.area(shapely.get_parts(rest))
            reach = shapely.buffer(part, REACH_PX - _SMOOTHED_PX)
            if (pieces > _LEAST_PIECE_PX).sum() > shapely.get_num_geometries(part):
                return None
            if not shapely.covers(reach, grounds[other]):
                return None
        return grounds


def _main_part(geometry: BaseGeometry, former: Polygon) -> Polygon | None:
    """The polygon that is left of a former one; None where it fell into parts."""
    parts = shapely.get_parts(geometry)
    parts = parts[shapely.area(shapely.intersection(parts, former)) > _OVERLAP_PX]
    if len(parts) != 1 or not isinstance(parts[0], Polygon) or not parts[0].is_valid:
        return None
    return parts[0]


def _with_shared_walls(
    squared: Polygon, outline: Polygon, neighbours: BaseGeometry
) -> Polygon | None:
    """A squared polygon that meets its neighbours where the outline did; None where it breaks."""
    gaps = shapely.get_parts(
        shapely.intersection(
            shapely.difference(outline, squared), shapely.buffer(neighbours, _WALL_PX)
        )
    )
    meets = shapely.length(
        shapely.intersection(shapely.boundary(neighbours), shapely.boundary(gaps))
    )
    gaps = gaps[(shapely.get_dimensions(gaps) == 2) & (meets > 0)]
    polygon = shapely.union_all([shapely.difference(squared, neighbours), *gaps])
    polygon = shapely.set_precision(polygon, _GRID_PX)
    return polygon if isinstance(polygon, Polygon) and polygon.is_valid else None
