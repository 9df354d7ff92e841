"""One class and direction for what hangs together.

Specks join what they touch, and no ground lies beside ground on which the same class went the other
way. All of it looks at pieces of the whole grid, so tile borders play no part.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from geochg.features.merging import Contacts
from geochg.records import Change

SWALLOWED_SHARE = 0.5
"""Of two neighbours of one class with opposite directions, the smaller takes the direction of the
larger when it is below this share of it; else both were altered."""

_OPPOSITE = {Change.APPEARED: Change.DISAPPEARED, Change.DISAPPEARED: Change.APPEARED}

Kind = tuple[str, str]
"""Class and direction."""


def settled_kinds(
    contacts: Contacts, area_px: NDArray[np.float64], kinds: Sequence[Kind], tiny_px: int
) -> list[Kind]:
    """Class and direction of each piece, in view of those that it touches.

    Args:
        contacts: Of `n` pieces that do not overlap.
        area_px: `(n,)` area of each.
        kinds: Class and direction of each as outlined.
        tiny_px: Features below this size join a neighbour, the one with the longest common border.

    Returns:
        `n` kinds: equal for pieces that become one feature, and of touching pieces of one class
        never opposite.
    """
    settled = list(kinds)
    for settle in (_join_tiny, _settle_opposites):
        feature = contacts.feature_numbers(kind_numbers(settled))
        patches = _Patches.of(contacts, area_px, feature, settled)
        settle(patches, tiny_px)
        kind_of = [patches.kind[patches.root(number)] for number in range(len(patches.kind))]
        settled = [kind_of[number] for number in feature.tolist()]
    return settled


def kind_numbers(kinds: Sequence[Kind]) -> NDArray[np.int64]:
    """The number of each kind among the distinct ones, in their order."""
    number = {kind: i for i, kind in enumerate(sorted(set(kinds)))}
    return np.array([number[kind] for kind in kinds], np.int64)


class _Patches(NamedTuple):
    """Features that touch, and may be taken together.

    `parent` is the feature each was taken into, itself where it was not; `area_px` counts all that
    was taken into it; `border_px` is the length of the border with each feature that it touches.
    """

    parent: list[int]
    area_px: list[float]
    kind: list[Kind]
    border_px: list[dict[int, int]]

    @classmethod
    def of(
        cls,
        contacts: Contacts,
        area_px: NDArray[np.float64],
        feature: NDArray[np.int64],
        kinds: Sequence[Kind],
    ) -> Self:
        """Features as they are joined, none taken into another yet."""
        count = int(feature.max()) + 1
        _, first = np.unique(feature, return_index=True)
        left, right = feature[contacts.left], feature[contacts.right]
        is_border = left != right
        pair = np.minimum(left, right)[is_border] * count + np.maximum(left, right)[is_border]
        pairs, length_px = np.unique(np.sort(pair), return_counts=True)
        border_px: list[dict[int, int]] = [{} for _ in range(count)]
        for number, length in zip(pairs.tolist(), length_px.tolist(), strict=True):
            a, b = divmod(number, count)
            border_px[a][b] = border_px[b][a] = length
        areas = np.bincount(feature, area_px, count).tolist()
        return cls(list(range(count)), areas, [kinds[i] for i in first.tolist()], border_px)

    def root(self, number: int) -> int:
        """The feature that one was taken into in the end."""
        while self.parent[number] != number:
            self.parent[number] = self.parent[self.parent[number]]
            number = self.parent[number]
        return number

    def neighbours(self, number: int) -> dict[int, int]:
        """Features that one touches, with the length of the common border."""
        near: dict[int, int] = {}
        for other, length_px in self.border_px[number].items():
            root = self.root(other)
            if root != number:
                near[root] = near.get(root, 0) + length_px
        self.border_px[number].clear()
        self.border_px[number].update(near)
        return near

    def take(self, taken_number: int, into: int) -> None:
        """Takes a feature into another, whose kind it gets."""
        self.parent[taken_number] = into
        self.area_px[into] += self.area_px[taken_number]
        for other, length_px in self.border_px[taken_number].items():
            self.border_px[into][other] = self.border_px[into].get(other, 0) + length_px
        self.border_px[taken_number].clear()


def _join_tiny(patches: _Patches, tiny_px: int) -> None:
    """Takes features below a size into a neighbour, the smallest first."""
    waiting = [(area, i) for i, area in enumerate(patches.area_px) if area < tiny_px]
    heapify(waiting)
    while waiting:
        area_px, number = heappop(waiting)
        if patches.root(number) != number or patches.area_px[number] != area_px:
            continue
        near = patches.neighbours(number)
        if not near:
            continue
        nearest = max(near, key=lambda other: (near[other], patches.area_px[other], -other))
        if patches.area_px[nearest] < area_px:
            patches.kind[nearest] = patches.kind[number]
        patches.take(number, nearest)
        if patches.area_px[nearest] < tiny_px:
            heappush(waiting, (patches.area_px[nearest], nearest))


def _settle_opposites(patches: _Patches, _: int) -> None:
    """Lets no class have appeared beside where it disappeared, the smallest features first."""
    waiting = [(patches.area_px[i], i) for i in range(len(patches.kind)) if _opposites(patches, i)]
    heapify(waiting)
    while waiting:
        area_px, number = heappop(waiting)
        if patches.root(number) != number or patches.area_px[number] != area_px:
            continue
        opposites = _opposites(patches, number)
        if not opposites:
            continue
        largest = max(opposites, key=lambda other: (patches.area_px[other], -other))
        if area_px < SWALLOWED_SHARE * patches.area_px[largest]:
            patches.take(number, largest)
            heappush(waiting, (patches.area_px[largest], largest))
        else:
            for index in (number, largest):
                patches.kind[index] = patches.kind[index][0], str(Change.ALTERED)


def _opposites(patches: _Patches, number: int) -> list[int]:
    """Neighbours on which the same class went the other way."""
    name, change = patches.kind[number]
    opposite = _OPPOSITE.get(Change(change))
    if opposite is None:
        return []
    opposite_kind = (name, str(opposite))
    return [other for other in patches.neighbours(number) if patches.kind[other] == opposite_kind]
