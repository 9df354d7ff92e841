"""Exchanges the after images among pairs: a model that looks calls the new pairs changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError

Size = tuple[int, ...]
"""Height and width of the images of a pair, in pixels, and whatever else must be equal."""

_HINT = "give more pairs, or leave out --exchange"


def exchange_partners(
    sizes: Sequence[Size], groups: Sequence[str], seed: int = 0
) -> dict[int, int]:
    """The number of the pair whose after image each pair is given.

    Each after image is given away at most once, only to a pair of the same size and of another
    group. Pairs for which there is none are left out.

    Args:
        sizes: Sizes of the pairs.
        groups: Names of the groups of pairs that share images or show one place.
        seed: Seed of the choice; the same gives the same.

    Returns:
        Numbers of the giving pairs by those of the pairs that are given their images, in order.

    Raises:
        InputError: If no images can be exchanged.
    """
    if len(sizes) < 2:
        raise InputError("there is one pair only, so there are no images to exchange", _HINT)
    partners: dict[int, int] = {}
    for size in sorted(set(sizes)):
        numbers = [number for number, of_pair in enumerate(sizes) if of_pair == size]
        partners |= _partners_of_one_size(numbers, groups, np.random.default_rng([seed, *size]))
    if not partners:
        if len(set(sizes)) == len(sizes):
            raise InputError(
                f"no two of {len(sizes)} pairs have images of one size, so none can be exchanged",
                "cut the images to one size, or leave out --exchange",
            )
        raise InputError("all pairs of one size share images, so none can be exchanged", _HINT)
    return dict(sorted(partners.items()))


def _partners_of_one_size(
    numbers: Sequence[int], groups: Sequence[str], random: np.random.Generator
) -> dict[int, int]:
    """A derangement of pairs that keeps no image within its group.

    The pairs stand in a ring, those of a group side by side, and each is given the image that
    stands further along by at least the size of the largest group.
    """
    members: dict[str, list[int]] = {}
    for number in numbers:
        members.setdefault(groups[number], []).append(number)
    blocks = [_shuffled(of_group, random) for _, of_group in sorted(members.items())]
    largest = max(blocks, key=len)
    other_pairs = len(numbers) - len(largest)
    # Of a group that holds more than half, as many pairs as the other groups have can be given one.
    del largest[other_pairs:]
    order = np.concatenate([blocks[index] for index in random.permutation(len(blocks))])
    if not len(order):
        return {}
    longest = max(map(len, blocks))
    step = int(random.integers(longest, len(order) - longest + 1))
    return dict(zip(order.tolist(), np.roll(order, -step).tolist(), strict=True))


def _shuffled(numbers: Sequence[int], random: np.random.Generator) -> list[int]:
    order: NDArray[np.int64] = random.permutation(np.array(numbers, np.int64))
    return [int(number) for number in order]
