"""Probabilities of what a model only names, from what it was measured to say."""

from collections.abc import Sequence
from dataclasses import replace

from geochg.records import Answer, Locations, Presence


def measured_answers(answers: Sequence[Answer]) -> list[Answer]:
    """The answers about a tile, where cells that are only named have the tile's probability.

    A list of cells has no yes or no of its own. Where that of the tile was measured, it is the
    probability of each cell; where it was not, the cells stay without.
    """
    likely = next((a.probability for a in answers if isinstance(a, Presence) and a.changed), None)
    if likely is None:
        return list(answers)
    return [_measured(a, likely) if isinstance(a, Locations) else a for a in answers]


def _measured(locations: Locations, likely: float) -> Locations:
    cells = {
        name: {
            cell: likely if probability is None else probability
            for cell, probability in cells.items()
        }
        for name, cells in locations.cells.items()
    }
    return replace(locations, cells=cells)
