"""Dialogues about tiles, which all models that answer in words share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from geochg.models.base import Capabilities
from geochg.records import (
    Answer,
    Caption,
    Counts,
    Dialogue,
    Locations,
    Missing,
    Presence,
    Question,
    Span,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks import SPECS
from geochg.tasks.lexicon import ASKED, lexicon_of
from geochg.tasks.reply_text import spoken_answer
from geochg.tasks.thoughts import LONGEST_MARK, has_thoughts, without_thoughts

CHAT_CAPABILITIES = Capabilities(
    tasks=frozenset(Task),
    location="grid",
    pixels="display",
    bands="rgb",
    streams=True,
    clues=True,
    asked_in_words=frozenset(Task),
    free_classes=True,
    fewest_dates=1,
    tasks_of_one=frozenset({Task.PRESENCE, Task.COUNT, Task.CAPTION, Task.QUESTION}),
)
"""Capabilities of models that are asked about all tasks in words."""

INTRODUCTION = (
    "The first image shows a place before, the second the same place later, both from above."
)
"""The text between the two images and the first question."""


def introduction_of(dates: int) -> str:
    """The text between so many images and the first question."""
    if dates == 1:
        return "The image shows a place from above."
    if dates == 2:
        return INTRODUCTION
    return f"The {dates} images show one place at {dates} dates, the earliest first, from above."


def span_sentence(span: Span, dates: int) -> str:
    """What stands before a question about two of more dates."""
    before, after = span.start + 1, span.end + 1
    return (
        f"Compare only image {before} of {dates}, which shows the place before, with image {after}"
        f" of {dates}, which shows it later."
    )


NO_COUNTS = Counts(dict.fromkeys(ASKED, 0))
"""The counts of a tile without change: none of the classes that are asked for."""

NO_CHANGE = "no change"
"""The caption of a tile without change where the model is not asked for one."""

NUMBERLESS = "the model gives no finite number; --dtype float32 or bfloat16 may help"
"""The failure of a tile with a probability that is not a number."""

NOTHING_SAID = "the model said nothing"
"""The failure of an answer without words."""

ONLY_THOUGHTS = "the model thought and gave no answer"
"""The failure of an answer whose words are all thoughts."""


@dataclass
class TileDialogue:
    """One question about one tile, turn by turn; most have one turn.

    Attributes:
        tile_index: Index of the tile in its batch.
        question: The question, of any task.
        clue: A sentence that goes behind the first turn.
        replies: The model's replies so far.
        probability: Probability of change behind the first reply; None where it is not known.
        failure: Why there will be no further reply; empty while there may be.
        is_permanent: Whether that is a refusal which no repetition mends.
    """

    tile_index: int
    question: Question
    clue: str = ""
    replies: list[str] = field(default_factory=list)
    probability: float | None = None
    failure: str = ""
    is_permanent: bool = False

    def add_reply(self, text: str) -> None:
        """Adds a reply without its thoughts; the dialogue fails where that leaves nothing."""
        reply = without_thoughts(text)
        if reply:
            self.replies.append(reply)
        else:
            self.failure = ONLY_THOUGHTS if has_thoughts(text) else NOTHING_SAID

    @property
    def is_over(self) -> bool:
        """Whether there is no turn left, or the dialogue failed."""
        return bool(self.failure) or len(self.replies) == len(self._turns)

    @property
    def prompts(self) -> list[str]:
        """The prompts up to the next turn: one more than there are replies, unless it is over."""
        return self._turns[: len(self.replies) + 1]

    @property
    def _turns(self) -> list[str]:
        first, *later_turns = SPECS[self.question.task].turns(self.question.text)
        return [f"{first} {self.clue}".rstrip(), *later_turns]

    def answer(self) -> Answer:
        """The typed answer of a dialogue that came to its end; `Missing` where it failed."""
        if self.failure:
            return Missing(self.question.task, self.failure)
        spec = SPECS[self.question.task]
        answer = spec.parse(spec.joined_turns(self.replies), self._turns, self.question.classes)
        if isinstance(answer, Presence):
            return replace(answer, probability=self.probability)
        if isinstance(answer, Dialogue):
            presence = replace(answer.presence, probability=self.probability)
            return replace(answer, presence=presence)
        return answer


_WRAPPINGS = "\"'`*_~#“‘{\\$"  # noqa: RUF001
"""Signs at the start of an answer whose counterparts are taken from its end."""


def spoken_pieces(pieces: Iterable[str], *, holds_back: bool = False) -> Iterator[str]:
    """The part of an answer that is meant for the user, while the answer comes in pieces.

    Thoughts, role labels and end marks are left out. What a later piece may turn into one of these
    is held back until it came.

    Args:
        pieces: The answer as the model gives it.
        holds_back: Whether all is held back until the end, since the answer may begin with
            thoughts that no mark opens.
    """
    text, shown_text = "", ""
    for piece in pieces:
        text += piece
        ready = "" if holds_back else spoken_answer(_settled_start(text))
        if ready and ready[0] in _WRAPPINGS:
            continue
        if len(ready) > len(shown_text) and ready.startswith(shown_text):
            yield ready[len(shown_text) :]
            shown_text = ready
    full_text = spoken_answer(text)
    if len(full_text) > len(shown_text) and full_text.startswith(shown_text):
        yield full_text[len(shown_text) :]


def _settled_start(text: str) -> str:
    """The start of an unfinished text that is read alike whatever follows."""
    start = text.lstrip()
    # Labels stand within the first line.
    if len(start) < LONGEST_MARK or start[0] in _WRAPPINGS:
        return ""
    mark = max(text.rfind(sign, len(text) - LONGEST_MARK) for sign in "<[◁")
    return text if mark < 0 else text[:mark]


RunDialogues = Callable[[Sequence[TileDialogue]], None]
"""Carries dialogues to their end, or notes why one failed."""


def unchanged_answer(
    task: Task, presence: Presence, sentence: str = NO_CHANGE, names: Sequence[str] = ASKED
) -> Answer:
    """The answer about a tile without change, for every task but a free question.

    Args:
        task: The task of the answer.
        presence: The presence of the tile.
        sentence: The caption.
        names: The classes that were asked about.
    """
    no_counts = Counts(dict.fromkeys(names, 0))
    answers: dict[Task, Answer] = {
        Task.COUNT: no_counts,
        Task.LOCATE: Locations({class_name: {} for class_name in names}),
        Task.PRESENCE: presence,
        Task.CAPTION: Caption(sentence, changed=False),
    }
    return answers.get(task) or Dialogue(presence, no_counts, sentence)


def presence_first(
    tiles: Sequence[Tile], questions: Sequence[Question], run: RunDialogues
) -> list[TileAnswers]:
    """Asks about presence, and the rest only about tiles that changed.

    A free question is asked about every tile. Where presence is not among the questions, or the
    answer to it makes no sense, the rest is asked too.

    Args:
        tiles: The tiles, with their clues.
        questions: The questions about each tile.
        run: Carries dialogues to their end.

    Returns:
        For each tile the answers in the order of the questions, or why it has none.
    """
    rows = [
        [TileDialogue(index, question, tile.clue) for question in questions]
        for index, tile in enumerate(tiles)
    ]
    run([item for row in rows for item in row if item.question.task is Task.PRESENCE])
    for row in rows:
        _fail_open(row)
    unchanged = [_unchanged_presence(row) for row in rows]
    run(
        [
            item
            for row, presence in zip(rows, unchanged, strict=True)
            for item in row
            if not item.is_over and (presence is None or item.question.task is Task.QUESTION)
        ]
    )
    return [
        answers_or_failure(
            tile, _answers(row, presence), is_permanent=any(item.is_permanent for item in row)
        )
        for tile, row, presence in zip(tiles, rows, unchanged, strict=True)
    ]


def answers_or_failure(
    tile: Tile, answers: Sequence[Answer], *, is_permanent: bool = False
) -> TileAnswers:
    """The answers about a tile, or that it failed where no question about it was answered.

    Args:
        tile: The tile.
        answers: The answers in order; `Missing` where none came.
        is_permanent: Whether those that did not come were refused for good.
    """
    missing = [answer for answer in answers if isinstance(answer, Missing)]
    if missing and len(missing) == len(answers):
        return TileFailure(tile.window, missing[0].reason, is_permanent)
    return answers


def _fail_open(row: Sequence[TileDialogue]) -> None:
    """Ends all dialogues about a tile where one of them failed."""
    failed = next((item for item in row if item.failure), None)
    for item in row if failed else ():
        if failed and not item.is_over:
            item.failure, item.is_permanent = failed.failure, failed.is_permanent


def _unchanged_presence(row: Sequence[TileDialogue]) -> Presence | None:
    """The presence of a tile that is said to be unchanged; None for the others."""
    for item in row:
        if item.question.task is Task.PRESENCE and not item.failure:
            answer = item.answer()
            if isinstance(answer, Presence) and not answer.changed:
                return answer
    return None


def _answers(row: Sequence[TileDialogue], unchanged: Presence | None) -> list[Answer]:
    return [
        item.answer()
        if item.is_over or unchanged is None
        else unchanged_answer(
            item.question.task, unchanged, names=lexicon_of(item.question.classes).asked
        )
        for item in row
    ]
