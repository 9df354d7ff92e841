"""Towns of the 10 m family that are cut into lots by a square street grid."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geochg.datasets.world.climate import SURFACES, colour
from geochg.datasets.world.kinds import ByteArray, FloatArray
from geochg.datasets.world.noise import blobs
from geochg.datasets.world.plan import Frame, Parcels, Plan, Road
from geochg.datasets.world.settings import Draft
from geochg.datasets.world.shapes import coordinates, curve

MOST_LOTS = 225
"""Of the 255 pieces that labels can number; events need some of their own."""

MOST_BLOCKS = 12
"""Blocks along a side of the canvas."""

VACANT_DRY = {"desert": 6.0, "soil": 3.0, "scrub": 0.5}
VACANT_GREEN = {"grass": 3.0, "crop": 2.0, "scrub": 1.5, "soil": 2.0, "forest": 0.6}
"""What vacant lots hold in dry and in green climates, with weights."""

DRY_CLIMATES = frozenset({"desert", "red_soil", "mediterranean"})

STYLES = {
    "suburbs": {"town": 8.0, "sparse": 0.6, "tarmac": 0.5, "lawn": 0.5, "groundwork": 0.15},
    "gardens": {"sparse": 6.0, "town": 1.0, "lawn": 0.4, "soil": 0.3},
    "centre": {"dense": 6.0, "town": 3.0, "tarmac": 0.5, "concrete": 0.6, "lawn": 0.5},
    "trade": {"tarmac": 3.0, "dense": 1.5, "concrete": 1.5, "groundwork": 0.6, "town": 1.0},
}
"""What the built lots of a town hold, with weights."""


def lots(
    rng: np.random.Generator, frame: Frame, angle: float, block_px: float, least_px: float
) -> ByteArray:
    """Rectangles within rectangles, as surveyors cut land.

    Args:
        rng: Draws the cuts.
        frame: The canvas.
        angle: Direction of the streets.
        block_px: Side of the largest ones; more where there would be far too many of them.
        least_px: About the shortest side.

    Returns:
        `(size, size)` uint8 number of the lot, below `MOST_LOTS`.
    """
    side = int(frame.size_px * 1.45) + 2
    sheet = np.zeros((side, side), np.int64)
    stop, number = float(rng.uniform(0.08, 0.3)), 0
    block_px = max(block_px, frame.size_px / MOST_BLOCKS)
    rows, cols = (_ticks(rng, side, block_px) for _ in range(2))
    waiting = [
        (top, left, low, right) for top, low in pairwise(rows) for left, right in pairwise(cols)
    ]
    while waiting:
        top, left, low, right = waiting.pop(int(rng.integers(len(waiting))))
        tall, wide = low - top, right - left
        if max(tall, wide) < 2 * least_px or number + len(waiting) > 420 or rng.random() < stop:
            sheet[top:low, left:right] = number
            number += 1
            continue
        share = float(rng.choice((0.5, 0.5, 0.33, 0.67)))
        if tall > wide:
            cut = top + round(tall * share)
            waiting += [(top, left, cut, right), (cut, left, low, right)]
        else:
            cut = left + round(wide * share)
            waiting += [(top, left, low, cut), (top, cut, low, right)]
    along, across = coordinates(frame.size_px, angle)
    found = sheet[(across + side / 2).astype(np.intp), (along + side / 2).astype(np.intp)]
    return _numbered(found)


def _numbered(found: NDArray[np.int64]) -> ByteArray:
    """Lots numbered from 0; the smallest of too many go to their neighbours."""
    sizes = np.bincount(found.ravel())
    kept = np.sort(np.argsort(-sizes, kind="stable")[: min(np.count_nonzero(sizes), MOST_LOTS)])
    numbers = np.full(len(sizes), MOST_LOTS, np.uint8)
    numbers[kept] = np.arange(len(kept))
    labels = numbers[found]
    lost = labels == MOST_LOTS
    if lost.any():
        nearest = ndimage.distance_transform_edt(lost, return_distances=False, return_indices=True)
        labels = labels[tuple(nearest)]
    return labels


def _ticks(rng: np.random.Generator, side: int, mean_px: float) -> list[int]:
    """Places of the main streets; all as far apart, but for a few."""
    steps = mean_px * rng.choice((0.5, 1.0, 1.0, 1.0, 1.5), int(2 * side / mean_px) + 2)
    places = (np.cumsum(steps) - float(rng.uniform(0, mean_px))).astype(int)
    return [0, *(int(p) for p in places if 4 < p < side - 4), side]


def means(labels: ByteArray, field: FloatArray) -> NDArray[np.float64]:
    """`(n,)` mean of a field over each piece."""
    total = np.bincount(labels.ravel(), field.ravel())
    return total / np.maximum(np.bincount(labels.ravel()), 1)


def place(draft: Draft, style: str, built_share: float) -> Plan:
    """A town all over the canvas, with vacant lots among the built ones.

    Args:
        draft: The canvas and what draws; streets may turn its angle.
        style: Name in `STYLES`.
        built_share: Share of the lots that is built, 0-1.
    """
    rng, frame = draft.rng, draft.frame
    if rng.random() < 0.6:
        draft.angle = float(rng.normal(0, 0.02))
    block_px = min(frame.px(float(rng.choice((400, 800, 800, 1200)))), frame.size_px / 2.5)
    least_px = float(rng.uniform(6, 14))
    labels = lots(rng, frame, draft.angle, max(block_px, 24), least_px)
    density = means(labels, blobs(rng, frame.size_px, float(rng.uniform(40, 128))))
    density += float(rng.uniform(0.2, 1.2)) * rng.standard_normal(len(density))
    built = density >= np.quantile(density, 1 - built_share)
    dry = draft.climate_name in DRY_CLIMATES
    vacant = VACANT_DRY if dry and rng.random() < 0.85 else VACANT_GREEN
    if rng.random() < 0.5:
        vacant = dict.fromkeys([str(rng.choice(list(vacant)[:2]))], 1.0)
    kinds = tuple(_kind(rng, STYLES[style] if there else vacant) for there in built)
    border = float(rng.uniform(0.8, 2.6))
    angles = np.full(len(kinds), draft.angle)
    plan = draft.plan("coarse", Parcels(labels, kinds, kinds, angles, border))
    return replace(plan, roads=_mains(draft))


def _kind(rng: np.random.Generator, weights: dict[str, float]) -> str:
    share = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(share), p=share / share.sum()))]


def _mains(draft: Draft) -> tuple[Road, ...]:
    """Main roads along the grid, and sometimes one that keeps to no grid."""
    rng, frame = draft.rng, draft.frame
    rgb = colour(rng, SURFACES["asphalt"])
    dark = float(rng.uniform(0.5, 0.95))
    rgb = (rgb[0] * dark, rgb[1] * dark, rgb[2] * dark)
    found = []
    for _ in range(int(rng.integers(1, 5))):
        x, y = (float(v) for v in rng.uniform(0.05, 0.95, 2) * frame.size_px)
        free = rng.random() < 0.2
        angle = float(rng.uniform(0, np.pi)) if free else draft.angle
        angle += np.pi / 2 * int(rng.integers(2))
        line = curve(rng, frame, (x, y), angle, float(rng.choice((4, 14))) if free else 0.0)
        found.append(Road(line, float(rng.uniform(0.9, 2.6)), "asphalt", rgb))
    return tuple(found)
