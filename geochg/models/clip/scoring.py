"""From the classes of two dates to a change: how strong it is, and what became what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geochg.models.clip.classes import LandClass
from geochg.records import Change, Channel, GridCell, Locations

MOST = 2.0
"""The score of two dates that share no class."""

_RANK: Mapping[str, int] = {
    **dict.fromkeys(("building", "road", "water"), 3),
    "vegetation": 2,
    "bare": 1,
    "other": 0,
}
"""How particular a class is: a house that gives way to bare ground is a house that went."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a place was taken for.

    Attributes:
        before: `(classes,)` float64, probabilities that add up to 1.
        after: Likewise.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]

    @cached_property
    def score(self) -> float:
        """The sum of the absolute differences, 0 to 2 (Kömürcü)."""
        return min(float(np.abs(self.after - self.before).sum()), MOST)

    @property
    def rose(self) -> int:
        """The class whose probability rose most."""
        return int((self.after - self.before).argmax())

    @property
    def fell(self) -> int:
        """The class whose probability fell most."""
        return int((self.after - self.before).argmin())

    def caption(self, classes: Sequence[LandClass]) -> str:
        """Says it like "Bare ground became a residential area." does."""
        text = f"{classes[self.fell].prompt} became {classes[self.rose].prompt}."
        return f"{text[0].upper()}{text[1:]}"

    def channel(self, classes: Sequence[LandClass]) -> Channel:
        """Class and direction of the change.

        The more particular of the two classes is named: what rose appeared, what fell disappeared.
        Of two that are alike in this, what rose is named. A change within a class altered it.
        """
        new, old = classes[self.rose].class_name, classes[self.fell].class_name
        if new == old:
            return Channel(new, Change.ALTERED)
        if _RANK[new] >= _RANK[old]:
            return Channel(new, Change.APPEARED)
        return Channel(old, Change.DISAPPEARED)


def probability(score: float, threshold: float) -> float:
    """A score as a probability of change: 0 at 0, .5 at the threshold, 1 at 2, straight between.

    It says which places changed more surely than others; it is not calibrated.

    Args:
        score: 0 to 2.
        threshold: The score above which a place has changed, from 0 to below 2.
    """
    if score < threshold:
        return 0.5 * score / threshold
    return 0.5 + 0.5 * (score - threshold) / (MOST - threshold)


def score_at(likely: float, threshold: float) -> float:
    """The score that `probability` makes `likely` (0-1) of, with the same threshold."""
    if likely < 0.5:
        return 2 * likely * threshold
    return threshold + (2 * likely - 1) * (MOST - threshold)


def located(
    cells: Mapping[GridCell, Seen], classes: Sequence[LandClass], threshold: float
) -> Locations:
    """The cells that changed.

    A class has one direction in a tile: where its cells differ in it, the class was altered.

    Args:
        cells: What each cell was taken for.
        classes: That it was told apart as.
        threshold: See `probability`.
    """
    found: dict[str, dict[GridCell, float]] = {}
    changes: dict[str, Change] = {}
    for cell, seen in cells.items():
        if seen.score <= threshold:
            continue
        name, change = seen.channel(classes)
        found.setdefault(name, {})[cell] = probability(seen.score, threshold)
        if changes.setdefault(name, change) is not change:
            changes[name] = Change.ALTERED
    return Locations(found, changes)
