"""What a check finds: how likely each polygon's object is there, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Findings:
    """What one image tells of a layer.

    Attributes:
        present: `(n,)` float64: 1 where the object is there, 0 where not, a probability where it
            was measured; not a number where it cannot be told.
        probability: `(n,)` float64: the probability alone; not a number where none was measured.
        reasons: Why polygons cannot be told, and how many each time.
        missing: `(m,)` polygons of what is not mapped, in pixels of the grid.
        missing_probability: `(m,)` float64: that it is of the class; not a number where that was
            not measured.
        facts: Further members of the metadata.
    """

    present: NDArray[np.float64]
    probability: NDArray[np.float64]
    reasons: dict[str, int]
    missing: NDArray[np.object_]
    missing_probability: NDArray[np.float64]
    facts: dict[str, Any] = field(default_factory=dict)


def objects_of(polygons: list[Any]) -> NDArray[np.object_]:
    """Shapes as an array, however many."""
    array = np.empty(len(polygons), dtype=object)
    array[:] = polygons
    return array
