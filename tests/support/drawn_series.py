"""A series of three dates with exact truth: a thing comes at the second and goes at the third."""

import numpy as np
from rasters import texture

HEIGHT, WIDTH = 128, 192
FLEETING = (slice(20, 50), slice(40, 100))
"""Rows and columns of what is there at the second date only; it lies across borders of tiles."""
LASTING = (slice(80, 110), slice(120, 160))
"""Rows and columns of what is there from the third date on."""
DAYS = ("2019-06-01", "2020-07-15", "2021-08-30")

TRUTH = {
    1: [(FLEETING, "appeared")],
    2: [(FLEETING, "disappeared"), (LASTING, "appeared")],
    None: [(LASTING, "appeared")],
}
"""By step what changed, and how; None is the whole."""


def drawn_series(bands: int = 2) -> list[np.ndarray]:
    """Three dates, `(bands, 128, 192)` uint8 each, equal but for the things that are drawn."""
    ground = texture(HEIGHT, WIDTH, bands) // 4 + 90
    dates = [ground.copy() for _ in DAYS]
    dates[1][:, *FLEETING] += 60
    dates[2][:, *LASTING] += 60
    return dates


def area_m2(rectangle: tuple[slice, slice]) -> float:
    """Area of a rectangle on the ellipsoid, of ten-metre pixels in the middle of a UTM zone."""
    rows, cols = rectangle
    return (rows.stop - rows.start) * (cols.stop - cols.start) * 100 / 0.9996**2
