"""What a head is told of changes, and what it says of them before they become features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from geochg.features.descriptors import Descriptors, summed_descriptors
from geochg.features.tile_results import Cell

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


class JudgedChanges(NamedTuple):
    """What became of changes that were judged.

    Attributes:
        keeps: `(n,)` bool, which are features.
        confidence: `(n,)` float64 0-1, 4 decimals; the model's where nothing was judged.
        kinds: Class and direction of each.
    """

    keeps: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    kinds: list[tuple[str, str]]


def judged_changes(
    judge: Judge,
    facts: ChangeFacts,
    keeps: NDArray[np.bool_],
    cells: Sequence[Cell],
    of_cell: NDArray[np.int64],
) -> JudgedChanges:
    """Judges those changes that are features otherwise.

    Args:
        judge: The judge.
        facts: All changes.
        keeps: `(n,)` bool, which are features without a judge.
        cells: The cells that they were made of.
        of_cell: `(cells,)` the change of each.
    """
    rows = np.flatnonzero(keeps)
    if not len(rows):
        return JudgedChanges(keeps, facts.confidence, list(facts.kinds))
    sums = summed_descriptors([cell.descriptor for cell in cells], of_cell, len(keeps))
    candidate = np.zeros(len(keeps), bool)
    candidate[of_cell] = [cell.is_candidate for cell in cells]
    chosen_kinds = [facts.kinds[row] for row in rows.tolist()]
    judgement = judge(
        ChangeFacts(
            facts.polygons[rows], facts.area_m2[rows], chosen_kinds, facts.confidence[rows]
        ),
        Descriptors(*(part[rows] for part in sums)),
        candidate[rows],
    )
    keeps, confidence, kinds = keeps.copy(), facts.confidence.copy(), list(facts.kinds)
    keeps[rows], confidence[rows] = judgement.keeps, judgement.confidence.round(4)
    for row, class_name in zip(rows.tolist(), judgement.class_names, strict=True):
        kinds[row] = (class_name, kinds[row][1])
    return JudgedChanges(keeps, confidence, kinds)
