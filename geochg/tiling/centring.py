"""Numbers too large for float32 to tell apart, brought near zero by one step for both dates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError

WIDE_TYPES = ("int32", "uint32", "int64", "uint64", "float64")
"""Types that hold numbers which float32 does not."""

STEPS = 1024
"""The usual range of a band is to be told in at least so many steps."""

_LARGEST, _SMALLEST = 1e15, 1e-15  # numbers beyond these cannot be squared in float32
_USUAL = (2.0, 98.0)


@dataclass(frozen=True, slots=True)
class Centring:
    """What is taken off the values of each band of both dates, and what they are then divided by.

    Attributes:
        origin: In source units; a whole number where all values are.
        unit: A power of ten, in source units; 1 where dividing is not needed.
    """

    origin: tuple[float, ...]
    unit: tuple[float, ...]

    @classmethod
    def from_samples(
        cls, before: NDArray[np.floating[Any]], after: NDArray[np.floating[Any]]
    ) -> Self | None:
        """The centring that a pair needs; None where float32 tells its values apart as they are.

        Args:
            before: `(bands, n)` values of valid pixels at the first date.
            after: `(bands, n)` values of the same pixels at the second date.

        Raises:
            InputError: If the dates lie so far apart that no one origin serves both.
        """
        if not before.size:
            return None
        pairs = zip(before.astype(np.float64), after.astype(np.float64), strict=True)
        origin, unit = zip(*(_origin_and_unit(*pair) for pair in pairs), strict=True)
        return None if set(origin) == {0.0} and set(unit) == {1.0} else cls(origin, unit)

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values near zero; those that are still beyond float32 become infinite.

        Args:
            values: `(bands, height, width)` in source units, of any real type.
        """
        out = np.empty(values.shape, np.float32)
        for plane, origin, unit, target in zip(values, self.origin, self.unit, out, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                target[...] = _less(plane, origin) / unit
        return out

    def text(self) -> str:
        """What is done, in a clause."""
        return "; ".join(
            f"band {number}: {origin:.15g} is taken off"
            + (f" and the rest is divided by {unit:g}" if unit != 1 else "")
            for number, (origin, unit) in enumerate(zip(self.origin, self.unit, strict=True), 1)
            if origin or unit != 1
        )


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values as float32; those beyond it become infinite, without a warning of numpy's."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32)


def _less(plane: NDArray[Any], origin: float) -> NDArray[Any]:
    """Values less an origin; of whole numbers exactly."""
    if plane.dtype.kind not in "iu" or not origin.is_integer():
        return plane.astype(np.float64) - origin
    if plane.dtype.itemsize < 8:
        return plane.astype(np.int64) - int(origin)
    # Differences of 64 bits wrap around to what they are.
    return (plane.view(np.uint64) - np.uint64(int(origin) % 2**64)).view(np.int64)


def _origin_and_unit(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[float, float]:
    """What of a band is best taken off, and the rest divided by; 0 and 1 if float32 holds it."""
    usual = np.concatenate([np.percentile(values, _USUAL) for values in (before, after)])
    detail = min(_detail(before), _detail(after)) or max(_detail(before), _detail(after))
    farthest = float(np.abs(usual).max())
    has_steps = _has_steps(farthest, detail)
    origin = 0.0 if has_steps else _middle(np.concatenate([before, after]))
    farthest = float(np.abs(usual - origin).max())
    if not _has_steps(farthest, detail):
        raise InputError(
            f"the values of the two dates lie too far apart to be compared: about "
            f"{np.median(before):g} before, {np.median(after):g} after",
            "bring both to one unit and level first, for example with gdal_calc.py",
        )
    return origin, 10.0 ** math.floor(math.log10(farthest)) if _unfit(farthest, detail) else 1.0


def _middle(values: NDArray[np.float64]) -> float:
    """The median; a whole number where all values are, so that they stay so."""
    middle = float(np.median(values))
    return float(round(middle)) if (values == np.rint(values)).all() else middle


def _detail(values: NDArray[np.float64]) -> float:
    """How far apart usual values of a date lie; of an even one, how far any do."""
    low, high = np.percentile(values, _USUAL)
    return float(high - low) or float(values.max() - values.min())


def _has_steps(farthest: float, detail: float) -> bool:
    """Whether float32 has steps enough in the range, so far from zero."""
    step = farthest * float(np.finfo(np.float32).eps)
    return step * STEPS <= (detail or 1.0)


def _unfit(farthest: float, detail: float) -> bool:
    """Whether squares of the values are beyond float32."""
    return farthest > _LARGEST or 0 < detail < _SMALLEST


def is_wide(dtypes: Sequence[str]) -> bool:
    """Whether values of some types may need to be centred."""
    return any(dtype in WIDE_TYPES for dtype in dtypes)
