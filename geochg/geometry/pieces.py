"""Connected pieces: of pixels in a mask, and of things that are linked in pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_pieces(
    mask: NDArray[np.bool_], *, corners: bool = False
) -> tuple[NDArray[np.int32], int]:
    """Numbers the connected pieces of a mask, in order of each piece's first pixel, row by row.

    Gives what `scipy.ndimage.label` gives. The runs of set pixels within the rows are linked, of
    which there are far fewer than pixels.

    Args:
        mask: `(height, width)` bool; either side may be 0.
        corners: Whether pixels that touch at a corner hang together (8-connectivity); else only
            those that share an edge do (4-connectivity).

    Returns:
        `(height, width)` int32 labels from 1, 0 where nothing is set, and the number of pieces.
    """
    labels = np.zeros(mask.shape, np.int32)
    if not mask.any():
        return labels, 0
    stride = mask.shape[1] + 1
    # An empty column keeps the runs of a row apart from those of the next one.
    flat = np.zeros(mask.shape[0] * stride + 1, bool)
    flat[1:].reshape(-1, stride)[:, :-1] = mask
    start, end = np.flatnonzero(flat[1:] != flat[:-1]).reshape(-1, 2).T
    first = np.searchsorted(end, start - stride - corners, side="right")
    last = np.searchsorted(start, end - stride + corners, side="left")
    above = last - first
    lower_run = np.repeat(np.arange(len(start)), above)
    upper_run = np.arange(len(lower_run)) + np.repeat(first - np.cumsum(above) + above, above)
    number = number_groups(lower_run, upper_run, len(start))
    labels[mask] = np.repeat((number + 1).astype(np.int32), end - start)
    return labels, int(number.max()) + 1


def number_groups(
    left: NDArray[np.integer], right: NDArray[np.integer], count: int
) -> NDArray[np.int64]:
    """Numbers the groups of things that are linked, directly or through others.

    Groups as `scipy.sparse.csgraph.connected_components` does, for an undirected graph.

    Args:
        left: `(links,)` index of one end of each link, from 0, below `count`.
        right: `(links,)` index of the other end, likewise.
        count: Number of things; those without a link are groups of their own.

    Returns:
        `(count,)` int64 group of each thing, from 0 without gaps, in order of first members.

    Raises:
        IndexError: If a link names a thing that is not there.
    """
    # Each thing points at itself or at an earlier one of its group, in the end at the first.
    root = np.arange(count)
    while len(left):
        ends = np.stack((root[left], root[right]))
        is_open = ends[0] != ends[1]
        left, right, ends = left[is_open], right[is_open], ends[:, is_open]
        np.minimum.at(root, ends.max(axis=0), ends.min(axis=0))
        while not np.array_equal(next_root := root[root], root):
            root = next_root
    return np.asarray((np.cumsum(root == np.arange(count)) - 1)[root], np.int64)
