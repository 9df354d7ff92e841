"""The splits of a data set by name, and which entries must stay in one split."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Sequence

SPLITS = ("train", "val", "test")
"""Names of the splits."""

_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
_NAMES |= {"test": "test", "testing": "test"}


def split_of_name(name: str) -> str:
    """The split that a file's name tells; empty where it tells none, or several."""
    splits = {_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _NAMES}
    return splits.pop() if len(splits) == 1 else ""


def usual_split(text: str) -> str:
    """The split that a row tells, by its usual name where it has one."""
    return split_of_name(text) or text


def connected_groups(keys: Sequence[Collection[Hashable]]) -> list[int]:
    """Index of the first entry that each entry is connected with; its own index where alone.

    Args:
        keys: Keys of each entry; two entries are connected where they share a key, or where a
            chain of such entries leads from one to the other.
    """
    import numpy as np

    from geochg.geometry.pieces import number_groups

    if not keys:
        return []
    number: dict[Hashable, int] = {}
    links = [
        (index, len(keys) + number.setdefault(key, len(number)))
        for index, of_entry in enumerate(keys)
        for key in of_entry
    ]
    rows, cols = np.array(links, np.int64).reshape(-1, 2).T
    label = number_groups(rows, cols, len(keys) + len(number))
    _, first, group = np.unique(label[: len(keys)], return_index=True, return_inverse=True)
    return [int(index) for index in first[group]]
