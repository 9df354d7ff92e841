"""CIDEr-D and ROUGE-L as the caption papers compute them, and the words that they count.

Both are our own, because pycocoevalcap, which has them, brings 101 MB; the tests hold them
against it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NOT = re.compile(r"(?<=\w)n['\u2019]t\b")
_CLITIC = re.compile(r"(?<=\w)['\u2019](s|re|ve|ll|d|m)\b")
_CANNOT = re.compile(r"\bcannot\b")
_WORD = re.compile(r"\d+(?:[.,]\d+)+|n't\b|'(?:s|re|ve|ll|d|m)\b|\w+(?:-\w+)*|[%&$]")


def words(text: str) -> list[str]:
    """The words of a text: lower case, without punctuation and brackets.

    Stands in for the Penn Treebank tokenizer of Stanford's, which needs Java and by which papers
    count words before BLEU, ROUGE-L, CIDEr-D and METEOR: `top-left` is one word, `don't` is `do`
    and `n't`, `3.5` is one number. On captions the two agree (tested); brackets are dropped here
    and are words there.
    """
    text = _NOT.sub(" n't", _CANNOT.sub("can not", text.lower()))
    return _WORD.findall(_CLITIC.sub(r" '\1", text))


# --- CIDEr-D -------------------------------------------------------------------------------------

LONGEST = 4
"""Words of the longest n-grams compared."""

SIGMA = 6.0
"""Words by which the lengths may differ before that costs much."""

_SCALE = 10.0

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Vector:
    """A text as weights of its n-grams by length less one, their norms, and its word pairs."""

    weights: tuple[Mapping[Gram, float], ...]
    norms: tuple[float, ...]
    pairs: int


class CiderD:
    """CIDEr-D (Vedantam et al. 2015); how rare an n-gram is comes from all references.

    Args:
        references: References of each item, as words.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[str]]]) -> None:
        grams = [[_grams(text) for text in group] for group in references]
        self._items_with = Counter(gram for group in grams for gram in set().union(*group))
        self._log_items = math.log(len(references)) if references else 0.0
        self._references = [[self._vector(text) for text in group] for group in grams]

    def scores(self, texts: Sequence[Sequence[str]]) -> list[float]:
        """The score of each item, from 0 to 10.

        Args:
            texts: Words of one text for each item.
        """
        return [
            self._score(self._vector(_grams(text)), references)
            for text, references in zip(texts, self._references, strict=True)
        ]

    def _vector(self, grams: Mapping[Gram, int]) -> _Vector:
        weights: tuple[dict[Gram, float], ...] = tuple({} for _ in range(LONGEST))
        for gram, times in grams.items():
            rarity = self._log_items - math.log(max(1, self._items_with[gram]))
            weights[len(gram) - 1][gram] = times * rarity
        norms = tuple(math.sqrt(sum(w * w for w in of_length.values())) for of_length in weights)
        return _Vector(weights, norms, sum(n for gram, n in grams.items() if len(gram) == 2))

    def _score(self, text: _Vector, references: Sequence[_Vector]) -> float:
        total = sum(_similarity(text, reference) for reference in references)
        return _SCALE * total / len(references)


def _grams(text: Sequence[str]) -> Counter[Gram]:
    return Counter(
        tuple(text[start : start + length])
        for length in range(1, LONGEST + 1)
        for start in range(len(text) - length + 1)
    )


def _similarity(text: _Vector, reference: _Vector) -> float:
    """Mean over the lengths of n-grams, 0-1; an n-gram that occurs too often counts no more."""
    gap = text.pairs - reference.pairs
    penalty = math.exp(-(gap**2) / (2 * SIGMA**2))
    total = 0.0
    for length in range(LONGEST):
        weights, norm = reference.weights[length], text.norms[length] * reference.norms[length]
        if norm:
            shared = (
                min(weight, weights[gram]) * weights[gram]
                for gram, weight in text.weights[length].items()
                if gram in weights
            )
            total += sum(shared) / norm
    return penalty * total / LONGEST


# --- ROUGE-L -------------------------------------------------------------------------------------

BETA = 1.2
"""How much more recall counts than precision (in the evaluation of COCO captions)."""


def coco_rouge_l(text: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """F of the longest common subsequence, 0-1, with the best precision and the best recall.

    Args:
        text: Words of the text; compared as they are, not stemmed.
        references: Words of each reference; at least one.
    """
    if not text:
        return 0.0
    common = [_common_length(text, reference) for reference in references]
    precision = max(common) / len(text)
    recall = max(
        shared / len(reference) if reference else 0.0
        for shared, reference in zip(common, references, strict=True)
    )
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common_length(text: Sequence[str], reference: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(reference) + 1)
    for word in text:
        before = row
        row = [0]
        for column, other in enumerate(reference):
            longer = before[column] + 1 if word == other else max(before[column + 1], row[-1])
            row.append(longer)
    return row[-1]
