"""The words with which models name classes, numbers and directions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from string import ascii_lowercase

from geochg.classes import CHANGE_CLASSES, CLASS_BY_NAME, CLASSES
from geochg.noun_forms import plural_of
from geochg.records import AskedClass, Change

NOUNS = {
    form: (row.name, noun)
    for row in CHANGE_CLASSES
    for noun in row.nouns
    for form in (noun, plural_of(noun), f"{noun}s")  # "waters" and "soils" are said, too
}
"""Class and singular of each noun, by the noun in singular and plural."""

ASKED = ("road", "building")
"""The classes that the prompts ask for; a plain "no change" speaks of these."""

COUNTABLE = {
    name: (CLASS_BY_NAME[name].singular, CLASS_BY_NAME[name].plural)
    for name in dict.fromkeys((*ASKED, *CLASSES))
}
"""Singular and plural of each class, in the order in which answers write classes."""

_MARK = "zzclass"
"""What begins the words that stand for the nouns of a user's classes while an answer is read."""


@dataclass(frozen=True)
class Lexicon:
    """The nouns with which answers name classes, and which of these are asked for.

    Attributes:
        asked: The classes that the prompts ask for; a plain "no change" speaks of these.
        countable: Singular and plural of each class that answers may tell, in their order.
        nouns: Class and singular of each noun, as `marked` writes it.
        marks: The words that stand for nouns of the user's, by the noun in either form.
    """

    asked: tuple[str, ...]
    countable: Mapping[str, tuple[str, str]]
    nouns: Mapping[str, tuple[str, str]]
    marks: Mapping[str, str] = field(default_factory=dict)

    def marked(self, text: str) -> str:
        """A `plain_text` in which one word of letters stands for each noun of the user's."""
        if not self.marks:
            return text
        return _phrases(tuple(self.marks)).sub(
            lambda match: self.marks[_plain_phrase(match[0])], text
        )


USUAL_LEXICON = Lexicon(ASKED, COUNTABLE, NOUNS)
"""That of the data: roads and buildings are asked for, and what else is known may be told."""


@cache
def lexicon_of(classes: tuple[AskedClass, ...]) -> Lexicon:
    """The lexicon of the classes that a question asks about; the usual one where it names none."""
    if not classes:
        return USUAL_LEXICON
    nouns, marks = dict(NOUNS), dict[str, str]()
    for number, (class_name, noun, first_noun) in enumerate(_new_nouns(classes)):
        mark = _MARK + _letters(number)
        nouns[mark] = class_name, first_noun
        for form in (noun, plural_of(noun)):
            plain_form = unicodedata.normalize("NFKC", form).lower()
            marks.setdefault(_plain_phrase(plain_form), mark)
    names = tuple(item.name for item in classes)
    return Lexicon(names, {item.name: _forms(item) for item in classes}, nouns, marks)


def _new_nouns(classes: tuple[AskedClass, ...]) -> Iterator[tuple[str, str, str]]:
    """Class, noun and first noun of that class, but for nouns that are known as of that class."""
    for item in classes:
        for noun in item.nouns:
            if NOUNS.get(noun.lower(), ("", ""))[0] != item.name:
                yield item.name, noun, item.nouns[0]


def _forms(item: AskedClass) -> tuple[str, str]:
    """Singular and plural of a class; of one of several kinds those of all of them."""
    nouns = item.nouns[: item.prompt_nouns]
    return " or ".join(nouns), " and ".join(map(plural_of, nouns))


def is_noun(word: str) -> bool:
    """Whether a word of a `plain_text`, marked or not, names a thing."""
    return word in NOUNS or word.startswith(_MARK)


def _letters(number: int) -> str:
    """A number in letters: a to z, ba, bb."""
    head, rest = divmod(number, len(ascii_lowercase))
    return (_letters(head) if head else "") + ascii_lowercase[rest]


def _plain_phrase(text: str) -> str:
    """A phrase with single blanks between its words."""
    return re.sub(r"[\s_-]+", " ", text)


@cache
def _phrases(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Matches any of some phrases as whole words, the longest first."""
    ordered = sorted(phrases, key=len, reverse=True)
    forms = (re.escape(phrase).replace(r"\ ", r"[\s_-]+") for phrase in ordered)
    return re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)")


_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty"
)
ARTICLES = frozenset({"a", "an"})
NUMBERS = {word: number for number, word in enumerate(_NUMBER_WORDS.split())} | {"a": 1, "an": 1}
"""Numbers by word; "several" and the like are not numbers."""

_DIRECTIONS = {
    Change.APPEARED: (
        "new newly built constructed appeared appear appears added emerged erected addition"
        " construction appearance"
    ),
    Change.DISAPPEARED: (
        "removed demolished disappeared disappear disappears gone destroyed vanished razed"
        " missing lost dismantled torn demolition removal disappearance"
    ),
    Change.ALTERED: (
        "altered modified rebuilt renovated reconstructed widened expanded extended enlarged"
    ),
}
DIRECTIONS = {word: change for change, words in _DIRECTIONS.items() for word in words.split()}
"""Direction of change by word; "changed" tells none."""

ADJECTIVE = {Change.APPEARED: "new", Change.DISAPPEARED: "removed", Change.ALTERED: "altered"}
"""The word a direction is written with, before the noun."""

CHANGED = frozenset("change changes changed changing difference differences different".split())
"""Words for a change that do not tell its direction."""

ADJECTIVES = frozenset(
    "small large big tall long short wide narrow main more additional other extra further separate"
    " distinct residential rural country urban dirt paved concrete asphalt straight curved winding"
    " industrial commercial detached single individual old existing white red brown gray grey"
    " swimming changed changing different".split()
)
"""Words that may stand between a number and its noun without changing what is counted."""
