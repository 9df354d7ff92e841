"""Facts about the changes of a pair, read off its masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS, MaskTruth, count_contours
from geochg.geometry.grid_cells import changed_cells
from geochg.records import Change, Counts, GridCell, Locations
from geochg.tasks.lexicon import ASKED


@dataclass(frozen=True, slots=True)
class Fact:
    """The changes of one class in one direction.

    Attributes:
        class_name: The class.
        change: Direction of the change; None where it is not known.
        number: Number of contours.
        cells: Cells of the 3x3 grid in which more than 5 % of the pixels changed so.
        share: Share of all pixels.
        center: Row and column of its middle, 0-1 each.
        spread: Mean distance from that middle, as a share of the side.
    """

    class_name: str
    change: Change | None
    number: int
    cells: tuple[GridCell, ...]
    share: float
    center: tuple[float, float]
    spread: float


def mask_facts(truth: MaskTruth) -> tuple[Fact, ...]:
    """The facts of a pair, largest change first."""
    facts = []
    for (name, change), number in truth.counts.items():
        mask = (truth.classes == CLASS_NAMES.index(name)) & (
            truth.directions == DIRECTIONS.index(change)
        )
        rows, cols = (axis / max(mask.shape[0] - 1, 1) for axis in np.nonzero(mask))
        middle = float(rows.mean()), float(cols.mean())
        spread = float(np.hypot(rows - middle[0], cols - middle[1]).mean())
        cells = changed_cells(mask)
        facts.append(Fact(name, change, number, cells, float(mask.mean()), middle, spread))
    return tuple(sorted(facts, key=lambda fact: -fact.share))


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
    """Changed cells of each class, without probabilities, as answers in words give them."""
    return Locations(
        {
            name: dict.fromkeys(changed_cells(truth.classes == CLASS_NAMES.index(name)))
            for name in _known_classes(truth, class_names)
        }
    )


def _known_classes(truth: MaskTruth, class_names: tuple[str, ...]) -> list[str]:
    return [name for name in class_names if name in truth.known]
