"""Asks the questions about some tiles so that every answer makes sense."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from math import isnan
from typing import Any, TypeVar

from geochg.models.chat.dialogue import (
    NUMBERLESS,
    TileDialogue,
    answers_or_failure,
    presence_first,
    span_sentence,
    unchanged_answer,
)
from geochg.models.chat.measured import measured_answers
from geochg.models.vlm.engine import Engine, TilePrompt
from geochg.models.vlm.options import AnswerForm
from geochg.records import (
    GRID_CELLS,
    Answer,
    Counts,
    Dialogue,
    Direction,
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
from geochg.tasks.directions import CHOICES, LocatedChange, undirected_changes, with_directions
from geochg.tasks.lexicon import lexicon_of
from geochg.tasks.patterns import CELL_FIELD, CLASS_FIELDS, about_class, fields_of

YES = ("Yes", "yes", " Yes", " yes")
NO = ("No", "no", " No", " no")
"""Spellings of the two answers to a yes/no question."""

DIRECTION_WORDS = {
    change: (word.capitalize(), word, f" {word.capitalize()}", f" {word}")
    for change, word in CHOICES.items()
}
"""Spellings of the three answers to the question of direction."""

CELL_QUESTION = (
    "Look only at the {cell} part of the place: has any {thing} changed? Answer yes or no."
)
LIST_QUESTION = (
    "In which parts of the place, on a 3x3 grid, has any {thing} changed? Answer with their names"
    " from top-left to bottom-right, with commas between them, or with none."
)
COUNT_QUESTION = "How many {things} have changed? Answer with one number."

NO_CELL = "none"

CELL_THRESHOLD = 0.5
"""A class has changed in a cell where "yes" is likelier than this."""

_Reply = TypeVar("_Reply", int, str)


def prompt_pattern(question: Question, form: AnswerForm) -> str:
    """The prompt of a question: itself, or the pattern of prompts for each class (and cell).

    Args:
        question: A question of any task; one in the user's words is asked as it is.
        form: See `TileQuestions`.
    """
    if form != AnswerForm.WORDS and _is_usual(question, Task.COUNT):
        return COUNT_QUESTION
    if form != AnswerForm.WORDS and _is_usual(question, Task.LOCATE):
        return LIST_QUESTION if form == AnswerForm.LISTS else CELL_QUESTION
    return question.text


def _is_usual(question: Question, task: Task) -> bool:
    """Whether a question is of a task and in the task's own words."""
    return question.task is task and question.text == ask(task, classes=question.classes).text


class TileQuestions:
    """Some encoded tiles, and the answers of a model about them.

    With `probabilities` presence is the probability of "yes" against "no", locations are nine such
    probabilities for each class, and counts are numbers. With `lists` locations come as one list of
    cells. With `words` the model answers all of that in its own words, which are parsed. Captions
    and free answers are always in its words, and so are answers to the user's own questions, but
    for presence.

    Args:
        engine: The model's engine.
        tiles: Tiles of one size.
        form: The form of the answers.
        threshold: A tile has changed when "yes" is likelier than this (0-1).
        directions: Whether a further question asks for the direction of each change.
    """

    def __init__(
        self,
        engine: Engine[Any],
        tiles: Sequence[Tile],
        form: AnswerForm,
        threshold: float = 0.5,
        *,
        directions: bool = True,
    ) -> None:
        self.tiles = tiles
        self.form = form
        self.threshold = threshold
        self.directions = directions
        dates = len(tiles[0].dates)
        self.engine = engine if dates == 2 else engine.for_dates(dates)
        self.encoding = self.engine.encode(tiles)
        self._lead = ""
        self._numberless: set[int] = set()

    def answers(self, questions: Sequence[Question]) -> list[TileAnswers]:
        """The answers about each tile, in the order of the questions.

        Presence and free questions are asked about every tile, the rest where something changed,
        and the direction where something was located or counted. Of three dates or
        more, each span that questions are about is asked about by itself.
        """
        spans = list(dict.fromkeys(question.span for question in questions))
        columns: dict[int, list[TileAnswers]] = {}
        for span in spans:
            dates = len(self.tiles[0].dates)
            self._lead = f"{span_sentence(span, dates)} " if span is not None else ""
            numbers = [n for n, question in enumerate(questions) if question.span == span]
            rows = self._span_answers([questions[n] for n in numbers])
            if len(spans) == 1:
                return rows
            columns.update(zip(numbers, _columns(rows, len(numbers)), strict=True))
        ordered_columns = [columns[n] for n in range(len(questions))]
        return [_joined(row) for row in zip(*ordered_columns, strict=True)]

    def _span_answers(self, questions: Sequence[Question]) -> list[TileAnswers]:
        """The answers about each tile to questions about one span."""
        if self.form == AnswerForm.WORDS:
            rows = presence_first(self.tiles, questions, self._run_dialogues)
        else:
            rows = list(self._checked_answers(questions))
        return self._directed(questions, rows)

    def _directed(
        self, questions: Sequence[Question], rows: Sequence[TileAnswers]
    ) -> list[TileAnswers]:
        """The answers with the directions of what changed, all of them asked side by side."""
        located_changes = [
            (index, located_change)
            for index, row in enumerate(rows)
            if self.directions and not isinstance(row, TileFailure)
            for located_change in undirected_changes(questions, row)
        ]
        prompts = [
            self._prompt(index, located_change.question)
            for index, located_change in located_changes
        ]
        directions: dict[int, dict[LocatedChange, Direction]] = {}
        for (index, located_change), shares in zip(
            located_changes, self._shares(prompts, tuple(DIRECTION_WORDS.values())), strict=True
        ):
            likeliest = max(zip(shares, DIRECTION_WORDS, strict=True), key=lambda pair: pair[0])
            directions.setdefault(index, {})[located_change] = Direction(likeliest[1], likeliest[0])
        return [
            row
            if isinstance(row, TileFailure)
            else TileFailure(self.tiles[index].window, NUMBERLESS)
            if index in self._numberless
            else measured_answers(with_directions(row, directions.get(index, {})))
            for index, row in enumerate(rows)
        ]

    def _checked_answers(self, questions: Sequence[Question]) -> Iterator[TileAnswers]:
        everywhere = range(len(self.tiles))
        presence_question = next((q for q in questions if q.task is Task.PRESENCE), None)
        presence = self._presence(presence_question) if presence_question else None
        changed = [i for i in everywhere if presence is None or presence[i].changed]
        columns = [
            dict(enumerate(presence))
            if presence is not None and question.task is Task.PRESENCE
            else self._column(everywhere if question.task is Task.QUESTION else changed, question)
            for question in questions
        ]
        for index in everywhere:
            if index in self._numberless:
                yield TileFailure(self.tiles[index].window, NUMBERLESS)
                continue
            known_presence = presence[index] if presence is not None else None
            answers = [
                _with_presence(column[index], known_presence)
                if index in column
                else unchanged_answer(
                    question.task, known_presence or Presence(False), names=_names(question)
                )
                for question, column in zip(questions, columns, strict=True)
            ]
            yield answers_or_failure(self.tiles[index], answers)

    def _column(self, indices: Sequence[int], question: Question) -> dict[int, Answer]:
        """The answers to a question about some tiles, by the tile's index."""
        if not indices:
            return {}
        pattern = prompt_pattern(question, self.form)
        fields = fields_of(pattern)
        if question.task is Task.LOCATE and CELL_FIELD in fields:
            answers: Iterable[Answer] = self._likely_cells(indices, question, pattern)
        elif question.task is Task.LOCATE and fields & CLASS_FIELDS:
            answers = self._listed_cells(indices, question, pattern)
        elif question.task is Task.COUNT and fields & CLASS_FIELDS:
            answers = self._counts(indices, question, pattern)
        else:
            answers = self._in_words(indices, question)
        return dict(zip(indices, answers, strict=True))

    def _presence(self, question: Question) -> list[Presence]:
        prompts = [self._prompt(index, question.text) for index in range(len(self.tiles))]
        return [Presence(p > self.threshold, p) for p in self._yes_probabilities(prompts)]

    def _likely_cells(
        self, indices: Sequence[int], question: Question, pattern: str
    ) -> Iterator[Locations]:
        """Nine probabilities for each class; the cells that are likelier changed than not."""
        names = _names(question)
        cells = [(name, cell) for name in names for cell in GRID_CELLS]
        texts = [
            about_class(pattern, name, question.classes, cell.name.replace("-", " "))
            for name, cell in cells
        ]
        prompts = [self._prompt(index, text) for index in indices for text in texts]
        probabilities = iter(self._yes_probabilities(prompts))
        for _ in indices:
            cells_by_class: dict[str, dict[GridCell, float]] = {name: {} for name in names}
            for (name, cell), probability in zip(cells, probabilities, strict=False):
                if probability > CELL_THRESHOLD:
                    cells_by_class[name][cell] = probability
            yield Locations(cells_by_class)

    def _listed_cells(
        self, indices: Sequence[int], question: Question, pattern: str
    ) -> Iterator[Locations]:
        """One list of cells for each class."""
        prompts = self._class_prompts(indices, question, pattern)
        lists = self.engine.reply_choices(self.encoding, prompts, list(_cell_lists()))
        for names in self._by_class(indices, lists, _names(question)):
            yield Locations(
                {
                    class_name: dict.fromkeys(_cell_lists()[cells or NO_CELL])
                    for class_name, cells in names.items()
                }
            )

    def _counts(self, indices: Sequence[int], question: Question, pattern: str) -> Iterator[Counts]:
        prompts = self._class_prompts(indices, question, pattern)
        numbers = self.engine.reply_numbers(self.encoding, prompts)
        for counts in self._by_class(indices, numbers, _names(question)):
            yield Counts({name: number or 0 for name, number in counts.items()})

    def _class_prompts(
        self, indices: Sequence[int], question: Question, pattern: str
    ) -> list[TilePrompt]:
        """The prompts about each class of each tile."""
        texts = [about_class(pattern, name, question.classes) for name in _names(question)]
        return [self._prompt(index, text) for index in indices for text in texts]

    def _by_class(
        self, indices: Sequence[int], replies: Sequence[_Reply | None], names: Sequence[str]
    ) -> Iterator[dict[str, _Reply | None]]:
        """The replies about each tile by class; a tile fails where a reply has no numbers."""
        rows = iter(replies)
        for index in indices:
            by_class = {name: next(rows) for name in names}
            if None in by_class.values():
                self._numberless.add(index)
            yield by_class

    def _in_words(self, indices: Sequence[int], question: Question) -> list[Answer]:
        dialogues = [TileDialogue(index, question, self.tiles[index].clue) for index in indices]
        self._run_dialogues(dialogues)
        return [dialogue.answer() for dialogue in dialogues]

    def _run_dialogues(self, dialogues: Sequence[TileDialogue]) -> None:
        """Carries dialogues to their end, all of them turn by turn."""
        while going := [item for item in dialogues if not item.is_over]:
            prompts = [
                TilePrompt(
                    item.tile_index,
                    self.engine.writer.prompt_ids(self._led(item.prompts), item.replies),
                )
                for item in going
            ]
            replies = self.engine.reply_texts(self.encoding, prompts)
            for dialogue, text in zip(going, replies, strict=True):
                if text is None:
                    dialogue.failure = NUMBERLESS
                else:
                    dialogue.add_reply(text)

    def _yes_probabilities(self, prompts: Sequence[TilePrompt]) -> list[float]:
        """Probabilities of "yes" against "no", rounded: the last digits depend on the batch."""
        return [yes for yes, _ in self._shares(prompts, (YES, NO))]

    def _shares(
        self, prompts: Sequence[TilePrompt], choices: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Probabilities of some choices, rounded: the last digits depend on the batch."""
        if not prompts:
            return []
        rows = self.engine.choice_probabilities(self.encoding, prompts, choices)
        self._numberless |= {p.row for p, row in zip(prompts, rows, strict=True) if isnan(row[0])}
        return [[round(share, 4) for share in row] for row in rows]

    def _led(self, prompts: Sequence[str]) -> list[str]:
        """The prompts of a dialogue; before the first stands what dates it is about."""
        first, *later_prompts = prompts
        return [f"{self._lead}{first}", *later_prompts]

    def _prompt(self, index: int, question: str) -> TilePrompt:
        text = f"{self._lead}{question} {self.tiles[index].clue}".rstrip()
        return TilePrompt(index, self.engine.writer.prompt_ids([text], []))


def _names(question: Question) -> tuple[str, ...]:
    """The classes that a question asks about."""
    return lexicon_of(question.classes).asked


def _columns(rows: Sequence[TileAnswers], count: int) -> list[list[Any]]:
    """For each question the answer about each tile, or that the tile failed."""
    return [[row if isinstance(row, TileFailure) else row[n] for row in rows] for n in range(count)]


def _joined(row: Sequence[Answer | TileFailure]) -> TileAnswers:
    """The answers about a tile; one that failed about one span has failed."""
    answers: list[Answer] = []
    for answer in row:
        if isinstance(answer, TileFailure):
            return answer
        answers.append(answer)
    return answers


def _with_presence(answer: Answer, presence: Presence | None) -> Answer:
    """The answer; a dialogue's presence has the probability of the presence task."""
    if presence and isinstance(answer, Dialogue):
        known_presence = replace(answer.presence, probability=presence.probability)
        return replace(answer, presence=known_presence)
    return answer


@cache
def _cell_lists() -> dict[str, tuple[GridCell, ...]]:
    """All 512 lists of cells, by their text."""
    lists = {NO_CELL: ()} | {
        ", ".join(cell.name for cell in cells): cells
        for count in range(1, len(GRID_CELLS) + 1)
        for cells in combinations(GRID_CELLS, count)
    }
    return dict(lists)
