"""Which entries belong together because they share something, at first or second hand."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence


def connected_groups(keys: Sequence[Collection[Hashable]]) -> list[int]:
    """Of each entry the place of the first one that it is connected with; its own where alone.

    Args:
        keys: Of each entry; two entries are connected where they share a key, or where a chain of
            such entries leads from one to the other.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not keys:
        return []
    number: dict[Hashable, int] = {}
    links = [
        (place, len(keys) + number.setdefault(key, len(number)))
        for place, each in enumerate(keys)
        for key in each
    ]
    rows, cols = np.array(links, np.int64).reshape(-1, 2).T
    count = len(keys) + len(number)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, cols)), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    _, first, of_entry = np.unique(label[: len(keys)], return_index=True, return_inverse=True)
    return [int(place) for place in first[of_entry]]
