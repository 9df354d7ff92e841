"""Ground to make rasters of."""

import numpy as np
from affine import Affine
from scipy import ndimage

UTM = "EPSG:32633"
ORIGIN = Affine(10, 0, 500_000, 0, -10, 5_000_000)
"""Ten-metre pixels in UTM 33N, at 15 degrees east and 45 degrees north."""


def texture(height: int, width: int, bands: int = 1, seed: int = 0) -> np.ndarray:
    """Smooth random ground with detail at several scales, `(bands, height, width)` uint8 10-245."""
    rng = np.random.default_rng(seed)
    ground = sum(
        ndimage.gaussian_filter(rng.normal(size=(bands, height, width)), (0, sigma, sigma)) * sigma
        for sigma in (1, 3, 9)
    )
    low, high = ground.min(), ground.max()
    return (10 + 235 * (ground - low) / (high - low)).astype(np.uint8)
