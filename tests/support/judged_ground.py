"""Pairs of drawn ground on which two kinds of change lie side by side, for tests of learning."""

import numpy as np

SIDE_PX, STEP_PX, SQUARE_PX = 448, 56, 22


def places():
    """Row and column of each change, and whether it is of the kind that is wanted."""
    for number, (row, col) in enumerate(
        (row, col)
        for row in range(20, SIDE_PX - SQUARE_PX, STEP_PX)
        for col in range(20, SIDE_PX - SQUARE_PX, STEP_PX)
    ):
        yield row, col, (number + number // 8) % 2 == 0


def drawn_pair(seed=0):
    """Two dates `(3, SIDE_PX, SIDE_PX)` uint8: light roofs appear, and dark ponds."""
    random = np.random.default_rng(seed)
    coarse = random.normal(0, 9, (3, SIDE_PX // 8, SIDE_PX // 8)).repeat(8, 1).repeat(8, 2)
    ground = np.array([96.0, 110.0, 70.0])[:, None, None] + coarse
    before = ground + random.normal(0, 4, ground.shape)
    after = ground + random.normal(0, 4, ground.shape)
    for row, col, is_roof in places():
        row, col = row + int(random.integers(-6, 7)), col + int(random.integers(-6, 7))
        square = np.s_[:, row : row + SQUARE_PX, col : col + SQUARE_PX]
        color = (215, 205, 200) if is_roof else (28, 40, 62)
        texture = random.normal(0, 5, (3, SQUARE_PX, SQUARE_PX))
        after[square] = np.array(color, float)[:, None, None] + texture
    return tuple(np.clip(date, 1, 255).astype(np.uint8) for date in (before, after))


def is_light(feature_frame, date, transform):
    """Whether each feature's middle is light at a date, which roofs are and ponds are not."""
    columns, rows = ~transform * (
        feature_frame.geometry.centroid.x.to_numpy(),
        feature_frame.geometry.centroid.y.to_numpy(),
    )
    limits = (SIDE_PX - 1,) * 2
    row, col = (np.clip(v.astype(int), 0, m) for v, m in zip((rows, columns), limits, strict=True))
    return date.mean(axis=0)[row, col] > 120
