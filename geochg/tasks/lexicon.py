"""The words with which models name classes, numbers and directions."""

from __future__ import annotations

from geochg.classes import CHANGE_CLASSES, CLASS_BY_NAME, CLASSES
from geochg.records import Change

_PLURALS = {"factory": "factories", "bush": "bushes"}

NOUNS = {
    form: (row.name, noun)
    for row in CHANGE_CLASSES
    for noun in row.nouns
    for form in (noun, _PLURALS.get(noun, f"{noun}s"))
}
"""Class and singular of each noun, by the noun in singular and plural."""

ASKED = ("road", "building")
"""The classes that the prompts ask for; a plain "no change" speaks of these."""

COUNTABLE = {
    name: (CLASS_BY_NAME[name].singular, CLASS_BY_NAME[name].plural)
    for name in dict.fromkeys((*ASKED, *CLASSES))
}
"""Singular and plural of each class, in the order in which answers write classes."""

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
