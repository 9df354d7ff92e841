"""Which pairs a threshold is fitted on, and which it is judged by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geochg.errors import InputError
from geochg.evaluation.predictions import Prediction


def fit_groups(rows: Sequence[Prediction], share: float, seed: int) -> frozenset[str]:
    """The groups to fit on; pairs that share a picture and tiles of one pair stay together.

    Groups in which something changed and the others are divided by themselves, so that both sides
    have their part of each. It depends on the seed and on which groups there are, not on their
    order.

    Args:
        rows: What is to be divided.
        share: Of the groups (0-1) that are fitted on; at least one is left over where there are
            two.
        seed: Of the choice.

    Raises:
        InputError: If that leaves only changed or only unchanged items to fit on, or none to judge
            by.
    """
    changed = {row.group for row in rows if row.changed}
    kinds = (sorted(changed), sorted({row.group for row in rows} - changed))
    random = np.random.default_rng(seed)
    chosen: set[str] = set()
    for groups in kinds:
        order = random.permutation(len(groups))
        taken = min(max(round(share * len(groups)), 1), len(groups) - 1)
        chosen |= {groups[place] for place in order[: max(taken, 0)]}
    truths = {row.changed for row in rows if row.group in chosen}
    if len(truths) < 2:
        what = "no" if not truths else "no unchanged" if True in truths else "no changed"
        raise InputError(
            f"there is {what} pair to fit a threshold on, of {len(rows)} in "
            f"{len(kinds[0]) + len(kinds[1])} groups that share no picture",
            "give more pairs of both kinds, or another --fit-share",
        )
    return frozenset(chosen)
