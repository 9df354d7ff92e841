"""ROUGE-L as the caption papers compute it, which is not that of GeoLLaVA and of `rouge_score`."""

from __future__ import annotations

from collections.abc import Sequence

BETA = 1.2
"""How much more recall counts than precision (in the evaluation of COCO captions)."""


def coco_rouge_l(said: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """F of the longest common subsequence, 0-1, with the best precision and the best recall.

    Args:
        said: Words.
        references: Words of each; at least one. Words are compared as they are, not stemmed.
    """
    if not said:
        return 0.0
    common = [_common(said, reference) for reference in references]
    precision = max(common) / len(said)
    recall = max(
        shared / len(reference) if reference else 0.0
        for shared, reference in zip(common, references, strict=True)
    )
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = row
        row = [0]
        for place, another in enumerate(other):
            longer = before[place] + 1 if word == another else max(before[place + 1], row[-1])
            row.append(longer)
    return row[-1]
