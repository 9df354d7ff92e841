"""Values that files hold packed, by a scale and an offset: what they are in physical units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.tiling.bands import Band

_ALIKE = 1e-6
"""Relative difference of two scales that is but rounding: some files keep them as float32."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the values of one date are unpacked, one scale and one offset a band.

    Attributes:
        scale: What stored values are multiplied by.
        offset: What is then added.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Physical values.

        Args:
            values: `(bands, height, width)` as stored, of any real type.
        """
        out = np.empty(values.shape, np.float32)
        for plane, scale, offset, target in zip(values, self.scale, self.offset, out, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                target[...] = plane.astype(np.float64) * scale + offset
        return out


Scalings = tuple[Scaling, Scaling] | None
"""How the two dates are unpacked, before first; None where their values compare as stored."""


def scalings(before: Sequence[Band], after: Sequence[Band]) -> Scalings:
    """How two dates are unpacked, unless both are packed alike.

    Args:
        before: The bands in use of the earlier raster.
        after: The bands that go with them.
    """
    if next(packed_otherwise(before, after), None) is None:
        return None
    return _scaling_of(before), _scaling_of(after)


def packed_otherwise(before: Sequence[Band], after: Sequence[Band]) -> Iterator[tuple[Band, Band]]:
    """The bands that go together but are packed by different scales or offsets."""
    # Of a grey and a coloured date, the luminance of three bands goes with one.
    is_grey = len(before) != len(after)
    pairs = product(before, after) if is_grey else zip(before, after, strict=True)
    for band, other_band in pairs:
        scales = math.isclose(band.scale, other_band.scale, rel_tol=_ALIKE)
        # An offset is as large as the values that it moves.
        reach = _ALIKE * max(
            abs(band.scale), abs(other_band.scale), abs(band.offset), abs(other_band.offset)
        )
        if not scales or abs(band.offset - other_band.offset) > reach:
            yield band, other_band


def is_packed(band: Band) -> bool:
    """Whether a file says that the values of a band are to be scaled or moved."""
    return (band.scale, band.offset) != (1.0, 0.0)


def _scaling_of(bands: Sequence[Band]) -> Scaling:
    return Scaling(tuple(band.scale for band in bands), tuple(band.offset for band in bands))
