"""Refuses blind models, whose vision encoder gives the same output for all images.

Damaged weights and settings may give finite numbers. No number of a blind model is wrong, but every
answer is: it finds every tile unchanged.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geochg.errors import ModelError
from geochg.models.images import rgb
from geochg.records import Tile

Images = Sequence[NDArray[np.floating]] | NDArray[np.floating]

CLEARLY = 0.03
"""Images whose pixels differ by more than this on average, of -1 to 1, are different."""

LEAST_DIFFERENCE = 1e-6
"""Least difference of the probabilities of unlike images, above rounding."""


def unlike_images() -> list[NDArray[np.uint8]]:
    """Black, white and coloured noise, `(3, 64, 64)` each."""
    shape = (3, 64, 64)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return [np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), noise]


def refuse_same(probabilities: NDArray[np.floating]) -> None:
    """Refuses a model with the same output, `(images, any)`, for all `unlike_images`.

    NaN is refused elsewhere.

    Raises:
        ModelError: If all outputs are the same.
    """
    if np.ptp(probabilities, axis=0).max() < LEAST_DIFFERENCE:
        raise _blind()


def tile_images(tiles: Sequence[Tile]) -> tuple[Images, Images]:
    """Both dates of some tiles from -1 to 1, for models that take them as they are."""
    before, after = (
        [rgb(getattr(tile, date)).astype(np.float32) / 127.5 - 1 for tile in tiles]
        for date in ("before", "after")
    )
    return before, after


def refuse_blind(shown_pair: tuple[Images, Images], seen_pair: tuple[Images, Images]) -> None:
    """Refuses a model with the same output for both dates of a tile whose images differ.

    Where each date is stretched by itself, unlike dates can become the same image.

    Args:
        shown_pair: For each date an array a tile: the input of the vision encoder, about -1 to 1.
        seen_pair: For each date an array a tile: its output.

    Raises:
        ModelError: If the output is the same.
    """
    for first, second, before, after in zip(*seen_pair, *shown_pair, strict=True):
        if np.array_equal(first, second) and np.abs(after - before).mean() > CLEARLY:
            raise _blind()


def _blind() -> ModelError:
    return ModelError(
        "the model gives the same output for unlike images: it sees nothing",
        "its weights or settings are damaged: use another model",
    )
