"""What is asked of a pair and of its tiles before they are encoded."""

import math

import numpy as np

from geochg.records import PairFacts, Tile, TileFailure


def resolution_of(facts: PairFacts) -> float | None:
    """Side of a pixel on the ground; None for images without georeference."""
    area_m2 = facts.pixel_area_m2
    return math.sqrt(area_m2) if math.isfinite(area_m2) and area_m2 > 0 else None


def tile_failure(tile: Tile) -> TileFailure | None:
    """Why a tile cannot be answered; None when it can."""
    if all(np.issubdtype(date.dtype, np.integer) for date in (tile.before, tile.after)):
        return None
    bad = ~(np.isfinite(tile.before).all(axis=0) & np.isfinite(tile.after).all(axis=0))
    bad_px = int(np.count_nonzero(bad & tile.valid))
    return (
        TileFailure(tile.window, f"{bad_px} valid pixels are not finite numbers")
        if bad_px
        else None
    )
