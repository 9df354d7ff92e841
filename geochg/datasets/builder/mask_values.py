"""Values of masks to classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError


def class_indexes(
    values: NDArray[np.generic], coding: Mapping[str, int], name: str
) -> NDArray[np.uint8]:
    """Index into `CLASS_NAMES` of each value of a mask; 0 stays 0.

    Args:
        values: `(height, width)`, whole numbers.
        coding: As `options.coded` gives.
        name: Of the mask's file, for errors.

    Raises:
        InputError: If a value is not coded.
    """
    found = np.zeros(values.shape, np.uint8)
    for value in np.unique(values).tolist():
        if value == 0:
            continue
        index = coding.get(f"{value:g}" if isinstance(value, float) else str(value))
        if index is None:
            raise InputError(
                f"{name} has the value {value}, which stands for no class",
                f"say which with --classes; now: {', '.join(coding)} and 0 for no change",
            )
        found[values == value] = index
    return found
