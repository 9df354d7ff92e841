"""Whether a model sees anything: one that is blind finds every place unchanged.

Damaged weights and settings need not give numbers that are none. Where the vision part makes the
same of all pictures, no number is wrong, and every answer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from geochg.errors import ModelError
from geochg.models.images import rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import Tile

    Pictures = Sequence[NDArray[np.floating]] | NDArray[np.floating]

CLEARLY = 0.03
"""Pictures whose pixels differ by more than this on the average, of -1 to 1, look different."""

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


def pictures_of(tiles: Sequence[Tile]) -> tuple[Pictures, Pictures]:
    """Both dates of some tiles from -1 to 1, for models that are shown them as they are."""
    before, after = (
        [rgb(getattr(tile, date)).astype(np.float32) / 127.5 - 1 for tile in tiles]
        for date in ("before", "after")
    )
    return before, after


def refuse_blind(shown: tuple[Pictures, Pictures], seen: tuple[Pictures, Pictures]) -> None:
    """Refuses a model that makes the same of both dates of a tile where it is shown two pictures.

    Where each date is stretched by itself, unlike dates can be shown as one picture.

    Args:
        shown: Of each date an array a tile, as the vision part takes it, about -1 to 1.
        seen: Of each date an array a tile, what it makes of it.

    Raises:
        ModelError: If it does.
    """
    for first, second, before, after in zip(*seen, *shown, strict=True):
        if np.array_equal(first, second) and np.abs(after - before).mean() > CLEARLY:
            raise _blind()


def _blind() -> ModelError:
    return ModelError(
        "the model makes the same of unlike pictures: it sees nothing",
        "its weights or settings are damaged: use another model",
    )
