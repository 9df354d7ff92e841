"""How likely a model held the words of its answer, from the `logprobs` of an endpoint.

A choice between words is as likely as the mass of all tokens that begin its word, of the mass of
all tokens that begin any of the words, at the place where the answer gives one of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

LEAST_TOKENS = 2
"""Tokens that a server must list at a place; of one alone nothing is known about the others."""

MOST_UNLISTED = 0.01
"""Of the mass of the listed words, the most that one that is not listed may have at its place for
the shares to be known."""

_BEFORE_WORD = re.compile(r"^[\W_]+")


class TokenChoices(NamedTuple):
    """A token of an answer, and the likeliest tokens at its place.

    Attributes:
        text: The token's text.
        logprobs: Log probability of each listed token by its text.
    """

    text: str
    logprobs: Sequence[tuple[str, float]]


def token_choices(choice: Any) -> list[TokenChoices]:
    """The tokens of an answer; none where the server tells nothing of use about them.

    Args:
        choice: The choice of OpenAI's client, with whatever the server put into it.
    """
    content = _member(_member(choice, "logprobs"), "content")
    if not isinstance(content, Sequence) or isinstance(content, str):
        return []
    tokens = []
    for entry in content:
        text = _member(entry, "token")
        if not isinstance(text, str):
            return []
        top_tokens = _member(entry, "top_logprobs")
        entries = list(top_tokens) if isinstance(top_tokens, Sequence) else []
        pairs = [(_member(item, "token"), _member(item, "logprob")) for item in entries]
        tokens.append(TokenChoices(text, [pair for pair in pairs if _is_listed(*pair)]))
    return tokens


def word_shares(
    tokens: Sequence[TokenChoices], answer: str, position: int, words: Sequence[str]
) -> dict[str, float] | None:
    """The share of each word where an answer gives one of them; None where it is not known.

    Args:
        tokens: The tokens of the model's text.
        answer: The answer, a part of that text.
        position: Where the word begins in the answer.
        words: The words to choose between, in lower case.
    """
    start = "".join(token.text for token in tokens).rfind(answer)
    if start < 0 or not answer:
        return None
    end = 0
    for token in tokens:
        end += len(token.text)
        if end > start + position:
            return _shares(token, words)
    return None


def _shares(token: TokenChoices, words: Sequence[str]) -> dict[str, float] | None:
    if len(token.logprobs) < LEAST_TOKENS:
        return None
    masses = dict.fromkeys(words, 0.0)
    for text, logprob in dict(token.logprobs).items():
        for word in words:
            if _begins(text, word):
                masses[word] += math.exp(min(logprob, 0.0))
    total = sum(masses.values())
    # A word that is not listed may be as likely as the least that is, or have all of the rest.
    listed_masses = [math.exp(min(logprob, 0.0)) for logprob in dict(token.logprobs).values()]
    unlisted = min(min(listed_masses), 1.0 - sum(listed_masses))
    if min(masses.values()) == 0 and unlisted > MOST_UNLISTED * total:
        return None
    return {word: mass / total for word, mass in masses.items()} if total > 0 else None


def _begins(text: str, word: str) -> bool:
    """Whether a token begins a word: "N", " no" and "No." begin "no", and "not" does not."""
    plain = _BEFORE_WORD.sub("", text.lower())
    if not plain:
        return False
    return word.startswith(plain) or (plain.startswith(word) and not plain[len(word)].isalpha())


def _is_listed(text: object, logprob: object) -> bool:
    is_number = isinstance(logprob, int | float) and not isinstance(logprob, bool)
    return isinstance(text, str) and is_number and not math.isnan(float(logprob))  # type: ignore[arg-type]


def _member(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, Mapping) else getattr(part, name, None)
