"""What the classes that a picture is compared with stand for: output classes and land covers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geochg.class_list import ListedClass
from geochg.land_cover import COVERS
from geochg.models.clip.scoring import change_between
from geochg.records import CANNOT_TELL, LAND_COVER, Change, Channel

BACKGROUND = ""
"""The name that stands for all classes that were not asked for."""

_WOODY = frozenset(
    "forest forests tree trees wood woods woodland woodlands orchard orchards shrub shrubs "
    "shrubland bush bushes bushland grove groves plantation plantations mangrove mangroves "
    "vineyard vineyards jungle".split()
)
"""Words that tell vegetation of wood from low plants."""


@dataclass(frozen=True, eq=False)
class LandKinds:
    """Indices that lead from the `k` classes of the texts to what is told of them.

    Attributes:
        names: The output classes, each once; the last is `BACKGROUND` where only some are asked
            for.
        group_of: `(k,)` group of each: moves of probability within a group are no change, as from
            a lake to a pond. All of the background are one group, and all of one output class and
            land cover; each class without a land cover is one by itself.
        class_of: `(groups,)` index into `names`.
        covers: `(k,)` uint8, index into `LAND_COVER`, or `CANNOT_TELL`.
    """

    names: tuple[str, ...]
    group_of: NDArray[np.intp]
    class_of: NDArray[np.intp]
    covers: NDArray[np.uint8]

    @classmethod
    def of(cls, classes: Sequence[ListedClass], asked_names: Sequence[str] = ()) -> Self:
        """The kinds of some classes.

        Args:
            classes: The classes of the texts.
            asked_names: Output classes that are asked for; none for all.
        """
        output_names = [
            kind.class_name if not asked_names or kind.class_name in asked_names else BACKGROUND
            for kind in classes
        ]
        names = sorted(dict.fromkeys(output_names), key=lambda name: name == BACKGROUND)
        covers = [_cover(kind) for kind in classes]
        keys = [
            (name, -1 if name == BACKGROUND else index if cover == CANNOT_TELL else -1 - cover)
            for index, (name, cover) in enumerate(zip(output_names, covers, strict=True))
        ]
        groups = list(dict.fromkeys(keys))
        return cls(
            tuple(names),
            np.array([groups.index(key) for key in keys], np.intp),
            np.array([names.index(name) for name, *_ in groups], np.intp),
            np.array(covers, np.uint8),
        )

    def channels(self) -> tuple[Channel, ...]:
        """Each output class in each direction."""
        return tuple(
            Channel(name, change) for name in self.names if name != BACKGROUND for change in Change
        )

    def pairs(self, locate: Callable[[Channel], int]) -> list[tuple[int, int, int]]:
        """For each pair of classes the index of the channel of a change from one to the other.

        Args:
            locate: The index of a channel.

        Returns:
            Old class, new class and channel; changes within the background have none.
        """
        pairs = []
        for old, old_name in enumerate(self.names):
            for new, new_name in enumerate(self.names):
                if old_name == new_name == BACKGROUND:
                    continue
                pairs.append((old, new, locate(change_between(old_name, new_name))))
        return pairs


def _cover(kind: ListedClass) -> int:
    """The land cover of a class of geochg; vegetation is woody where its name says so."""
    covers = COVERS.get(kind.class_name, frozenset())
    if kind.class_name == "vegetation":
        words = kind.name.lower().replace("-", " ").split()
        return LAND_COVER.index("woody" if _WOODY.intersection(words) else "low plants")
    return LAND_COVER.index(min(covers)) if covers else CANNOT_TELL
