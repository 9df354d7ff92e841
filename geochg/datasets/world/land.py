"""What covers the ground at one date, which a model may learn beside what changed."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from geochg.datasets.world.kinds import GROUPS, ByteArray
from geochg.datasets.world.light import Sun
from geochg.datasets.world.plan import MARGIN_PX, Plan
from geochg.datasets.world.roofs import outline
from geochg.datasets.world.shapes import flat, stroke

LAND = ("low", "wood", "water", "bare", "paved", "building")
"""Cover by the index that `land` holds; `low` is crops, grass and scrub, with or without plants."""

LOW, WOOD, WATER, BARE, PAVED, BUILT = range(len(LAND))

UNKNOWN = 255
"""Where nobody knows, as on real ground."""

_OF_GROUP = {
    "low": LOW,
    "dry": BARE,
    "wood": WOOD,
    "water": WATER,
    "worked": BARE,
    "cut": BARE,
    "burnt": BARE,
    "paved": PAVED,
    "built": BUILT,
    "garden": UNKNOWN,
}


def land(plan: Plan, after: bool, light: Sun, drawn_ground: bool = True) -> ByteArray:
    """The cover of each pixel, `(picture, picture)` uint8 index into `LAND`, or `UNKNOWN`.

    Args:
        plan: Both dates.
        after: Whether it is the second date.
        light: Of that date; roofs are where their lean shows them.
        drawn_ground: False where the ground is real, and only what was drawn on it is known.
    """
    covers = _parcels(plan, after) if drawn_ground else np.full(_shape(plan), UNKNOWN, np.uint8)
    for area in plan.areas:
        kind = area.after if after else area.before
        if kind is not None:
            covers[area.cover > 0.5] = _OF_GROUP[GROUPS[kind]]
    sheet = Image.fromarray(covers)
    draw = ImageDraw.Draw(sheet)
    for road in plan.roads:
        if road.after if after else road.before:
            old = not after and road.old_width is not None
            stroke(draw, road.points, (road.old_width or 0) if old else road.width, PAVED, 1)
    _trees(draw, plan, after)
    for one in plan.buildings:
        if one.after if after else one.before:
            for polygon in outline(one, light):
                draw.polygon(flat(polygon, 1), fill=BUILT)
    return np.asarray(sheet)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def _parcels(plan: Plan, after: bool) -> ByteArray:
    kinds = plan.parcels.after if after else plan.parcels.before
    return np.array([_OF_GROUP[GROUPS[kind]] for kind in kinds], np.uint8)[plan.parcels.labels]


def _shape(plan: Plan) -> tuple[int, int]:
    return plan.frame.size_px, plan.frame.size_px


def _trees(draw: ImageDraw.ImageDraw, plan: Plan, after: bool) -> None:
    trees = plan.trees
    for index in np.flatnonzero(trees.after if after else trees.before).tolist():
        x, y, radius = (float(v[index]) for v in (trees.x, trees.y, trees.radius))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=WOOD)
