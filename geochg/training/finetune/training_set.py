"""The examples that are learned from and held out, and the samples of a run by their number."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from geochg.datasets.examples import Example
from geochg.datasets.splits import connected_groups
from geochg.errors import InputError
from geochg.training.finetune.augmentation import Augmentation, augmented_sample
from geochg.training.finetune.sample import Sample, load_sample

_TRAINING_SPLITS = ("", "train")
"""Splits that are learned from; rows that name none are too."""


class Splits(NamedTuple):
    """The examples that are learned from, and those that are held out.

    Attributes:
        training: Examples to learn from.
        validation: Examples that are held out.
        left_out: Number of rows that are neither, by the split that they name.
    """

    training: list[Example]
    validation: list[Example]
    left_out: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class TrainingSet(Dataset[Sample]):
    """The samples of a run by their number.

    A sample depends on its number and the fields only, whichever process asks for it, so that a
    run can go on anywhere.

    Attributes:
        examples: Examples to learn from.
        order: `(samples,)`: the example of each sample.
        augmentation: The range of crops and rotations.
        seed: Seed of these.
        masks: Whether masks beside the pictures are read; augmentation needs them.
    """

    examples: Sequence[Example]
    order: NDArray[np.intp]
    augmentation: Augmentation
    seed: int
    masks: bool

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> Sample:
        sample = load_sample(self.examples[int(self.order[number])], self.masks)
        rng = np.random.default_rng((self.seed, 1, number))
        return augmented_sample(sample, self.augmentation, rng)


def example_order(count: int, length: int, seed: int) -> NDArray[np.intp]:
    """Numbers of examples in random order, all of them before any comes again.

    Args:
        count: Number of examples.
        length: Numbers wanted.
        seed: Seed of the order.
    """
    rng = np.random.default_rng((seed, 0))
    passes = [rng.permutation(count) for _ in range(-(-length // count))]
    return np.concatenate([np.empty(0, np.intp), *passes])[:length].astype(np.intp)


def split_examples(
    examples: Sequence[Example], own_validation: Sequence[Example], share: float, seed: int
) -> Splits:
    """The examples that are learned from and those that are held out.

    Rows that name a split stay in it, and test rows are never learned from. Else pairs are held
    out at random, together with all that show the same ground: tiles of one scene, rows of one
    location, and pairs that share a picture, as the links of a chain do.

    Args:
        examples: The rows.
        own_validation: The user's own rows to validate on; may be empty.
        share: Share (0-1) of the pairs that is held out where neither decides it.
        seed: Seed of the choice.

    Raises:
        InputError: If nothing is left to learn from.
    """
    held_splits = () if own_validation else ("val",)
    training = [e for e in examples if e.split in _TRAINING_SPLITS]
    validation = list(own_validation) or [e for e in examples if e.split in held_splits]
    left_out_counts = Counter(
        e.split for e in examples if e.split not in (*_TRAINING_SPLITS, *held_splits)
    )
    if not training:
        numbers = sorted(Counter(e.split for e in examples).items())
        text = ", ".join(f"{number} of {split!r}" for split, number in numbers)
        raise InputError(
            f"there are no rows to learn from{f', only {text}' if text else ''}",
            "name training rows; those of a val or test split are never learned from",
        )
    if not validation and share:
        scenes = _scene_numbers(training)
        names = sorted(set(scenes))
        rng = np.random.default_rng((seed, 2))
        count = min(max(1, round(share * len(names))), len(names) - 1)
        held_names = {names[index] for index in rng.permutation(len(names))[:count]}
        validation = [e for e, scene in zip(training, scenes, strict=True) if scene in held_names]
        training = [e for e, scene in zip(training, scenes, strict=True) if scene not in held_names]
    return Splits(training, validation, left_out_counts)


def balanced_subset(examples: Sequence[Example], count: int | None, seed: int) -> list[Example]:
    """Some examples, evenly from the tasks and from changed and unchanged pairs.

    Args:
        examples: All examples.
        count: Number of examples wanted; None for all.
        seed: Seed of the choice.
    """
    if count is None or count >= len(examples):
        return list(examples)
    rng = np.random.default_rng((seed, 3))
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index in rng.permutation(len(examples)).tolist():
        example = examples[index]
        kinds[str(example.task), str(example.changed)].append(index)
    subset: list[int] = []
    queues = [kinds[kind] for kind in sorted(kinds)]
    while len(subset) < count:
        for queue in queues:
            if queue and len(subset) < count:
                subset.append(queue.pop())
    return [examples[index] for index in sorted(subset)]


def count_leaks(splits: Splits) -> int:
    """Number of held-out rows that show a picture or a location which is also learned from.

    Tiles of one scene may lie in both splits: whoever cut them can have kept them apart on the
    ground.
    """
    training_keys = {key for keys in _pictures_and_locations(splits.training) for key in keys}
    validation_keys = _pictures_and_locations(splits.validation)
    return sum(not training_keys.isdisjoint(keys) for keys in validation_keys)


def _scene_numbers(examples: Sequence[Example]) -> list[int]:
    """A number of the ground that each example shows, the same for all that share some of it."""
    keys = _pictures_and_locations(examples)
    for example, own_keys in zip(examples, keys, strict=True):
        if example.scene_window is not None:
            own_keys.add(("scene", example.scene_window.scene))
    return connected_groups(keys)


def _pictures_and_locations(examples: Sequence[Example]) -> list[set[tuple[str, str]]]:
    # Many rows speak of one picture, and to resolve a path asks the disk.
    paths = {path for example in examples for path in example.paths}
    real = {path: str(path.resolve()) for path in paths}
    keys = [{("picture", real[path]) for path in example.paths} for example in examples]
    for example, own_keys in zip(examples, keys, strict=True):
        if example.location:
            own_keys.add(("location", example.location))
    return keys
