"""The further question about what was located: in which of the two images it is.

It is a forced choice of three: only in the later image (it appeared), only in the earlier one (it
disappeared), or in both but different (it was altered). It is asked of each class in each of its
cells, and of what was counted and not located. A direction that comes with the cells or the count
is not asked for again; that of a count is not taken for that of each cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from geochg.records import Answer, Change, Counts, Direction, GridCell, Locations, Question
from geochg.tasks.lexicon import lexicon_of

CHOICES = {Change.APPEARED: "later", Change.DISAPPEARED: "earlier", Change.ALTERED: "both"}
"""The word of each choice."""

CHOICE_QUESTION = (
    "Look only at the {cell} part of the place: is the {thing} that has changed there only in the"
    " later image, only in the earlier image, or in both but different? Answer later, earlier or"
    " both."
)
WHOLE_QUESTION = (
    "Think only of the {things} that have changed: are they only in the later image, only in the"
    " earlier image, or in both but different? Answer later, earlier or both."
)
LIST_QUESTION = (
    "These things have changed: {things}. Is each only in the later image, only in the earlier"
    " image, or in both but different? Answer with a line for each that has its number and one of"
    " the words later, earlier and both."
)


class LocatedChange(NamedTuple):
    """What has changed and is asked about.

    Attributes:
        class_name: Its class.
        cell: The cell that it was located in; None for what was counted only.
        nouns: Singular and plural of the class.
    """

    class_name: str
    cell: GridCell | None
    nouns: tuple[str, str]

    @property
    def question(self) -> str:
        """The question about this thing alone."""
        singular, plural = self.nouns
        if self.cell is None:
            return WHOLE_QUESTION.format(things=plural)
        return CHOICE_QUESTION.format(cell=self.cell.name.replace("-", " "), thing=singular)


class GivenChoice(NamedTuple):
    """A choice that an answer in words gives.

    Attributes:
        number: The number of the thing, from 0.
        change: The choice.
        position: Where its word begins in the answer.
    """

    number: int
    change: Change
    position: int


def list_question(located_changes: Sequence[LocatedChange]) -> str:
    """One question about several things, which are numbered from 1."""
    parts = (
        f"{number}. {item.nouns[0]}, {item.cell.name.replace('-', ' ')}"
        if item.cell
        else f"{number}. {item.nouns[1]}, anywhere"
        for number, item in enumerate(located_changes, 1)
    )
    return LIST_QUESTION.format(things="; ".join(parts))


def undirected_changes(
    questions: Sequence[Question], answers: Sequence[Answer]
) -> list[LocatedChange]:
    """What was located or counted in a tile without a direction, each once.

    Args:
        questions: The questions about the tile.
        answers: Their answers in order.
    """
    located_names = {
        name
        for answer in answers
        if isinstance(answer, Locations)
        for name, cells in answer.cells.items()
        if cells
    }
    untold_changes: dict[tuple[str, GridCell | None], LocatedChange] = {}
    for question, answer in zip(questions, answers, strict=True):
        countable = lexicon_of(question.classes).countable
        for name, cell in _untold(answer, located_names):
            nouns = countable.get(name, (name, name))
            untold_changes.setdefault((name, cell), LocatedChange(name, cell, nouns))
    return list(untold_changes.values())


def _untold(answer: Answer, located_names: set[str]) -> Iterator[tuple[str, GridCell | None]]:
    if isinstance(answer, Locations):
        for name, cells in answer.cells.items():
            if name not in answer.changes:
                yield from ((name, c) for c in sorted(cells) if not answer.direction(name, c))
    elif isinstance(answer, Counts):
        for name, count in answer.counts.items():
            if count and name not in answer.changes and name not in located_names:
                yield name, None


def with_directions(
    answers: Sequence[Answer], directions: Mapping[LocatedChange, Direction]
) -> list[Answer]:
    """The answers about a tile with the directions of what was asked about.

    Counts have that of what was located of their class, where it is one.
    """
    by_class: dict[str, dict[GridCell | None, Direction]] = {}
    for located_change, direction in directions.items():
        by_class.setdefault(located_change.class_name, {})[located_change.cell] = direction
    return [_with_direction(answer, by_class) for answer in answers]


def without_directions(answers: Sequence[Answer], reason: str) -> list[Answer]:
    """The answers about a tile where no answer came to the question about directions.

    Args:
        answers: The answers.
        reason: Why none came.
    """
    return [
        replace(answer, undirected=reason) if isinstance(answer, Locations | Counts) else answer
        for answer in answers
    ]


def _with_direction(
    answer: Answer, by_class: Mapping[str, Mapping[GridCell | None, Direction]]
) -> Answer:
    if isinstance(answer, Locations):
        directions = {name: dict(cells) for name, cells in answer.directions.items()}
        for name, cells in answer.cells.items():
            added = {c: d for c, d in by_class.get(name, {}).items() if c is not None}
            if known_cells := {c: added[c] for c in cells if c in added}:
                directions[name] = {**directions.get(name, {}), **known_cells}
        return replace(answer, directions=directions)
    if isinstance(answer, Counts):
        changes = dict(answer.changes)
        for name, count in answer.counts.items():
            class_changes = {direction.change for direction in by_class.get(name, {}).values()}
            if count and name not in changes and len(class_changes) == 1:
                changes[name] = class_changes.pop()
        return replace(answer, changes=changes)
    return answer


# --- reading -------------------------------------------------------------------------------------

_CHANGE_OF = {word: change for change, word in CHOICES.items()}
_WORD = re.compile(rf"\b({'|'.join(_CHANGE_OF)})\b", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:not|no|neither|nor|n't|cannot|unclear|unsure|either)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?:^|[\n;,]|(?<=[.!?])\s)[\s*#({\[\"'-]*(\d{1,3})(?![\d%])\W", re.MULTILINE)


def read_choices(text: str, count: int) -> list[GivenChoice]:
    """The choices that an answer to `list_question` gives; what makes no sense is left out.

    Args:
        text: The answer, whatever it holds.
        count: Number of things that were asked about.

    Returns:
        At most one choice for each thing, in their order. A thing that is given two choices, or
        one that is denied or doubted, has none.
    """
    numbers = list(_NUMBER.finditer(text))
    if not numbers and count == 1:
        segments = [(0, 0, len(text))]
    else:
        ends = [*(match.start() for match in numbers), len(text)][1:]
        segments = [
            (int(match[1]) - 1, match.end(), end) for match, end in zip(numbers, ends, strict=True)
        ]
    choices: dict[int, GivenChoice | None] = {}
    for number, start, end in segments:
        if 0 <= number < count:
            choice = _choice(text[start:end])
            choice_here = (
                None if choice is None else GivenChoice(number, choice[0], start + choice[1])
            )
            # A second line about a thing counts only where it says the same.
            former = choices.setdefault(number, choice_here)
            if former is None or choice_here is None or former.change is not choice_here.change:
                choices[number] = None
    return [choice for _, choice in sorted(choices.items()) if choice is not None]


def _choice(segment: str) -> tuple[Change, int] | None:
    """The one choice of a line, and where its word begins."""
    words = list(_WORD.finditer(segment))
    changes = {_CHANGE_OF[word[1].lower()] for word in words}
    if len(changes) != 1 or _DENIAL.search(segment):
        return None
    return changes.pop(), words[0].start()
