"""What can be said of a pair in words and numbers, read off its masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS, MaskTruth, count_contours
from geochg.records import CELL_AREA_SHARE, GRID_CELLS, Change, Counts, GridCell, Locations
from geochg.tasks.lexicon import ASKED


@dataclass(frozen=True, slots=True)
class Fact:
    """One class that changed in one direction.

    Attributes:
        class_name: What changed.
        change: Direction of the change; None where it is not known.
        number: Number of contours.
        cells: Cells of the 3x3 grid in which more than 5 % of the pixels changed so.
        share: Share of all pixels.
        place: Row and column of its middle, 0-1 each.
        spread: Mean distance from that middle, as a share of the side.
    """

    class_name: str
    change: Change | None
    number: int
    cells: tuple[GridCell, ...]
    share: float
    place: tuple[float, float]
    spread: float


def mask_facts(truth: MaskTruth) -> tuple[Fact, ...]:
    """All that changed, largest first."""
    facts = []
    for (name, change), number in truth.counts.items():
        mask = (truth.classes == CLASS_NAMES.index(name)) & (
            truth.directions == DIRECTIONS.index(change)
        )
        rows, cols = (axis / max(mask.shape[0] - 1, 1) for axis in np.nonzero(mask))
        middle = float(rows.mean()), float(cols.mean())
        spread = float(np.hypot(rows - middle[0], cols - middle[1]).mean())
        facts.append(Fact(name, change, number, cells_of(mask), float(mask.mean()), middle, spread))
    return tuple(sorted(facts, key=lambda fact: -fact.share))


def cells_of(mask: NDArray[np.bool_]) -> tuple[GridCell, ...]:
    """Cells of the 3x3 grid in which more than 5 % of a mask's pixels are set, in raster order."""
    rows, cols = ((side * np.arange(4)) // 3 for side in mask.shape)
    return tuple(
        cell
        for cell in GRID_CELLS
        if mask[rows[cell.row] : rows[cell.row + 1], cols[cell.col] : cols[cell.col + 1]].mean()
        > CELL_AREA_SHARE
    )


def class_counts(truth: MaskTruth, class_names: tuple[str, ...] = ASKED) -> Counts:
    """Contours of each class, whatever the direction, and the direction where there is but one."""
    numbers, changes = dict[str, int](), dict[str, Change]()
    for name in _known_classes(truth, class_names):
        mask = truth.classes == CLASS_NAMES.index(name)
        numbers[name] = count_contours(mask)
        directions = {change for class_name, change in truth.counts if class_name == name}
        change = next(iter(directions)) if len(directions) == 1 else None
        if numbers[name] and change is not None:
            changes[name] = change
    return Counts(numbers, changes)


def class_cells(truth: MaskTruth, class_names: tuple[str, ...] = ASKED) -> Locations:
    """Changed cells of each class, each with probability 1."""
    return Locations(
        {
            name: dict.fromkeys(cells_of(truth.classes == CLASS_NAMES.index(name)), 1.0)
            for name in _known_classes(truth, class_names)
        }
    )


def _known_classes(truth: MaskTruth, class_names: tuple[str, ...]) -> list[str]:
    return [name for name in class_names if name in truth.known]
