"""Whether a short statement says that something changed, or that nothing did.

A statement is read only when every word of it is known, because one unknown word ("except",
"only") can turn its meaning round.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from geochg.tasks.lexicon import CHANGED, DIRECTIONS, is_noun
from geochg.tasks.reply_text import sentences

NO_CHANGE_SENTENCES = (
    "there is no difference",
    "the two scenes seem identical",
    "the scene is the same as before",
    "no change has occurred",
    "almost nothing has changed",
)
"""The captions that mean no change in LEVIR-CC and ChangeChat-105k, as in the data."""


class Verdict(Enum):
    """The meaning of a statement about the pair."""

    CHANGED = auto()
    UNCHANGED = auto()
    PARTLY_UNCHANGED = auto()
    """Only that some kinds of things or of changes are absent."""
    NOTHING_SAID = auto()
    """All words are known, but together they tell nothing, or too much."""
    NOT_UNDERSTOOD = auto()


_NEGATIONS = frozenset("no not nothing none never without false zero 0".split())
_SAME = frozenset("same identical unchanged".split())
_DEGREES = frozenset("many several few all very quite".split())
# How clear a change is; that no clear change is seen counts as no change.
_CLARITY = frozenset(
    "obvious significant visible noticeable apparent clear discernible detectable observable"
    " evident notable major substantial real".split()
)
_COMPARED = frozenset(
    "the these those this that two 2 both a an any it they we i image images picture pictures"
    " photo photos scene scenes pair area areas region place location land ground site date dates"
    " time times first second before after and or as with between in of to at on from across within"
    " over among during than".split()
)
_FRAME = frozenset(
    "there here is are was were be been being has have had do does did can could see seen observe"
    " observed notice noticed detect detected find found show shows shown seem seems appear appears"
    " look looks remain remains remained stay stays stayed occur occurs occurred happen happened"
    " take taken exist exists made yes true almost nearly virtually basically essentially exactly"
    " completely largely mostly some whatsoever".split()
)
# "appear" frames ("appear to be the same") as often as it tells a change ("houses appear").
_TELLING = DIRECTIONS.keys() - _FRAME
_KNOWN = frozenset().union(
    _NEGATIONS, _SAME, _DEGREES, _CLARITY, _COMPARED, _FRAME, _TELLING, CHANGED
)
_NEGATED = frozenset().union(_CLARITY, _TELLING, CHANGED, {"two"})


def verdict(sentence: str) -> Verdict:
    """The meaning of one sentence of a `plain_text`.

    "There are no changes", "nothing has changed", "the scenes look the same" are `UNCHANGED`;
    "no new buildings" and "no changes in roads" are `PARTLY_UNCHANGED`.
    """
    words = _once(re.findall(r"[a-z0-9]+", sentence.replace("at all", "")))
    known_words = set(words)
    nouns = set(filter(is_noun, known_words))
    if not words or not known_words - nouns <= _KNOWN:
        return Verdict.NOT_UNDERSTOOD
    says_same = not known_words.isdisjoint(_SAME)
    changed = not known_words.isdisjoint(CHANGED | _TELLING) or (
        "nothing" in known_words and not says_same
    )
    if changed == says_same:
        return Verdict.NOTHING_SAID
    negations = [index for index, word in enumerate(words) if word in _NEGATIONS]
    if changed != bool(negations):
        return Verdict.CHANGED
    if negations and not _is_plain_negation(words, negations):
        return Verdict.NOTHING_SAID
    partly = bool(nouns) or not known_words.isdisjoint(_TELLING)
    return Verdict.PARTLY_UNCHANGED if partly else Verdict.UNCHANGED


def _is_plain_negation(words: list[str], negations: list[int]) -> bool:
    """Whether a statement of change is negated once, as a whole, and not by degrees."""
    # "No, they changed" answers and then states; "not many changes" leaves some; in "no change
    # before, changes after" only one of the two is negated.
    index = negations[0]
    following = words[index + 1 : index + 2]
    negates = words[index] not in {"no", "zero", "0", "false"} or all(
        word in _NEGATED or is_noun(word) for word in following
    )
    joined = "or" in words or sum(word in CHANGED for word in words) <= 1
    return len(negations) == 1 and negates and joined and _DEGREES.isdisjoint(words)


def _once(words: list[str]) -> list[str]:
    """The words of a sentence that a model said once or several times over."""
    for length in range(1, len(words) // 2 + 1):
        if len(words) % length == 0 and words == words[:length] * (len(words) // length):
            return words[:length]
    return words


def all_unchanged(text: str) -> bool:
    """Whether every statement of a `plain_text` says that nothing changed."""
    stated = sentences(text)
    return bool(stated) and all(verdict(sentence) is Verdict.UNCHANGED for sentence in stated)


def claims_change(sentence: str) -> bool:
    """Whether a sentence names a change and negates nothing, whatever else it says."""
    words = set(re.findall(r"[a-z0-9]+", sentence))
    names_change = not words.isdisjoint(CHANGED | DIRECTIONS.keys())
    return names_change and words.isdisjoint(_NEGATIONS | _SAME)


def leading_answer(sentence: str) -> tuple[bool | None, str]:
    """The yes or no that a sentence begins with, and the rest of it.

    "No changes" begins with no such answer: its "no" belongs to the noun.
    """
    match = re.match(r"(?P<lead>yes|no)\b(?P<stop>\s*(?:[,:()-]|$))?\s*(?P<rest>.*)", sentence)
    if not match or (match["lead"] == "no" and match["stop"] is None and not _answers(sentence)):
        return None, sentence
    return match["lead"] == "yes", match["rest"].strip(" ,:()-")


def _answers(sentence: str) -> bool:
    """Whether a "no" without a comma after it is an answer, as in "no there is no difference"."""
    return re.match(r"no (?:there|the|these|they|it|nothing|no)\b", sentence) is not None
