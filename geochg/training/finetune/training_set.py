"""Which example is learned when: drawn once, by number, so that a run can go on anywhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from geochg.datasets.groups import connected_groups
from geochg.errors import InputError
from geochg.training.finetune.augmentation import Framing, reframed
from geochg.training.finetune.sample import Lesson, lesson_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.datasets.examples import Example


_LEARNED = ("", "train")
"""Parts that are learned from; rows that say nothing are too."""


class Parts(NamedTuple):
    """The examples that are learned from, and those that are held out.

    Attributes:
        training: To learn from.
        validation: Held out.
        left_out: How many rows are neither, by the part that they say they belong to.
    """

    training: list[Example]
    validation: list[Example]
    left_out: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Course(Dataset[Lesson]):
    """The lessons of a run by their number.

    A lesson depends on its number and the fields only, whichever process asks for it.

    Attributes:
        examples: To learn from.
        order: `(lessons,)`: which example comes when.
        framing: How pictures are framed anew.
        seed: Of the frames.
        masks: Whether masks beside the pictures are read; frames need them.
    """

    examples: Sequence[Example]
    order: NDArray[np.intp]
    framing: Framing
    seed: int
    masks: bool

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> Lesson:
        lesson = lesson_of(self.examples[int(self.order[number])], self.masks)
        return reframed(lesson, self.framing, np.random.default_rng((self.seed, 1, number)))


def passes(count: int, length: int, seed: int) -> NDArray[np.intp]:
    """Examples in an order of chance, all of them before one comes again.

    Args:
        count: How many there are.
        length: How many are wanted.
        seed: Of the order.
    """
    rng = np.random.default_rng((seed, 0))
    rounds = [rng.permutation(count) for _ in range(-(-length // count))]
    return np.concatenate([np.empty(0, np.intp), *rounds])[:length].astype(np.intp)


def parts_of(examples: Sequence[Example], own: Sequence[Example], share: float, seed: int) -> Parts:
    """What is learned from and what is held out.

    Rows that say which part they belong to stay there, and test rows are never learned from. Else
    pairs are held out by chance, together with all that show the same ground: tiles of one scene,
    rows of one location, and pairs that share a picture, as the links of a chain do.

    Args:
        examples: The rows.
        own: Rows of one's own to validate on; may be empty.
        share: Of the pairs, 0-1, that is held out where neither says otherwise.
        seed: Of the choice.

    Raises:
        InputError: If nothing is left to learn from.
    """
    held_parts = () if own else ("val",)
    learned = [e for e in examples if e.split in _LEARNED]
    held = list(own) or [e for e in examples if e.split in held_parts]
    left_out = Counter(e.split for e in examples if e.split not in (*_LEARNED, *held_parts))
    if not learned:
        there = Counter(e.split for e in examples)
        told = ", ".join(f"{number} of {part!r}" for part, number in sorted(there.items()))
        raise InputError(
            f"there are no rows to learn from{f', only {told}' if told else ''}",
            "name training rows; those of a val or test part are never learned from",
        )
    if not held and share:
        found = _grounds(learned)
        places = sorted(set(found))
        rng = np.random.default_rng((seed, 2))
        count = min(max(1, round(share * len(places))), len(places) - 1)
        out = {places[index] for index in rng.permutation(len(places))[:count]}
        held = [e for e, place in zip(learned, found, strict=True) if place in out]
        learned = [e for e, place in zip(learned, found, strict=True) if place not in out]
    return Parts(learned, held, left_out)


def balanced(examples: Sequence[Example], count: int | None, seed: int) -> list[Example]:
    """Some examples, as many of each task and of changed and unchanged pairs as there are.

    Args:
        examples: All.
        count: How many are wanted; None for all.
        seed: Of the choice.
    """
    if count is None or count >= len(examples):
        return list(examples)
    rng = np.random.default_rng((seed, 3))
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place in rng.permutation(len(examples)).tolist():
        example = examples[place]
        kinds[str(example.task), str(example.changed)].append(place)
    found: list[int] = []
    queues = [kinds[kind] for kind in sorted(kinds)]
    while len(found) < count:
        for queue in queues:
            if queue and len(found) < count:
                found.append(queue.pop())
    return [examples[place] for place in sorted(found)]


def seen_before(parts: Parts) -> int:
    """Rows held out that show a picture or a location which is also learned from.

    Tiles of one scene may lie in both parts: who cut them can have kept them apart on the ground.
    """
    learned = {key for keys in _shown(parts.training) for key in keys}
    return sum(not learned.isdisjoint(keys) for keys in _shown(parts.validation))


def _grounds(examples: Sequence[Example]) -> list[int]:
    """Of each example a number of the ground it shows, the same for all that share some of it."""
    keys = _shown(examples)
    for example, each in zip(examples, keys, strict=True):
        if example.scene_window is not None:
            each.add(("scene", example.scene_window.scene))
    return connected_groups(keys)


def _shown(examples: Sequence[Example]) -> list[set[tuple[str, str]]]:
    """Of each example its pictures and its location."""
    # Many rows speak of one picture, and to resolve a path asks the disk.
    paths = {path for example in examples for path in example.paths}
    real = {path: str(path.resolve()) for path in paths}
    shown = [{("picture", real[path]) for path in example.paths} for example in examples]
    for example, keys in zip(examples, shown, strict=True):
        if example.location:
            keys.add(("location", example.location))
    return shown
