"""Confidence intervals of shares and of scores, which heed that some items belong together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from geochg.evaluation.tables import Interval

ROUNDS = 1000
PERCENTILES = (2.5, 97.5)
"""Bootstrap samples behind an interval, and the ends of it."""

_Z = 1.959963984540054
"""The standard normal distribution has 95 % of its mass within this."""


def share_interval(hits: NDArray[np.bool_], groups: Sequence[str]) -> Interval | None:
    """The interval of a share, 95 %, after Wilson (1927); None of no items.

    Items of one group are alike: where they are more alike than chance makes them, they count as
    the fewer independent items that have the same variance (the design effect of Kish 1965). Of a
    share of 0 or 1 that variance cannot be seen, and each group counts as one item.

    Args:
        hits: `(items,)`.
        groups: `(items,)`, names of groups, such as the tiles of one picture.
    """
    if not len(hits):
        return None
    share, items = float(np.mean(hits)), _independent_items(hits, groups)
    spread = _Z**2 / items
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * sqrt(share * (1 - share) / items + spread / (4 * items)) / (1 + spread)
    # Rounding must not put the share itself outside.
    return Interval(max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0))


def _independent_items(hits: NDArray[np.bool_], groups: Sequence[str]) -> float:
    _, index = np.unique(np.asarray(groups, np.str_), return_inverse=True)
    sizes = np.bincount(index).astype(float)
    share, items = float(np.mean(hits)), len(hits)
    if share in (0, 1) or len(sizes) == 1:
        return float(len(sizes))
    gaps = np.bincount(index, hits.astype(float)) - share * sizes
    group_variance = float((gaps**2).sum()) * len(sizes) / (len(sizes) - 1)
    item_variance = items * share * (1 - share) * items / (items - 1)
    design_effect = max(group_variance / item_variance, 1.0)
    return max(items / design_effect, 1.0)


def mean_interval(shares: Sequence[tuple[float, float, float]]) -> Interval:
    """The interval of the mean of independent shares, by their own (Zou and Donner 2008).

    Args:
        shares: Each share, and how far its interval reaches below and above it.
    """
    count = len(shares)
    middle = sum(share for share, _, _ in shares) / count
    below, above = (sqrt(sum(gaps[side] ** 2 for gaps in shares)) / count for side in (1, 2))
    return Interval(max(middle - below, 0.0), min(middle + above, 1.0))


def bootstrap_intervals(
    scores_of: Callable[[NDArray[np.intp]], Mapping[str, float | None]], groups: Sequence[str]
) -> dict[str, Interval]:
    """Intervals of scores, 95 % of a bootstrap over groups of items.

    Args:
        scores_of: Scores by name of the items at some indexes, which may occur more than once.
        groups: `(items,)`, names of groups; those of one group are drawn together.

    Returns:
        Intervals by the names of scores; none for a single group, and none of a score that no
        sample has.
    """
    _, index = np.unique(np.asarray(groups, np.str_), return_inverse=True)
    members = [np.flatnonzero(index == number) for number in range(int(index.max(initial=-1)) + 1)]
    if len(members) < 2:
        return {}
    random = np.random.default_rng(0)
    values: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        numbers = random.integers(0, len(members), len(members))
        scores = scores_of(np.concatenate([members[number] for number in numbers]))
        for name, value in scores.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    ends = {name: np.percentile(of_name, PERCENTILES) for name, of_name in values.items()}
    return {name: Interval(float(low), float(high)) for name, (low, high) in ends.items()}
