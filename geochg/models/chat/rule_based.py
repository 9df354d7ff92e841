"""Answers free questions by rules, from outlines or a map; no language model.

A question is answered when every word of it is known, because one unknown word can turn its
meaning round; else the answer says what can be asked.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geochg.land_cover import OTHER
from geochg.models.chat.change_views import ChangeView, ChannelChange
from geochg.models.chat.german import english_words, plain_letters
from geochg.models.chat.phrases import ENGLISH, GERMAN, Phrases
from geochg.records import GRID_CELLS, Channel
from geochg.tasks.lexicon import ADJECTIVES, CHANGED, COUNTABLE, DIRECTIONS, NOUNS
from geochg.tasks.quantities import area_in_words

_COUNT = re.compile(r"\bhow many\b|\bnumber of\b|\bcount\b")
_AREA = re.compile(r"\bhow (?:much|large|big)\b|\barea\b|\bhectares?\b|\bsquare\b|\bsize\b")
_WHERE = re.compile(r"\bwhere\b|\blocations?\b|\bwhich (?:parts?|corners?|cells?|side)\b")
_WHETHER = re.compile(
    r"^(?:has|have|had|did|do|does|is|are|was|were|any|anything|something|can|could)\b"
)
_WHAT = re.compile(r"\bwhat\b|\bdescribe\b|\bsummari[sz]e\b|\btell\b|\bshow\b|\bexplain\b|^which\b")

_ROWS = {"top": 0, "upper": 0, "north": 0, "northern": 0, "bottom": 2, "lower": 2, "south": 2}
_ROWS |= {"southern": 2}
_COLS = {"left": 0, "west": 0, "western": 0, "right": 2, "east": 2, "eastern": 2}
_MIDDLE = {"center", "centre", "middle", "central"}

_FILLERS = frozenset(
    "a about after again all also an and any anything appeared are area areas at be been before"
    " being between big both built can cell cells changes common corner corners could count cover"
    " covered date dates describe detail details did do does earlier else ever explain few find"
    " for found from give ground had happen happened has have hectare hectares here how i image"
    " images in into is it its kind kinds land large later list location locations many me"
    " meantime meter meters metre metres much not now number occur occurred of on or other pair"
    " part parts picture pictures place places please really s say scene see seen show side since"
    " size so some something square summarise summarize surface t take tell than that the them"
    " then there these they thing things this those tile time to two type types us was we were"
    " what when where whether which with within you your".split()
)
_KNOWN_WORDS = _FILLERS.union(NOUNS, DIRECTIONS, CHANGED, ADJECTIVES, _ROWS, _COLS, _MIDDLE)


def reply(question: str, view: ChangeView) -> str:
    """The answer to a question in English or German, in the language of the question."""
    words, phrases = _words_of(question)
    text = " ".join(words)
    classes = [NOUNS[word][0] for word in words if word in NOUNS]
    if strange := [word for word in words if word not in _KNOWN_WORDS]:
        return f"{phrases.unknown.format(strange[0])} {_abilities(view, phrases)}"
    if unseen := [word for word in words if word in NOUNS and NOUNS[word][0] not in view.classes]:
        return f"{phrases.unseen.format(unseen[0])} {_abilities(view, phrases)}"
    cells = _asked_cells(words)
    changes = [
        change
        for change in view.changes(cells)
        if (not classes or change.channel.class_name in classes)
        and _has_direction(change.channel, words)
    ]
    if _COUNT.search(text):
        return _count_sentence(changes, classes, view, phrases)
    if _WHERE.search(text) or _AREA.search(text):
        return _sentences(changes, phrases)
    if _WHETHER.search(text):
        return f"{phrases.yes} {_sentences(changes, phrases)}" if changes else phrases.no
    if _WHAT.search(text):
        if not changes:
            return phrases.unchanged
        is_whole = not classes and bool(cells.all())
        share = f"{_share_sentence(changes, phrases)} " if is_whole else ""
        return f"{share}{_sentences(changes, phrases)}"
    return f"{phrases.not_understood} {_abilities(view, phrases)}"


def _words_of(question: str) -> tuple[list[str], Phrases]:
    """The English words of a question, and the phrases of the language it is asked in."""
    english = re.findall(r"(?:north|south)(?=(?:west|east))|[a-z]+", question.lower())
    own_words = re.findall("[a-z]+", plain_letters(question))
    german = english_words(own_words)
    strange = [sum(word not in _KNOWN_WORDS for word in words) for words in (english, german)]
    if strange[1] >= strange[0]:
        return english, ENGLISH
    return german, GERMAN


def _abilities(view: ChangeView, phrases: Phrases) -> str:
    names = [phrases.noun(name) for name in COUNTABLE if name in view.classes and name != "other"]
    return phrases.abilities.format(phrases.joined(names) if len(names) > 1 else phrases.any_class)


def _asked_cells(words: Sequence[str]) -> NDArray[np.bool_]:
    """`(9,)`: the cells that the words name; all where they name none."""
    rows = {_ROWS[word] for word in words if word in _ROWS}
    cols = {_COLS[word] for word in words if word in _COLS}
    if not _MIDDLE.isdisjoint(words):
        # "top center" names a column, "center" alone the middle cell.
        rows, cols = rows or {1}, cols or {1}
    return np.array(
        [(not rows or cell.row in rows) and (not cols or cell.col in cols) for cell in GRID_CELLS]
    )


def _has_direction(channel: Channel, words: Sequence[str]) -> bool:
    asked_directions = {DIRECTIONS[word] for word in words if word in DIRECTIONS}
    return not asked_directions or channel.change in asked_directions


# --- in words ------------------------------------------------------------------------------------


def _sentences(changes: Sequence[ChannelChange], phrases: Phrases) -> str:
    return " ".join(_sentence(change, phrases) for change in changes) or phrases.no_such_change


def _sentence(change: ChannelChange, phrases: Phrases) -> str:
    # An image without georeference has an upper side, but no north.
    is_placed = not math.isnan(change.area_m2)
    names = [cell.compass if is_placed else cell.name for cell in change.cells]
    cells = ", ".join(phrases.places.get(name, name) for name in names)
    area = phrases.number_text(area_in_words(change.area_m2)) if is_placed else ""
    area = phrases.area.format(area) if area else ""
    if change.channel == OTHER:
        clause = phrases.surface.format(area=area)
    else:
        noun = phrases.noun(change.channel.class_name)
        clause = phrases.clause.format(noun=noun, verb=_verb([change], phrases), area=area)
    return f"{clause[:1].upper()}{clause[1:]} ({cells})."


def _verb(changes: Sequence[ChannelChange], phrases: Phrases) -> str:
    """What happened to all of them, as far as it is the same."""
    directions = {change.channel.change for change in changes}
    return phrases.verbs[directions.pop()] if len(directions) == 1 else phrases.changed


def _share_sentence(changes: Sequence[ChannelChange], phrases: Phrases) -> str:
    share = sum(change.share for change in changes)
    percent = phrases.number_text(f"{share:.0%}")
    return phrases.share.format(phrases.least_share if share < 0.01 else percent)


def _count_sentence(
    changes: Sequence[ChannelChange], classes: Sequence[str], view: ChangeView, phrases: Phrases
) -> str:
    if view.counted_classes is None:
        return f"{phrases.counts_nothing} {_sentences(changes, phrases)}"
    if uncounted := [name for name in classes if name not in view.counted_classes]:
        refusal = phrases.not_counted.format(phrases.noun(uncounted[0]))
        return f"{refusal} {_sentences(changes, phrases)}"
    # "How many changes?" is not answered by what did not change, nor without the rest.
    names = classes or (_changed_classes(changes) if view.is_exact else view.counted_classes)
    others = [change for change in changes if change.channel.class_name not in names]
    rest = f" {_sentences(others, phrases)}" if others else ""
    rows_by_class = {
        name: [change for change in changes if change.channel.class_name == name]
        for name in dict.fromkeys(names)
    }
    numbers = {name: sum(change.pieces for change in rows) for name, rows in rows_by_class.items()}
    if not any(numbers.values()):
        if not numbers:
            return phrases.unchanged
        nouns = f" {phrases.conjunction} {phrases.no_number} ".join(map(phrases.noun, numbers))
        return f"{phrases.none_changed.format(nouns)}{rest}"
    words = [
        f"{number or phrases.no_number} {phrases.noun(name, number)}"
        for name, number in sorted(numbers.items(), key=lambda item: -item[1])
    ]
    rows = [change for of_class in rows_by_class.values() for change in of_class]
    about = "" if view.is_exact else phrases.about
    return f"{about}{phrases.joined(words)} {_verb(rows, phrases)}.{rest}"


def _changed_classes(changes: Sequence[ChannelChange]) -> list[str]:
    return [change.channel.class_name for change in changes]
