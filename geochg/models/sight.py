"""Whether a model sees anything: one that is blind finds every place unchanged.

Damaged weights and settings need not give numbers that are none. Where the vision part makes the
same of all pictures, no number is wrong, and every answer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from geochg.errors import ModelError
from geochg.models.pictures import rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import Tile

CLEARLY = 4.0
"""Pictures whose pixels differ by more than this on the average, of 255, look different."""

LEAST_DIFFERENCE = 1e-6
"""Of probabilities of unlike pictures, above what rounding makes."""


def unlike_pictures() -> list[NDArray[np.uint8]]:
    """Black, white and coloured noise, `(3, 64, 64)` each."""
    shape = (3, 64, 64)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return [np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), noise]


def refuse_same(probabilities: NDArray[np.floating]) -> None:
    """Refuses a model that gives the same for `unlike_pictures`.

    Args:
        probabilities: `(pictures, any)`; those that are no numbers are seen elsewhere.

    Raises:
        ModelError: If it does.
    """
    if np.ptp(probabilities, axis=0).max() < LEAST_DIFFERENCE:
        raise _blind()


def refuse_blind(
    tiles: Sequence[Tile], before: NDArray[np.floating], after: NDArray[np.floating]
) -> None:
    """Refuses a model that makes the same of both dates of a tile that clearly differ.

    Args:
        tiles: That were looked at.
        before: `(tiles, any)` what the vision part made of the first date.
        after: As `before`, of the second.

    Raises:
        ModelError: If it does.
    """
    for tile, first, second in zip(tiles, before, after, strict=True):
        if np.array_equal(first, second) and _differs_clearly(tile):
            raise _blind()


def _blind() -> ModelError:
    return ModelError(
        "the model makes the same of unlike pictures: it sees nothing",
        "its weights or settings are damaged: use another model",
    )


def _differs_clearly(tile: Tile) -> bool:
    if not tile.valid.any() or tile.before.dtype != np.uint8:
        return False
    dates = (rgb(date)[:, tile.valid].astype(np.int16) for date in (tile.before, tile.after))
    return bool(np.abs(np.subtract(*dates)).mean() > CLEARLY)
