"""A small spatial average that keeps nodata out and leaves the cores of tiles seamless."""

import numpy as np
from numpy.typing import NDArray

_CENTRE, _SIDE = np.float32(0.5), np.float32(0.25)


def smoothed(layers: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Averages each layer over the valid pixels around each pixel.

    The weights are (1, 2, 1)/4 in both directions, which takes white noise down to 0.375 of itself
    and widens a sharp outline by one pixel at most; invalid pixels and pixels outside the tile
    weigh nothing and the rest is rescaled (normalised convolution, Knutsson & Westin 1993). The
    sums run in one fixed order a pixel, so two tiles that overlap agree wherever both see the whole
    neighbourhood.

    Args:
        layers: `(layers, height, width)` float32; overwritten where not valid.
        valid: `(height, width)` bool.

    Returns:
        `(layers, height, width)` float32, 0 where not valid.
    """
    weight = valid.astype(np.float32)
    is_whole = bool(valid.all())
    if not is_whole:
        layers *= weight
    mass = _filter(weight[np.newaxis])[0]
    scale = np.divide(weight, mass, out=np.zeros_like(mass), where=valid)
    mean_layers = _filter(layers)
    mean_layers *= scale
    return mean_layers


def _filter(layers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filters across columns, then across rows; outside counts as 0."""
    for axis in (2, 1):
        total, side = layers * _CENTRE, layers * _SIDE
        along_total, along_side = np.moveaxis(total, axis, 0), np.moveaxis(side, axis, 0)
        along_total[1:] += along_side[:-1]
        along_total[:-1] += along_side[1:]
        layers = total
    return layers
