"""Tiles that both dates show alike, such as those of a mosaic that was renewed elsewhere.

Such a tile needs no network to be called unchanged, unless cloud, shadow or snow may hide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.models.deltavlm.detector import ColorRange, Scene
    from geochg.records import Tile

CELL_PX = 4
"""Side of the cells whose means are compared: noise of sensors and compression is evened out."""

MOST_DIFFERENCE = 0.03
"""Greatest difference of a cell's mean between the dates, as a share of the range of the scene's
colours. No tile of two real dates is so alike, labelled or quiet; those of one image with noise are
(`benchmarks/first_look.py`)."""

MOST_HIDDEN = 0.01
"""Greatest share of the surveyed ground that is not seen. It is the share of pixels beyond either
end of the range of the scene's colours: where more is cloud, that range holds clouds."""

MOST_BEYOND = 0.02
"""Greatest share of a tile beyond one end of that range in all colours."""


def needs_no_network(tile: Tile, scene: Scene) -> bool:
    """Whether a tile is sure to be seen and unchanged: alike, and of colours that were surveyed.

    Args:
        tile: The tile.
        scene: The survey of the pair.
    """
    return (
        scene.hidden_share <= MOST_HIDDEN
        and dates_are_alike(tile, scene.ranges)
        and not _is_beyond(tile, scene.ranges[0])
    )


def _is_beyond(tile: Tile, colors: ColorRange) -> bool:
    """Whether a tile has much that is brighter, or darker, than the scene: clouds or shadows."""
    low, high = colors.low[:, None, None], colors.high[:, None, None]
    beyond_px = (
        np.count_nonzero(beyond.all(axis=0) & tile.valid)
        for beyond in (tile.before > high, tile.before < low)
    )
    return bool(max(beyond_px) > MOST_BEYOND * np.count_nonzero(tile.valid))


def dates_are_alike(tile: Tile, ranges: tuple[ColorRange, ColorRange]) -> bool:
    """Whether no cell of a tile differs between the dates by more than noise.

    Args:
        tile: The tile.
        ranges: Range of the colours of each date in the scene.
    """
    range_of_colors = np.minimum(*(colors.high - colors.low for colors in ranges))
    before, after = (_cell_means(image) for image in (tile.before, tile.after))
    difference = (np.abs(after - before) / range_of_colors[:, None, None]).max(axis=0)
    difference[~_any_in_cells(tile.valid)] = 0
    return bool(difference.max() <= MOST_DIFFERENCE)


def _cell_means(image: NDArray[Any]) -> NDArray[np.float32]:
    """`(bands, cell rows, cell columns)`: means of the cells, those at the edges padded."""
    padded = _padded(image)
    parts = [
        padded[:, row::CELL_PX, col::CELL_PX] for row in range(CELL_PX) for col in range(CELL_PX)
    ]
    total = np.zeros(parts[0].shape, np.float32)
    for part in parts:
        total += part
    total /= len(parts)
    return total


def _any_in_cells(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`(cell rows, cell columns)`: whether any pixel of a cell is true."""
    is_any: NDArray[np.bool_] = _cell_means(mask[None])[0] > 0
    return is_any


def _padded(image: NDArray[Any]) -> NDArray[Any]:
    margins = [(0, -side % CELL_PX) for side in image.shape[-2:]]
    return np.pad(image, ((0, 0), *margins), mode="edge") if np.any(margins) else image
