"""Texts as words, the way the caption papers count them."""

from __future__ import annotations

import re

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
