"""Singular and plural of English nouns: the rules, and the exceptions that maps know.

Words of other languages go through unharmed where they hold letters that English does not have;
elsewhere a form too many does no harm, because both forms of a noun mean the same.
"""

from __future__ import annotations

import re

_IRREGULAR = {
    "bus": "buses",
    "foot": "feet",
    "gas": "gases",
    "leaf": "leaves",
    "man": "men",
    "person": "people",
    "series": "series",
    "shelf": "shelves",
}
_UNCOUNTABLE = frozenset(
    "asphalt bareland concrete cropland damage debris farmland gravel grassland greenery ground"
    " housing ice land mud rubble sand scrub shrubland snow soil vegetation wasteland water"
    " woodland".split()
)
"""Nouns without a plural, such as the last word of `burnt ground`."""

_SINGULARS = {plural: singular for singular, plural in _IRREGULAR.items()}


def plural_of(noun: str) -> str:
    """Several of a noun: `solar panels`, `factories`; a plural stays as it is."""
    head, last_word = _split(noun)
    is_known = last_word.isascii() and last_word.lower() not in _UNCOUNTABLE
    if not is_known or singular_of(noun) != noun:
        return noun
    return head + _plural_word(last_word)


def singular_of(noun: str) -> str:
    """One of a noun: `solar panel`, `factory`; a singular stays as it is."""
    head, last_word = _split(noun)
    return head + _singular_word(last_word) if last_word.isascii() else noun


def _split(noun: str) -> tuple[str, str]:
    """What stands before the last word, and that word."""
    head, blank, last_word = noun.rpartition(" ")
    return head + blank, last_word


def _plural_word(word: str) -> str:
    if word.lower() in _IRREGULAR:
        return word[:1] + _IRREGULAR[word.lower()][1:]
    if re.search(r"[^aeiou]y$", word, re.IGNORECASE):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(?:s|x|z|ch|sh)$", word, re.IGNORECASE) else f"{word}s"


def _singular_word(word: str) -> str:
    lower_word = word.lower()
    if lower_word in _SINGULARS:
        return word[:1] + _SINGULARS[lower_word][1:]
    if len(word) < 4 or re.search(r"(?:ss|us|is)$", lower_word) or lower_word in _IRREGULAR:
        return word
    if lower_word.endswith("ies"):
        return f"{word[:-3]}y"
    if re.search(r"(?:[sxz]|ch|sh)es$", lower_word) and not re.search(r"(?:ou|[aeir])ses$", word):
        return word[:-2]
    return word[:-1] if lower_word.endswith("s") else word
