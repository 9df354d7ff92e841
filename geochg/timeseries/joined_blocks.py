"""Neighbouring blocks that left their usual course at the same time, joined to one feature."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geochg.geometry.pieces import number_groups
from geochg.geometry.polygonize import piece_polygons
from geochg.geometry.polygons_only import polygon_part
from geochg.records import PixelWindow
from geochg.timeseries.place_table import PlaceTable
from geochg.timeseries.places import Blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray


def joined_blocks(table: PlaceTable, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Labels of the features that blocks make.

    Blocks that share an edge are joined while there is an interval between two dates in which all
    of a feature may have changed: where clouds hid one of them longer, its interval is wider.

    Args:
        table: What became of the blocks, row by row of the lattice.
        shape: Rows and columns of blocks.

    Returns:
        `(rows, columns)` int32 labels from 1, 0 where nothing broke; in order of first blocks.
    """
    labels = np.zeros(shape, np.int32)
    blocks = np.flatnonzero(table.is_broken)
    if not len(blocks):
        return labels
    left, right = _neighbours(table.is_broken.reshape(shape))
    intervals = np.stack([table.last_on, table.first_off])[:, blocks]
    is_same = (intervals[:, left] == intervals[:, right]).all(axis=0)
    piece = number_groups(left[is_same], right[is_same], len(blocks))
    piece_intervals = np.zeros((2, piece.max() + 1), np.intp)
    piece_intervals[:, piece] = intervals
    pairs = Counter(
        (min(pair), max(pair))
        for pair in zip(piece[left].tolist(), piece[right].tolist(), strict=True)
        if pair[0] != pair[1]
    )
    group = _joined_pieces(piece_intervals, pairs)
    # Numbered anew in order of first blocks.
    _, first, number = np.unique(group[piece], return_index=True, return_inverse=True)
    labels.ravel()[blocks] = np.argsort(np.argsort(first))[number] + 1
    return labels


def block_polygons(labels: NDArray[np.int32], blocks: Blocks) -> NDArray[np.object_]:
    """The polygons of labelled features in pixels of the grid, cut to grid and area."""
    height_px, width_px = blocks.grid.shape
    polygons = piece_polygons(labels, PixelWindow.whole(labels.shape))
    polygons = shapely.transform(
        polygons, lambda xy: np.minimum(xy * blocks.side_px, (width_px, height_px))
    )
    if blocks.area is None:
        return polygons
    cut_polygons = shapely.intersection(polygons, blocks.area.polygon)
    return np.array([polygon_part(polygon) for polygon in cut_polygons], dtype=object)


def _neighbours(is_broken: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of broken blocks that share an edge, as numbers among the broken ones."""
    number = np.cumsum(is_broken.ravel()).reshape(is_broken.shape) - 1
    sides = ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:]))
    flags = (is_broken[:, :-1] & is_broken[:, 1:], is_broken[:-1] & is_broken[1:])
    left, right = (
        np.concatenate([pair[end][flag] for pair, flag in zip(sides, flags, strict=True)])
        for end in (0, 1)
    )
    return left, right


def _joined_pieces(
    intervals: NDArray[np.intp], pairs: Counter[tuple[int, int]]
) -> NDArray[np.intp]:
    """The group of each piece: those with the longest common borders are joined first."""
    root = list(range(intervals.shape[1]))
    last_on, first_off = intervals[0].tolist(), intervals[1].tolist()

    def root_of(piece: int) -> int:
        while root[piece] != piece:
            root[piece] = root[root[piece]]
            piece = root[piece]
        return piece

    for (first, second), _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        low, high = sorted((root_of(first), root_of(second)))
        start, end = max(last_on[low], last_on[high]), min(first_off[low], first_off[high])
        if low != high and start < end:
            root[high], last_on[low], first_off[low] = low, start, end
    return np.array([root_of(piece) for piece in range(len(root))])
