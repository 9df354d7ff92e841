"""A pair with planted changes, known to the pixel."""

import numpy as np
from rasters import texture

HEIGHT, WIDTH = 200, 300
PLANTED = {
    # name: rows, columns, whether it appeared; the first lies across tile borders
    "long": (slice(40, 60), slice(30, 250), True),
    "gone": (slice(120, 140), slice(100, 130), False),
    "small": (slice(180, 184), slice(10, 14), True),
}


def planted_pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Before and after, `(2, 200, 300)` uint8, equal but for the planted rectangles."""
    before = texture(HEIGHT, WIDTH, 2, seed) // 4 + 90
    after = before.copy()
    for rows, cols, appeared in PLANTED.values():
        after[:, rows, cols] += 60 if appeared else np.uint8(256 - 60)
    return before, after


def planted_mask() -> np.ndarray:
    """`(200, 300)` bool, true where something was planted."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for rows, cols, _ in PLANTED.values():
        mask[rows, cols] = True
    return mask
