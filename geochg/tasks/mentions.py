"""The classes that a sentence mentions, with their numbers: the scanner behind the count task.

The words are read once, left to right. Whatever could change the meaning and is not understood (a
number without a noun, a class without a number, a negation of a number) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from geochg.records import Change
from geochg.tasks.base import NonsenseError
from geochg.tasks.lexicon import (
    ADJECTIVES,
    ARTICLES,
    CHANGED,
    DIRECTIONS,
    NUMBERS,
    USUAL_LEXICON,
    Lexicon,
)

MOST_OBJECTS = 10_000
"""More changed objects than this in one tile are not believed."""

_TOKEN = re.compile(
    r"\d+-[a-z]+(?:-[a-z]+)*"  # 3-story
    r"|[-+]?\d+(?:[.,]\d+)*[\w+%]*"
    r"|[a-z]+(?:[-'][a-z]+)*"
    r"|[,:=(]|(?<=\s)-(?=\s)"
)
_CLAUSE_BREAK = re.compile(r"\b(?:but|however|while|whereas|although|though|yet)\b")
_QUALITIES = r"(?:(?:obvious|significant|visible|noticeable|apparent|clear) )*"
_CHANGE = r"(?:changes?|differences?)\b"
_LINKED = r"(?:in|to|for|of|among|on|at|regarding)\b"
_PHRASES = (
    (re.compile(r"\bappears? to\b"), "seem to"),
    (re.compile(r"\bno longer\b(?: (?:exists?|present|there|visible))?"), "disappeared"),
    (
        re.compile(rf"\b(?:no|not any|without(?: any)?) {_QUALITIES}{_CHANGE}(?! {_LINKED})"),
        "unchanged",
    ),
    (re.compile(rf"\b(?:no|not any) {_QUALITIES}{_CHANGE}"), "no changes"),
    (re.compile(rf"\bno (?:other|further|additional|more) {_CHANGE}"), ""),
    (
        re.compile(
            r"\b(?:remain\w*|stay\w*|is|are|was|were) (?:\w+ )?(?:the same|identical|as before)\b"
        ),
        "unchanged",
    ),
    (re.compile(r",? (?=(?:or|nor)\b)"), " "),
)
_LOOSE = re.compile(
    r"\b(?:at (?:least|most)|(?:more|less|fewer|greater) than|up to|(?:over|under|above|below)"
    r" (?=\d)|between (?=\d))"
)

_OPENERS = frozenset("no neither nor without".split())
_DENIALS = frozenset("not never none unchanged".split())
_CHANGE_NOUNS = CHANGED | {"number"}
_LINKS = frozenset("in to of on the for".split())
_PLACES = frozenset(
    "along alongside beside besides near nearby next around on at onto across behind opposite"
    " between beyond through toward towards adjacent side sides edge end corner".split()
)
_PLACE_LINKS = frozenset("to of the a an".split())
_PICTURES = frozenset("image images picture pictures photo photos scene scenes date dates".split())
_ORDINALS = frozenset("first second former latter other this that earlier later".split())
_SUBORDINATORS = frozenset("where when after before because since as with".split())
_COPULAS = frozenset("is are was were".split())
_INCLUSION = frozenset("including include includes comprising consisting namely".split())


@dataclass(slots=True)
class Mention:
    """A class as one sentence mentions it.

    Attributes:
        class_name: One of the classes of the lexicon.
        noun: The noun used, in singular.
        number: Number of objects; None while the sentence has given none.
        directions: Directions stated for it.
    """

    class_name: str
    noun: str
    number: int | None = None
    directions: set[Change] = field(default_factory=set)


def mentions_in(sentence: str, lexicon: Lexicon = USUAL_LEXICON) -> list[Mention]:
    """The classes that one sentence of a `plain_text` mentions.

    Args:
        sentence: The sentence, with nouns as `Lexicon.marked` writes them.
        lexicon: The nouns that are known.

    Raises:
        NonsenseError: If a part of it that matters is not understood.
    """
    if loose := _LOOSE.search(sentence):
        raise NonsenseError(f"'{loose[0].strip()}' is not a number")
    mentions = []
    for clause in _CLAUSE_BREAK.split(sentence):
        for phrase, meaning in _PHRASES:
            clause = phrase.sub(meaning, clause)
        mentions += _Clause(_TOKEN.findall(clause), lexicon).read()
    return mentions


def number_in(token: str) -> int | None:
    """The number a token stands for, None for a token that is no number.

    Raises:
        NonsenseError: For a negative, broken or absurd number.
    """
    if token in NUMBERS:
        return NUMBERS[token]
    if not re.match(r"[-+]?\d", token) or re.match(r"\d+-[a-z]", token):
        return None
    if not re.fullmatch(r"\d{1,3}(?:,\d{3})+|\d+", token):
        raise NonsenseError(f"'{token}' is not a count")
    digits = token.replace(",", "").lstrip("0") or "0"
    # Digits beyond some number are not even converted.
    if len(digits) > len(str(MOST_OBJECTS)) or int(digits) > MOST_OBJECTS:
        raise NonsenseError(f"{token[:20]} is more than can be counted in a tile")
    return int(digits)


class _Clause:
    """One pass over the tokens of a clause."""

    def __init__(self, tokens: list[str], lexicon: Lexicon) -> None:
        self.tokens = tokens
        self.nouns = lexicon.nouns
        self.index = 0
        self.mentions: list[Mention] = []
        self.open: list[Mention] = []
        """Mentions that no verb has taken up yet."""
        self.negating: str | None = None
        """The negation that applies to the nouns to come."""
        self.negated_noun = False
        self.coming: Change | None = None
        """A direction stated before its nouns, as in "removed 2 houses"."""
        self.attributes: set[Change] = set()
        self.head: Mention | None = None
        """A noun whose number comes after a colon."""

    def read(self) -> list[Mention]:
        while self.index < len(self.tokens):
            self._step(self.tokens[self.index])
        self._end_negation()
        return self.mentions

    def _step(self, token: str) -> None:
        """Reads what begins at the current place, and goes past it."""
        number = number_in(token)
        if number is not None:
            self._read_number(token, number)
        elif token in self.nouns:
            self._read_noun()
        elif token in DIRECTIONS:
            self._read_direction(DIRECTIONS[token])
        elif token in CHANGED:
            self._read_changed()
        elif token in _OPENERS:
            self._open_negation(token)
        elif token in _DENIALS:
            self._deny(token)
        elif token == ",":
            self._end_negation()
        elif token in _SUBORDINATORS:
            # "3 houses where trees were removed" tells nothing of the houses.
            self.open.clear()
        elif token in {":", "=", "-", "("} or (token in _COPULAS and self._number_follows()):
            self._expect_value(token)
        elif token in _INCLUSION and any(mention.number for mention in self.mentions):
            raise NonsenseError("it is not clear what is counted twice")
        self.index += 1

    # --- numbers and nouns ---

    def _read_number(self, token: str, number: int) -> None:
        noun_index = self._noun_after(self.index + 1)
        following = self._token(self.index + 1)
        if noun_index is not None:
            self._add_counted(token, number, noun_index)
        elif self.head is not None and self.head.number is None and token not in ARTICLES:
            self.head.number, self.head = number, None
        elif not (token in ARTICLES or following in _PICTURES or self._names_picture(token)):
            raise NonsenseError(f"'{token}' counts nothing that is known")

    def _names_picture(self, token: str) -> bool:
        previous = self._token(self.index - 1)
        return previous in _PICTURES or (token == "one" and previous in _ORDINALS)

    def _add_counted(self, token: str, number: int, noun_index: int) -> None:
        if self.negating is not None and not self.negated_noun:
            raise NonsenseError(f"'{self.negating}' before a number")
        self.negating = None
        between = self.tokens[self.index + 1 : noun_index]
        directions = {DIRECTIONS[word] for word in between if word in DIRECTIONS}
        # "Built along a road" places the houses and counts no road.
        if token in ARTICLES and not directions and self._is_location(self.index):
            self.index = noun_index
            return
        self._add(noun_index, number, directions)

    def _read_noun(self) -> None:
        noun_index = self.index
        # The last of several nouns is the thing: apartment buildings.
        while self._class(noun_index + 1) == self._class(self.index):
            noun_index += 1
        if self.negating is not None:
            self.negated_noun = True
            self._add(noun_index, 0, self.attributes)
        elif self._is_location(self.index):
            self.index = noun_index
        else:
            self._add(noun_index, None, self.attributes)
        self.attributes = set()

    def _add(self, noun_index: int, number: int | None, directions: set[Change]) -> None:
        class_name, noun = self.nouns[self.tokens[noun_index]]
        mention = Mention(class_name, noun, number, set(directions))
        if number is not None and self.coming is not None:
            mention.directions.add(self.coming)
        if self.head is not None and self.head.class_name == class_name and number is not None:
            self.mentions.remove(self.head)
        self.head = None
        self.mentions.append(mention)
        self.open.append(mention)
        self.index = noun_index
        # "Removed 2 houses and 1 road" tells the direction of both.
        if number is not None and self._token(noun_index + 1) != "and":
            self.coming = None

    def _noun_after(self, index: int) -> int | None:
        """Index of the noun that the words from `index` on describe; None if there is none."""
        if self._token(index) in _CHANGE_NOUNS and self._token(index + 1) in _LINKS:
            index += 1
            while self._token(index) in _LINKS:
                index += 1
        while self._describes(self._token(index)):
            index += 1
        if self._class(index) is None:
            return None
        while self._class(index + 1) == self._class(index):
            index += 1
        return index

    def _describes(self, token: str) -> bool:
        return token in ADJECTIVES or token in DIRECTIONS or "-" in token.strip("-+")

    def _is_location(self, index: int) -> bool:
        """Whether the noun at `index` only says where: "along the road"."""
        before = index - 1
        while self._token(before) in _PLACE_LINKS or self._describes(self._token(before)):
            before -= 1
        return self._token(before) in _PLACES

    def _class(self, index: int) -> str | None:
        return self.nouns.get(self._token(index), (None, ""))[0]

    def _token(self, index: int) -> str:
        return self.tokens[index] if 0 <= index < len(self.tokens) else ""

    # --- verbs and negations ---

    def _read_direction(self, change: Change) -> None:
        if self._noun_after(self.index) is not None:
            self.attributes.add(change)
            return
        undirected = [mention for mention in self.open if not mention.directions]
        for mention in undirected:
            mention.directions.add(change)
        if undirected or any(change in mention.directions for mention in self.open):
            self._close()
        elif self._number_follows():
            self.coming = change
        elif self.open:
            raise NonsenseError(f"it is not clear what has {change}")

    def _number_follows(self) -> bool:
        """Whether a number comes next, as in "removed 2", "removed: 2", "removal of 2"."""
        links = {":", "of", "the", "about"}
        index = self.index + 1
        while self._token(index) in links:
            index += 1
        return number_in(self._token(index)) is not None

    def _read_changed(self) -> None:
        is_noun = self._token(self.index + 1) in _LINKS
        if is_noun or self._noun_after(self.index) is not None:
            return
        if self.negating is not None and self.negated_noun and "change" in self.negating:
            raise NonsenseError("it is not clear what has changed")
        self._close()

    def _close(self) -> None:
        self.open.clear()
        if self.negated_noun:
            self.negating = None

    def _open_negation(self, token: str) -> None:
        self.negating = token
        self.negated_noun = False
        if self._token(self.index + 1) in {"change", "changes", "difference", "differences"}:
            self.negating = f"{token} change"

    def _deny(self, token: str) -> None:
        if self.open and self.open[-1].number is None:
            self._deny_open(token)
        elif self.open:
            raise NonsenseError(f"'{token}' after a number")
        elif token == "unchanged":
            raise NonsenseError("it is not clear what is unchanged")
        else:
            self._open_negation(token)

    def _deny_open(self, token: str) -> None:
        while self.open and self.open[-1].number is None:
            self.open.pop().number = 0
        if self.open and not self.open[-1].directions:
            raise NonsenseError(f"'{token}' after a number")
        self.head = None

    def _end_negation(self) -> None:
        if self.negating is not None and not self.negated_noun:
            raise NonsenseError(f"it is not clear what '{self.negating}' negates")
        self.negating = None

    def _expect_value(self, token: str) -> None:
        last = self.mentions[-1] if self.mentions else None
        following = self._token(self.index + 1)
        if token == "(" and last is not None and last.number and following not in ARTICLES:
            if number_in(following) is not None:
                raise NonsenseError("it is not clear what is counted twice")
        elif last is not None and last.number is None:
            self.head = last
