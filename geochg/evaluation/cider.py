"""CIDEr-D (Vedantam et al. 2015): how much a caption says what people agree on.

Ours, because pycocoevalcap, which has it, brings 101 MB with it; the tests hold it against that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LONGEST = 4
"""Words of the longest n-grams compared."""

SIGMA = 6.0
"""Words by which the lengths may differ before that costs much."""

_SCALE = 10.0

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Vector:
    """A text as weights of its n-grams.

    Attributes:
        weights: Of each n-gram, by its length less one.
        norms: Their Euclidean lengths.
        pairs: Number of neighbouring words, by which lengths are compared.
    """

    weights: tuple[Mapping[Gram, float], ...]
    norms: tuple[float, ...]
    pairs: int


class CiderD:
    """Scores texts against references; how rare an n-gram is comes from all references.

    Args:
        references: Of each item the words of its references.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[str]]]) -> None:
        grams = [[_grams(one) for one in each] for each in references]
        self._found_in = Counter(gram for each in grams for gram in set().union(*each))
        self._most = math.log(len(references)) if references else 0.0
        self._references = [[self._vector(one) for one in each] for each in grams]

    def scores(self, said: Sequence[Sequence[str]]) -> list[float]:
        """The score of each item, from 0 to 10.

        Args:
            said: The words said of each item.
        """
        return [
            self._score(self._vector(_grams(one)), references)
            for one, references in zip(said, self._references, strict=True)
        ]

    def _vector(self, grams: Mapping[Gram, int]) -> _Vector:
        weights: tuple[dict[Gram, float], ...] = tuple({} for _ in range(LONGEST))
        for gram, times in grams.items():
            rarity = self._most - math.log(max(1, self._found_in[gram]))
            weights[len(gram) - 1][gram] = times * rarity
        norms = tuple(math.sqrt(sum(w * w for w in each.values())) for each in weights)
        return _Vector(weights, norms, sum(n for gram, n in grams.items() if len(gram) == 2))

    def _score(self, said: _Vector, references: Sequence[_Vector]) -> float:
        total = sum(_likeness(said, reference) for reference in references)
        return _SCALE * total / len(references)


def _grams(words: Sequence[str]) -> Counter[Gram]:
    return Counter(
        tuple(words[start : start + length])
        for length in range(1, LONGEST + 1)
        for start in range(len(words) - length + 1)
    )


def _likeness(said: _Vector, reference: _Vector) -> float:
    """Mean over the lengths of n-grams, 0-1; what is said too often counts no more."""
    gap = said.pairs - reference.pairs
    penalty = math.exp(-(gap**2) / (2 * SIGMA**2))
    total = 0.0
    for length in range(LONGEST):
        theirs, norm = reference.weights[length], said.norms[length] * reference.norms[length]
        if norm:
            shared = (
                min(weight, theirs[gram]) * theirs[gram]
                for gram, weight in said.weights[length].items()
                if gram in theirs
            )
            total += sum(shared) / norm
    return penalty * total / LONGEST
