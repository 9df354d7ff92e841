"""Morphology of masks: dilation and erosion, holes, and the distance to the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geochg.geometry.pieces import label_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dilated(
    mask: NDArray[np.bool_], steps: int = 1, *, square: bool = False, outside: bool = False
) -> NDArray[np.bool_]:
    """A mask grown by some pixels, as by `scipy.ndimage.binary_dilation`.

    Args:
        mask: `(height, width)` bool; either side may be 0.
        steps: Number of pixels (`iterations`); 0 gives the mask itself.
        square: Whether a pixel reaches its eight neighbours in a step (8-connectivity); else the
            four that share an edge with it (4-connectivity).
        outside: Whether all beyond the edge of the mask is set, at every step (`border_value`).

    Returns:
        `(height, width)` bool.
    """
    for _ in range(steps):
        padded = np.pad(mask, 1, constant_values=outside)
        row_reach = padded[:, 1:-1] | padded[:, :-2] | padded[:, 2:]
        above_and_below = row_reach if square else padded[:, 1:-1]
        mask = row_reach[1:-1] | above_and_below[:-2] | above_and_below[2:]
    return mask


def eroded(
    mask: NDArray[np.bool_], steps: int = 1, *, square: bool = False, outside: bool = False
) -> NDArray[np.bool_]:
    """A mask shrunk by some pixels, as by `scipy.ndimage.binary_erosion`.

    What is beyond the edge is not set unless `outside` says so: by default pixels at the edge go.

    Args:
        mask: `(height, width)` bool; either side may be 0.
        steps: Number of pixels; 0 gives an equal mask.
        square: As of `dilated`.
        outside: As of `dilated`.

    Returns:
        `(height, width)` bool.
    """
    return ~dilated(~mask, steps, square=square, outside=not outside)


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with all that it encloses, as by `scipy.ndimage.binary_fill_holes`.

    A hole is what no way leads out of that goes from pixel to pixel over shared edges
    (4-connectivity): a diagonal line of set pixels closes it, the edge of the mask does not.

    Args:
        mask: `(height, width)` bool; either side may be 0.

    Returns:
        `(height, width)` bool.
    """
    ground, _ = label_pieces(~np.pad(mask, 1))
    return np.asarray((ground != ground[0, 0])[1:-1, 1:-1])


def edge_distances(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of each set pixel to the nearest pixel that is not set, between centres.

    Exact, as `scipy.ndimage.distance_transform_edt` is. What is beyond the edge does not count.
    Takes time by the size of the mask and by its greatest depth.

    Args:
        mask: `(height, width)` bool, sides of 0 to 16,384 pixels.

    Returns:
        `(height, width)` float64 in pixels, 0 where nothing is set; twice the longer side
        everywhere in a mask that is all set, of which there is no distance to tell.
    """
    height, far = len(mask), 2 * max(mask.shape)
    rows = np.arange(height, dtype=np.int32)[:, None]
    above = rows - np.maximum.accumulate(np.where(mask, -far, rows), axis=0)
    below = np.minimum.accumulate(np.where(mask, height + far, rows)[::-1], axis=0)[::-1] - rows
    in_column = np.minimum(np.minimum(above, below), far) ** 2
    squares, offset = in_column.copy(), 1
    while offset**2 < squares.max(initial=0):
        candidates = in_column + np.int32(offset**2)
        for target, source in (
            (squares[:, offset:], candidates[:, :-offset]),
            (squares[:, :-offset], candidates[:, offset:]),
        ):
            np.minimum(target, source, out=target)
        offset += 1
    return np.asarray(np.sqrt(squares.astype(np.float64)))
