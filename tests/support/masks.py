"""Masks for property tests."""

import numpy as np
from hypothesis import strategies as st


def _mask(height_px: int, width_px: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((height_px, width_px)) < share


MASKS = st.builds(
    _mask,
    st.integers(0, 24) | st.just(1),
    st.integers(0, 24) | st.just(1),
    st.sampled_from([0, 0.05, 0.3, 0.5, 0.6, 0.9, 0.99, 1]),
    st.integers(0, 2**32 - 1),
)
"""`(height, width)` bool: empty, of one row or column, with none, some or all pixels set."""
