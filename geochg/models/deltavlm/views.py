"""Sizes of the two views of a tile, and of their padding."""

from math import ceil

from geochg.models.deltavlm.runtime.vision_output import SIDE_MULTIPLE_PX

HALF = 0.5
"""Size of the second view beside the first."""


def view_sides(
    shape: tuple[int, ...], zoom: float, *, half: bool
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The size at which a tile is shown in a view, and the size to which that is padded.

    Args:
        shape: Rows and columns of the tile.
        zoom: Size of the full view, relative to the tile.
        half: Whether the view is the one of half the size.

    Returns:
        Rows and columns that are shown, and rows and columns with the padding, in pixels.
    """
    size = view_zoom(zoom, half=half)
    rows, cols = (max(1, round(side * size)) for side in shape)
    # Rounded sides can be a pixel short: the full view is padded until it covers the tile, the
    # other until it covers half of the padded full view.
    padded_rows, padded_cols = (_whole_strides(side * zoom) for side in shape)
    if half:
        padded_rows, padded_cols = (_whole_strides(s * HALF) for s in (padded_rows, padded_cols))
    return (rows, cols), (padded_rows, padded_cols)


def view_zoom(zoom: float, *, half: bool) -> float:
    """Size of a view relative to the tile, where `zoom` is that of the full view."""
    return zoom * HALF if half else zoom


def _whole_strides(side_px: float) -> int:
    """The least multiple of `SIDE_MULTIPLE_PX` that is no less than a side."""
    return ceil(side_px / SIDE_MULTIPLE_PX) * SIDE_MULTIPLE_PX


def view_margins(shown_sides: tuple[int, int], padded: tuple[int, int]) -> list[tuple[int, int]]:
    """What `np.pad` adds along rows and columns."""
    return [(0, new - old) for old, new in zip(shown_sides, padded, strict=True)]
