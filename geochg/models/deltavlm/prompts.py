"""Prompts as rows of tokens, for torch and for ONNX Runtime alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class PaddedRows(NamedTuple):
    """Rows of one length.

    Attributes:
        ids: `(rows, tokens)` int64.
        mask: `(rows, tokens)` int64, 1 where there is a token.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


def shortened_prompt(ids: Sequence[int], room: int) -> list[int]:
    """At most `room` tokens: the start token stays; what is too long loses the words after it."""
    return list(ids) if len(ids) <= room else [ids[0], *ids[1 - room :]]


def left_padded(rows: Sequence[Sequence[int]], filler: int) -> PaddedRows:
    """Rows that end together, as generation wants its prompts."""
    return _pad(rows, filler, left=True)


def right_padded(rows: Sequence[Sequence[int]], filler: int) -> PaddedRows:
    """Rows that begin together."""
    return _pad(rows, filler, left=False)


def _pad(rows: Sequence[Sequence[int]], filler: int, *, left: bool) -> PaddedRows:
    longest = max(map(len, rows))
    ids = np.full((len(rows), longest), filler, np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        columns = slice(longest - len(row), None) if left else slice(len(row))
        ids[index, columns] = row
        mask[index, columns] = 1
    return PaddedRows(ids, mask)
