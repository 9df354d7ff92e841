"""What models that answer in words share: conversations about tiles, and what need not be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from geochg.records import (
    Answer,
    Caption,
    Counts,
    Dialogue,
    Locations,
    Missing,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks import SPECS
from geochg.tasks.lexicon import ASKED
from geochg.tasks.reply_text import spoken_answer
from geochg.tasks.thoughts import LONGEST_MARK, has_thoughts, without_thoughts

INTRODUCTION = (
    "The first image shows a place before, the second the same place later, both from above."
)
"""What stands between the pictures and the first question."""

NO_COUNTS = Counts(dict.fromkeys(ASKED, 0))
"""What is counted where nothing changed: none of the classes that are asked for."""

NOWHERE = Locations({class_name: {} for class_name in ASKED})
"""Where something changed in a tile in which nothing did."""

NO_CHANGE = "no change"
"""The caption of such a tile where the model is not asked for one."""


NUMBERLESS = "the model gives no finite number; --dtype float32 or bfloat16 may help"
"""Why a tile fails of which a probability is not a number."""

NOTHING_SAID = "the model said nothing"
"""Why there is no answer where none of its words are one."""

ONLY_THOUGHTS = "the model thought and gave no answer"
"""Why there is none where all its words are thoughts."""


@dataclass
class Conversation:
    """One question about one tile, turn by turn; most have one turn.

    Attributes:
        place: Of the tile in its batch.
        question: What is asked.
        clue: A sentence that goes behind the first turn.
        said: The answers so far.
        failure: Why there will be no further answer; empty while there may be.
        is_permanent: Whether that is a refusal which no repetition mends.
    """

    place: int
    question: Question
    clue: str = ""
    said: list[str] = field(default_factory=list)
    failure: str = ""
    is_permanent: bool = False

    def hear(self, words: str) -> None:
        """Adds an answer without its thoughts; where that leaves nothing, the talk has failed."""
        said = without_thoughts(words)
        if said:
            self.said.append(said)
        else:
            self.failure = ONLY_THOUGHTS if has_thoughts(words) else NOTHING_SAID

    @property
    def is_over(self) -> bool:
        """Whether all is said, or no more will be."""
        return bool(self.failure) or len(self.said) == len(self._turns)

    @property
    def asked(self) -> list[str]:
        """What is asked up to the next turn: one more than was said, unless it is over."""
        return self._turns[: len(self.said) + 1]

    @property
    def _turns(self) -> list[str]:
        first, *later = SPECS[self.question.task].turns(self.question.text)
        return [f"{first} {self.clue}".rstrip(), *later]

    def answer(self) -> Answer:
        """The typed answer of a conversation that came to its end; `Missing` where it failed."""
        if self.failure:
            return Missing(self.question.task, self.failure)
        spec = SPECS[self.question.task]
        answer: Answer = spec.parse(spec.joined_turns(self.said), self._turns)
        return answer


_WRAPPINGS = "\"'`*_~#“‘{\\$"  # noqa: RUF001
"""What an answer begins with of which quotes, fences, stars or braces go at its end."""


def spoken_pieces(pieces: Iterable[str], *, holds_back: bool = False) -> Iterator[str]:
    """What is meant for the user in an answer that comes in pieces.

    Thoughts, role labels and end marks are left out. What a later piece may turn into one of these
    is held back until it came.

    Args:
        pieces: As the model gives them.
        holds_back: Whether all is held back until the end, since the answer may begin with
            thoughts that no mark opens.
    """
    said, shown = "", ""
    for piece in pieces:
        said += piece
        ready = "" if holds_back else spoken_answer(_settled_start(said))
        if ready and ready[0] in _WRAPPINGS:
            continue
        if len(ready) > len(shown) and ready.startswith(shown):
            yield ready[len(shown) :]
            shown = ready
    whole = spoken_answer(said)
    if len(whole) > len(shown) and whole.startswith(shown):
        yield whole[len(shown) :]


def _settled_start(said: str) -> str:
    """The start of an unfinished text that is read alike whatever follows."""
    start = said.lstrip()
    # Labels stand within the first line.
    if len(start) < LONGEST_MARK or start[0] in _WRAPPINGS:
        return ""
    begun = max(said.rfind(sign, len(said) - LONGEST_MARK) for sign in "<[◁")
    return said if begun < 0 else said[:begun]


Hold = Callable[[Sequence[Conversation]], None]
"""Carries conversations to their end, or notes why one failed."""


def unchanged(task: Task, presence: Presence, sentence: str = NO_CHANGE) -> Answer:
    """What is said of a tile without change, for every task but a free question.

    Args:
        task: Which is answered.
        presence: Of the tile.
        sentence: The caption.
    """
    if task is Task.COUNT:
        return NO_COUNTS
    if task is Task.LOCATE:
        return NOWHERE
    if task is Task.PRESENCE:
        return presence
    if task is Task.CAPTION:
        return Caption(sentence, changed=False)
    return Dialogue(presence, NO_COUNTS, sentence)


def presence_first(
    tiles: Sequence[Tile], questions: Sequence[Question], hold: Hold
) -> list[TileAnswers]:
    """Asks about presence, and the rest only about tiles that changed.

    A free question is asked about every tile. Where presence is not among the questions, or the
    answer to it makes no sense, the rest is asked too.

    Args:
        tiles: With their clues.
        questions: Asked of each.
        hold: Holds the conversations.

    Returns:
        Of each tile the answers in the order of the questions, or why it has none; see `settled`.
    """
    rows = [
        [Conversation(place, question, tile.clue) for question in questions]
        for place, tile in enumerate(tiles)
    ]
    hold([talk for row in rows for talk in row if talk.question.task is Task.PRESENCE])
    for row in rows:
        _give_up(row)
    same = [_unchanged_presence(row) for row in rows]
    hold(
        [talk for row, known in zip(rows, same, strict=True) for talk in row if _open(talk, known)]
    )
    return [
        settled(tile, _answers(row, known), is_permanent=any(talk.is_permanent for talk in row))
        for tile, row, known in zip(tiles, rows, same, strict=True)
    ]


def settled(tile: Tile, answers: Sequence[Answer], *, is_permanent: bool = False) -> TileAnswers:
    """The answers about a tile, or that it failed where no question about it was answered.

    Args:
        tile: Which was asked about.
        answers: In order; `Missing` where none came.
        is_permanent: Whether those that did not come were refused for good.
    """
    missing = [answer for answer in answers if isinstance(answer, Missing)]
    if missing and len(missing) == len(answers):
        return TileFailure(tile.window, missing[0].reason, is_permanent)
    return answers


def _give_up(row: Sequence[Conversation]) -> None:
    """Where one question about a tile got no answer, the others are not asked either."""
    failed = next((talk for talk in row if talk.failure), None)
    for talk in row if failed else ():
        if failed and not talk.is_over:
            talk.failure, talk.is_permanent = failed.failure, failed.is_permanent


def _unchanged_presence(row: Sequence[Conversation]) -> Presence | None:
    """The presence of a tile that is said to be unchanged; None for the others."""
    for talk in row:
        if talk.question.task is Task.PRESENCE and not talk.failure:
            answer = talk.answer()
            if isinstance(answer, Presence) and not answer.changed:
                return answer
    return None


def _open(talk: Conversation, same: Presence | None) -> bool:
    needed = same is None or talk.question.task is Task.QUESTION
    return needed and not talk.is_over


def _answers(row: Sequence[Conversation], same: Presence | None) -> list[Answer]:
    return [
        talk.answer() if talk.is_over or same is None else unchanged(talk.question.task, same)
        for talk in row
    ]
