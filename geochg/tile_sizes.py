"""Sizes and overlaps of tiles that make sense."""

from __future__ import annotations

from geochg.errors import OptionError

MOST_TILE_PX = 16_384
"""Largest tile: two of three bands of float32 take 6 GB."""

MOST_LOOKS = 16
"""Most tiles, in each direction, that may hold one pixel."""


def check_tiles(tile_size_px: int, overlap_px: int) -> None:
    """Raises an `OptionError` unless such tiles can cover a grid."""
    if tile_size_px <= 0:
        raise OptionError(f"tile size {tile_size_px} px", "it must be above zero")
    if not 0 <= overlap_px < tile_size_px:
        raise OptionError(
            f"overlap {overlap_px} px",
            f"it must be at least zero and below the tile size, {tile_size_px} px",
        )
