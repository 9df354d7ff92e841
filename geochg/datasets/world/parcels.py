"""The ground cut into fields, plots and blocks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.world.kinds import ByteArray, FloatArray
from geochg.datasets.world.noise import blobs
from geochg.datasets.world.plan import Frame, Parcels
from geochg.datasets.world.shapes import coordinates

MOST_PARCELS = 140


def whole(frame: Frame, kind: str) -> Parcels:
    """One piece of one kind."""
    labels = np.zeros((frame.size_px, frame.size_px), np.uint8)
    return Parcels(labels, (kind,), (kind,), np.zeros(1), 0.0)


def bricks(
    rng: np.random.Generator,
    frame: Frame,
    weights: Mapping[str, float],
    angle: float,
    size_px: tuple[float, float],
    warp_px: float,
    within: NDArray[np.bool_] | None = None,
) -> Parcels:
    """Rows of rectangular pieces, cut at random places, bent a little.

    Args:
        rng: Draws the cuts and the kinds.
        frame: The canvas.
        weights: Weight of each kind.
        angle: Direction of the rows.
        size_px: Mean length and width of a piece.
        warp_px: How far borders bend.
        within: Where pieces are wanted; all that lies elsewhere is the first piece.
    """
    along, across = _bent(rng, frame, angle, warp_px)
    reach = frame.size_px * 0.75 + 2 * warp_px
    bands = _cuts(rng, reach, size_px[1])
    band = np.searchsorted(bands, across.ravel()).reshape(across.shape)
    labels = np.zeros(across.shape, np.int64)
    start = 0
    for number in np.unique(band):
        cuts = _cuts(rng, reach, size_px[0])
        row = band == number
        labels[row] = start + np.searchsorted(cuts, along[row])
        start += len(cuts) + 1
    if within is not None:
        labels = np.where(within, labels + 1, 0)
    return _named(rng, labels, weights, angle)


def cells(
    rng: np.random.Generator,
    frame: Frame,
    weights: Mapping[str, float],
    size_px: float,
    warp_px: float,
) -> Parcels:
    """Pieces round random centres: irregular fields."""
    count = int(min(max((frame.size_px / size_px) ** 2 * 1.6, 2), 40))
    angle = float(rng.uniform(0, np.pi))
    along, across = _bent(rng, frame, angle, warp_px)
    stretch = np.float32(rng.uniform(1.0, 2.2))
    reach = frame.size_px * 0.75
    best = np.full(along.shape, np.inf, np.float32)
    labels = np.zeros(along.shape, np.int64)
    for number, (u, v) in enumerate(rng.uniform(-reach, reach, (count, 2)).astype(np.float32)):
        distance = (along - u) ** 2 + (stretch * (across - v)) ** 2
        nearer = distance < best
        labels[nearer] = number
        np.minimum(best, distance, out=best)
    return _named(rng, labels, weights, angle)


def _bent(
    rng: np.random.Generator, frame: Frame, angle: float, warp_px: float
) -> tuple[FloatArray, FloatArray]:
    along, across = coordinates(frame.size_px, angle)
    if warp_px > 0.3:
        along = along + np.float32(warp_px) * blobs(rng, frame.size_px, 90)
        across = across + np.float32(warp_px) * blobs(rng, frame.size_px, 90)
    return along, across


def _cuts(rng: np.random.Generator, reach: float, mean_px: float) -> NDArray[np.float64]:
    steps = mean_px * rng.uniform(0.55, 1.6, int(2.6 * reach / mean_px) + 2)
    cuts = np.cumsum(steps) - reach - float(rng.uniform(0, mean_px))
    return cuts[cuts < reach]


def _named(
    rng: np.random.Generator, labels: NDArray[np.int64], weights: Mapping[str, float], angle: float
) -> Parcels:
    used = np.bincount(labels.ravel()) > 0
    renumbered = np.minimum(np.cumsum(used) - 1, MOST_PARCELS - 1).astype(np.uint8)
    pieces, count = renumbered[labels], min(int(used.sum()), MOST_PARCELS)
    share = np.array(list(weights.values()))
    picks = rng.choice(len(share), count, p=share / share.sum())
    kinds = tuple(list(weights)[pick] for pick in picks)
    turns = np.where(rng.random(count) < 0.25, np.pi / 2, 0) + angle
    border = float(rng.random() ** 1.5)
    return Parcels(pieces, kinds, kinds, turns, border)


def sizes(parcels: Parcels) -> NDArray[np.int64]:
    """`(n,)` number of pixels of each piece."""
    return np.bincount(parcels.labels.ravel(), minlength=len(parcels.before))


def edges(labels: ByteArray) -> FloatArray:
    """1 on the pixels beside a border between pieces, else 0."""
    line = np.zeros(labels.shape, np.float32)
    line[:, 1:] += labels[:, 1:] != labels[:, :-1]
    line[1:] += labels[1:] != labels[:-1]
    return np.minimum(line, 1)
