"""Prompts as rows of numbers, for torch and for ONNX Runtime alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Padded(NamedTuple):
    """Rows of one length.

    Attributes:
        ids: `(rows, tokens)` int64.
        mask: Likewise, 1 where there is a token.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


def shortened(ids: Sequence[int], room: int) -> list[int]:
    """At most `room` tokens: the start token stays; what is too long loses the words after it."""
    return list(ids) if len(ids) <= room else [ids[0], *ids[1 - room :]]


def left_padded(rows: Sequence[Sequence[int]], filler: int) -> Padded:
    """Rows that end together, as generation wants its prompts."""
    return _padded(rows, filler, left=True)


def right_padded(rows: Sequence[Sequence[int]], filler: int) -> Padded:
    """Rows that begin together."""
    return _padded(rows, filler, left=False)


def _padded(rows: Sequence[Sequence[int]], filler: int, *, left: bool) -> Padded:
    longest = max(map(len, rows))
    ids = np.full((len(rows), longest), filler, np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        where = slice(longest - len(row), None) if left else slice(len(row))
        ids[place, where] = row
        mask[place, where] = 1
    return Padded(ids, mask)
