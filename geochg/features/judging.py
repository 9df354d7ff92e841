"""What a head is told of changes, and what it says of them before they become features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geochg.features.descriptors import Descriptors


class ChangeFacts(NamedTuple):
    """What is known of some changes without looking at the images.

    Attributes:
        polygons: `(n,)`, in the CRS of the grid.
        area_m2: `(n,)` float64.
        kinds: Class and direction of each, as the model told them.
        confidence: `(n,)` float64 0-1, the model's; not a number where it was not measured.
    """

    polygons: NDArray[np.object_]
    area_m2: NDArray[np.float64]
    kinds: Sequence[tuple[str, str]]
    confidence: NDArray[np.float64]


class Judgement(NamedTuple):
    """What a head says of some changes.

    Attributes:
        keeps: `(n,)` bool, which are features.
        confidence: `(n,)` float64, 0-1.
        class_names: The class of each.
    """

    keeps: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    class_names: Sequence[str]


class Judge(Protocol):
    """Judges changes before they become features."""

    def __call__(
        self, facts: ChangeFacts, descriptors: Descriptors, candidate: NDArray[np.bool_]
    ) -> Judgement:
        """Judges some changes.

        Args:
            facts: The changes.
            descriptors: What the images show of them.
            candidate: `(n,)` bool, which were found below the usual threshold.
        """
