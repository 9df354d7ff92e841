"""From the classes of two dates to a change: how strong it is, and what became what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geochg.class_list import ListedClass
from geochg.classes import CLASS_BY_NAME
from geochg.records import Change, Channel, GridCell, Locations

MAX_SCORE = 2.0
"""The score of two dates that share no class."""

_USERS_RANK = 1 + max(known_class.rank for known_class in CLASS_BY_NAME.values())


@dataclass(frozen=True, eq=False)
class DateClasses:
    """The classes of one place at both dates.

    Attributes:
        before: `(classes,)` float64, probabilities that add up to 1.
        after: As `before`.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]

    @cached_property
    def score(self) -> float:
        """The sum of the absolute differences, 0 to 2 (Kömürcü)."""
        return min(float(np.abs(self.after - self.before).sum()), MAX_SCORE)

    @property
    def gained(self) -> int:
        """The class whose probability rose most."""
        return int((self.after - self.before).argmax())

    @property
    def lost(self) -> int:
        """The class whose probability fell most."""
        return int((self.after - self.before).argmin())

    def caption(self, classes: Sequence[ListedClass]) -> str:
        """A sentence such as "Bare ground became a residential area."."""
        return became(classes[self.lost], classes[self.gained])

    def channel(self, classes: Sequence[ListedClass]) -> Channel:
        """Class and direction of the change from the lost class to the gained one."""
        return change_between(classes[self.lost].class_name, classes[self.gained].class_name)


def became(old: ListedClass, new: ListedClass) -> str:
    """A sentence such as "Bare ground became a residential area."."""
    text = f"{old.phrase} became {new.phrase}."
    return f"{text[0].upper()}{text[1:]}"


def change_between(old: str, new: str) -> Channel:
    """Class and direction of a change from one class to another.

    The more specific of the two is named: the new one appeared, or the old one disappeared. Of two
    that are alike in this, the new one is named. A change within a class altered it. Of a class and
    the background, whose name is empty, the class is named.
    """
    if new == old:
        return Channel(new, Change.ALTERED)
    if _rank(new) >= _rank(old):
        return Channel(new, Change.APPEARED)
    return Channel(old, Change.DISAPPEARED)


def _rank(class_name: str) -> int:
    """How specific a class is; what a user names is wanted before all else."""
    if not class_name:
        return -1
    known_class = CLASS_BY_NAME.get(class_name)
    return known_class.rank if known_class else _USERS_RANK


def probability(score: float, threshold: float) -> float:
    """A score as a probability of change: 0 at 0, .5 at the threshold, 1 at 2, straight between.

    It ranks places by how surely they changed; it is not calibrated.

    Args:
        score: 0 to 2.
        threshold: The score above which a place has changed, from 0 to below 2.
    """
    if score < threshold:
        return 0.5 * score / threshold
    return 0.5 + 0.5 * (score - threshold) / (MAX_SCORE - threshold)


def score_at(change_probability: float, threshold: float) -> float:
    """The score that has a probability of change (0-1), with the same threshold."""
    if change_probability < 0.5:
        return 2 * change_probability * threshold
    return threshold + (2 * change_probability - 1) * (MAX_SCORE - threshold)


def changed_cells(
    cells: Mapping[GridCell, DateClasses], classes: Sequence[ListedClass], threshold: float
) -> Locations:
    """The cells that changed.

    A class has one direction in a tile: where its cells differ in it, the class was altered.

    Args:
        cells: The classes of each cell at both dates.
        classes: All classes, in the order of the probabilities.
        threshold: See `probability`.
    """
    cell_probabilities: dict[str, dict[GridCell, float]] = {}
    changes: dict[str, Change] = {}
    for cell, dates in cells.items():
        if dates.score <= threshold:
            continue
        name, change = dates.channel(classes)
        cell_probabilities.setdefault(name, {})[cell] = probability(dates.score, threshold)
        if changes.setdefault(name, change) is not change:
            changes[name] = Change.ALTERED
    return Locations(cell_probabilities, changes)
