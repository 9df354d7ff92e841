"""Masks and counts of what changed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from geochg.datasets.telling.contours import contours
from geochg.datasets.world.kinds import (
    ALTERED,
    APPEARED,
    BUILDING,
    DISAPPEARED,
    NO_MARK,
    ROAD,
    VEGETATION,
    ByteArray,
    Mark,
    transition,
)
from geochg.datasets.world.light import Sun
from geochg.datasets.world.plan import MARGIN_PX, Area, Building, Plan, Road
from geochg.datasets.world.roofs import outline
from geochg.datasets.world.shapes import flat, stroke

LEAST_PX = 6
"""Smaller pieces of a mask are left out of it and of counts."""


class Masks(NamedTuple):
    """Class and direction index of each pixel, both `(picture, picture)` uint8; 0 is no change."""

    classes: ByteArray
    directions: ByteArray


def masks(plan: Plan, lights: tuple[Sun, Sun]) -> Masks:
    """What changed, drawn from the ground up, so that what lies on top decides.

    Args:
        plan: Both dates.
        lights: Of the two dates; roofs are marked where their lean shows them.
    """
    code = _parcels(plan)
    for area in plan.areas:
        _area(code, area)
    sheet = Image.fromarray(code)
    draw = ImageDraw.Draw(sheet)
    _trees(draw, plan)
    for road in plan.roads:
        _road(draw, road)
    for one in sorted(plan.buildings, key=lambda b: b.before != b.after):
        _building(draw, one, lights)
    code = _cleaned(np.asarray(sheet)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX])
    return Masks(code // 4, code % 4)


def _code(mark: Mark) -> int:
    return 4 * mark.class_index + mark.direction_index


def _parcels(plan: Plan) -> ByteArray:
    parcels = plan.parcels
    codes = [
        _code(transition(before, after))
        for before, after in zip(parcels.before, parcels.after, strict=True)
    ]
    return np.array(codes, np.uint8)[parcels.labels]


def _area(code: ByteArray, area: Area) -> None:
    inside = area.cover > 0.5
    if area.mark is not None:
        code[inside] = _code(area.mark)
    elif area.before is not None and area.after is not None:
        code[inside] = _code(transition(area.before, area.after))


def _trees(draw: ImageDraw.ImageDraw, plan: Plan) -> None:
    trees = plan.trees
    for index in np.flatnonzero(trees.marked & (trees.before != trees.after)).tolist():
        x, y, radius = (float(v[index]) for v in (trees.x, trees.y, trees.radius))
        mark = Mark(VEGETATION, APPEARED if trees.after[index] else DISAPPEARED)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_code(mark))


def _road(draw: ImageDraw.ImageDraw, road: Road) -> None:
    if road.before and road.after:
        if road.old_width is not None:
            stroke(draw, road.points, road.width, _code(Mark(ROAD, ALTERED)), 1)
        else:
            stroke(draw, road.points, road.width, 0, 1)
    elif road.before != road.after:
        mark = Mark(ROAD, APPEARED if road.after else DISAPPEARED)
        stroke(draw, road.points, road.width, _code(mark), 1)


def _building(draw: ImageDraw.ImageDraw, one: Building, lights: tuple[Sun, Sun]) -> None:
    if not (one.before or one.after):
        return
    mark = NO_MARK
    if one.before != one.after:
        mark = Mark(BUILDING, APPEARED if one.after else DISAPPEARED)
    if one.altered:
        mark = Mark(BUILDING, ALTERED)
    for polygon in outline(one, lights[int(one.after)]):
        draw.polygon(flat(polygon, 1), fill=_code(mark))


def _cleaned(code: ByteArray) -> ByteArray:
    """The codes without pieces of a few pixels."""
    cleaned = code.copy()
    for value in np.unique(code):
        if value:
            labels, count = ndimage.label(code == value, np.ones((3, 3)))
            small = np.bincount(labels.ravel(), minlength=count + 1) < LEAST_PX
            small[0] = False
            cleaned[small[labels]] = 0
    return cleaned


def count(mask: np.ndarray) -> int:
    """Number of external contours of a boolean mask (pieces inside holes of others left out)."""
    return contours(mask, LEAST_PX)
