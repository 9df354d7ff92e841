"""The questions about some tiles, asked so that every answer makes sense."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from math import isnan
from typing import Any

from geochg.models.chat.conversation import (
    NUMBERLESS,
    Conversation,
    presence_first,
    settled,
    unchanged,
)
from geochg.models.vlm.engine import Engine, Text
from geochg.records import (
    GRID_CELLS,
    Answer,
    Counts,
    Dialogue,
    GridCell,
    Locations,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks import ask
from geochg.tasks.lexicon import ASKED, COUNTABLE

YES = ("Yes", "yes", " Yes", " yes")
NO = ("No", "no", " No", " no")
"""Spellings of the two answers to a yes/no question."""

CELL_QUESTION = (
    "Look only at the {cell} part of the place: has any {thing} changed? Answer yes or no."
)
LIST_QUESTION = (
    "In which parts of the place, on a 3x3 grid, has any {thing} changed? Answer with their names"
    " from top-left to bottom-right, with commas between them, or with none."
)
COUNT_QUESTION = "How many {things} have changed? Answer with one number."

NO_CELL = "none"


def pattern(question: Question, way: str) -> str:
    """What is asked for a question: itself, or once for each class (and cell) what stands here.

    Args:
        question: Of any task; one in the user's words is asked as it is.
        way: See `Asking`.
    """
    if way != "words" and question == ask(Task.COUNT):
        return COUNT_QUESTION
    if way != "words" and question == ask(Task.LOCATE):
        return LIST_QUESTION if way == "lists" else CELL_QUESTION
    return question.text


class Asking:
    """Some tiles a model has looked at.

    With `probabilities` presence is the probability of "yes" against "no", places are nine such
    probabilities for each class, and counts are numbers. With `lists` places come as one list of
    cells. With `words` the model says all of that in its own words, which are parsed. Captions and
    free answers are always in its words, and so is what is asked in the user's, but for presence.

    Args:
        engine: Of the model.
        tiles: All of one size.
        way: `probabilities`, `lists` or `words`.
        threshold: A tile has changed when "yes" is likelier than this (0-1).
    """

    def __init__(
        self, engine: Engine[Any], tiles: Sequence[Tile], way: str, threshold: float = 0.5
    ) -> None:
        self.engine = engine
        self.tiles = tiles
        self.way = way
        self.threshold = threshold
        self.glance = engine.look(tiles)
        self._numberless: set[int] = set()

    def answers(self, questions: Sequence[Question]) -> Iterator[TileAnswers]:
        """Of each tile, in the order of the questions.

        Presence and free questions are asked about every tile, the rest where something changed.
        """
        if self.way == "words":
            return self._all_in_words(questions)
        return self._all_that_fit(questions)

    def _all_in_words(self, questions: Sequence[Question]) -> Iterator[TileAnswers]:
        yield from presence_first(self.tiles, questions, self._hold)

    def _all_that_fit(self, questions: Sequence[Question]) -> Iterator[TileAnswers]:
        everywhere = range(len(self.tiles))
        asked = next((q for q in questions if q.task is Task.PRESENCE), None)
        presence = self._presence(asked) if asked else None
        changed = [p for p in everywhere if presence is None or presence[p].changed]
        columns = [
            dict(enumerate(presence))
            if presence is not None and question.task is Task.PRESENCE
            else self._asked(everywhere if question.task is Task.QUESTION else changed, question)
            for question in questions
        ]
        for place in everywhere:
            if place in self._numberless:
                yield TileFailure(self.tiles[place].window, NUMBERLESS)
                continue
            known = presence[place] if presence is not None else None
            answers = [
                _agreed(column[place], known)
                if place in column
                else unchanged(question.task, known or Presence(False))
                for question, column in zip(questions, columns, strict=True)
            ]
            yield settled(self.tiles[place], answers)

    def _asked(self, places: Sequence[int], question: Question) -> dict[int, Answer]:
        """The answers about some tiles, by place."""
        if not places:
            return {}
        ways: dict[str, Callable[[Sequence[int]], Iterable[Answer]]] = {
            CELL_QUESTION: self._likely_cells,
            LIST_QUESTION: self._listed_cells,
            COUNT_QUESTION: self._counted,
        }
        asked = pattern(question, self.way)
        answers = ways[asked](places) if asked in ways else self._in_words(places, question)
        return dict(zip(places, answers, strict=True))

    def _presence(self, question: Question) -> list[Presence]:
        everywhere = range(len(self.tiles))
        texts = [self._text(place, question.text) for place in everywhere]
        return [Presence(p > self.threshold, p) for p in self._yes(texts)]

    def _likely_cells(self, places: Sequence[int]) -> Iterator[Locations]:
        """Nine probabilities for each class; the cells that are likelier changed than not."""
        kinds = [(name, cell) for name in ASKED for cell in GRID_CELLS]
        asked = [
            CELL_QUESTION.format(cell=cell.name.replace("-", " "), thing=COUNTABLE[name][0])
            for name, cell in kinds
        ]
        likely = iter(self._yes([self._text(place, text) for place in places for text in asked]))
        for _ in places:
            cells: dict[str, dict[GridCell, float]] = {name: {} for name in ASKED}
            for (name, cell), probability in zip(kinds, likely, strict=False):
                if probability > 0.5:
                    cells[name][cell] = probability
            yield Locations(cells)

    def _listed_cells(self, places: Sequence[int]) -> Iterator[Locations]:
        """One list for each class."""
        asked = [LIST_QUESTION.format(thing=COUNTABLE[name][0]) for name in ASKED]
        texts = [self._text(place, text) for place in places for text in asked]
        lists = iter(self.engine.one_of(self.glance, texts, list(_cell_lists())))
        for place in places:
            told = {name: next(lists) for name in ASKED}
            self._note_numbers(place, told.values())
            yield Locations(
                {
                    name: dict.fromkeys(_cell_lists()[cells or NO_CELL], 1.0)
                    for name, cells in told.items()
                }
            )

    def _counted(self, places: Sequence[int]) -> Iterator[Counts]:
        asked = [COUNT_QUESTION.format(things=COUNTABLE[name][1]) for name in ASKED]
        texts = [self._text(place, text) for place in places for text in asked]
        numbers = iter(self.engine.number(self.glance, texts))
        for place in places:
            told = {name: next(numbers) for name in ASKED}
            self._note_numbers(place, told.values())
            yield Counts({name: number or 0 for name, number in told.items()})

    def _in_words(self, places: Sequence[int], question: Question) -> list[Answer]:
        talks = [Conversation(place, question, self.tiles[place].clue) for place in places]
        self._hold(talks)
        return [talk.answer() for talk in talks]

    def _hold(self, talks: Sequence[Conversation]) -> None:
        """Carries talks to their end, all of them turn by turn."""
        while going := [talk for talk in talks if not talk.is_over]:
            texts = [
                Text(talk.place, self.engine.writer.rest(talk.asked, talk.said)) for talk in going
            ]
            for talk, words in zip(going, self.engine.say(self.glance, texts), strict=True):
                if words is None:
                    talk.failure = NUMBERLESS
                else:
                    talk.hear(words)

    def _yes(self, texts: Sequence[Text]) -> list[float]:
        """Probability of "yes" against "no".

        Rounded, because the last digits depend on what else is in the batch.
        """
        likely = [yes for yes, _ in self.engine.choose(self.glance, texts, (YES, NO))]
        self._numberless |= {t.row for t, yes in zip(texts, likely, strict=True) if isnan(yes)}
        return [round(yes, 4) for yes in likely]

    def _note_numbers(self, place: int, told: Iterable[object]) -> None:
        """Notes a tile about which the model gave no numbers; it fails, whatever was said."""
        if any(each is None for each in told):
            self._numberless.add(place)

    def _text(self, place: int, question: str) -> Text:
        clued = f"{question} {self.tiles[place].clue}".rstrip()
        return Text(place, self.engine.writer.rest([clued], []))


def _agreed(answer: Answer, presence: Presence | None) -> Answer:
    """A dialogue's presence has the probability that was found."""
    if presence and isinstance(answer, Dialogue):
        known = replace(answer.presence, probability=presence.probability)
        return replace(answer, presence=known)
    return answer


@cache
def _cell_lists() -> dict[str, tuple[GridCell, ...]]:
    """All 512 lists of cells, by how they are written."""
    lists = {NO_CELL: ()} | {
        ", ".join(cell.name for cell in cells): cells
        for count in range(1, len(GRID_CELLS) + 1)
        for cells in combinations(GRID_CELLS, count)
    }
    return dict(lists)
