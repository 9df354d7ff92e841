"""The linear difference of two dates, and its length: what CVA and MAD have in common."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class LinearDifference:
    """Difference layers that are linear in the bands: `before x + after y + offset`.

    The layers are scaled so that the noise (IR-MAD) or the scene (CVA) has a standard deviation of
    1 in each; their root mean square is the strength of change.

    Attributes:
        before: `(layers, bands)` float64, weights of the before date.
        after: `(layers, bands)` float64, weights of the after date, sign included.
        offset: `(layers,)` float64.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    offset: NDArray[np.float64]

    @property
    def layers(self) -> int:
        """Number of difference layers."""
        return len(self.offset)

    def of_pixels(
        self, before: NDArray[np.float64], after: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Differences of `(bands, pixels)` float64 arrays: `(layers, pixels)` float64."""
        return np.asarray(self.before @ before + self.after @ after + self.offset[:, np.newaxis])

    def of_tile(
        self, before: NDArray[np.float32], after: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Differences of `(bands, height, width)` float32 arrays: `(layers, height, width)`."""
        bands, height, width = before.shape
        difference = self.before.astype(np.float32) @ before.reshape(bands, -1)
        difference += self.after.astype(np.float32) @ after.reshape(bands, -1)
        difference += self.offset.astype(np.float32)[:, np.newaxis]
        return np.asarray(difference.reshape(-1, height, width))


def strength(layers: NDArray[Real]) -> NDArray[Real]:
    """Root mean square over the layers (the first axis); 0 where there are no layers."""
    if not len(layers):
        return np.zeros(layers.shape[1:], layers.dtype)
    squares = np.einsum("k...,k...->...", layers, layers)
    squares /= len(layers)
    return np.asarray(np.sqrt(squares, out=squares))


OWN_PART = 1.5
"""A pixel's strength is at most this many times what it contributes itself."""


def sharp_strength(
    layers: NDArray[np.float32], mean_layers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Strength of the averaged layers, but without the rim that averaging puts around a change.

    A pixel beside a change has a large average and a small difference of its own; inside, both
    agree. So the root mean square of the average counts only up to `OWN_PART` times the length of
    the pixel's own difference in the average's direction.

    Args:
        layers: `(layers, height, width)` float32, each pixel's own difference.
        mean_layers: `(layers, height, width)` float32, the same averaged over neighbours.

    Returns:
        `(height, width)` float32, at least 0, at most `strength(averaged)`.
    """
    length = strength(mean_layers)
    dot_product = np.einsum("k...,k...->...", layers, mean_layers)
    dot_product *= np.float32(OWN_PART / max(len(layers), 1))
    np.divide(dot_product, length, out=dot_product, where=length > 0)
    return np.asarray(np.clip(dot_product, np.float32(0), length, out=dot_product))
