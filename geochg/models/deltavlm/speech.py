"""What is said about tiles: prompts in, typed answers out, whatever runs the language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from geochg.tasks import SPECS

if TYPE_CHECKING:
    from geochg.models.deltavlm.sight import Sight
    from geochg.records import Answer, Question


class Speaker(Protocol):
    """Runs the language model and what stands between it and the eyes."""

    @property
    def batch_prompts(self) -> int:
        """Prompts answered at once."""

    def encode(self, sight: Sight, places: Sequence[int]) -> Any:  # noqa: ANN401
        """What is seen of the tiles at some places, as `answers` takes it."""

    def answers(self, encoding: Any, rows: Sequence[int], prompts: Sequence[str]) -> list[str]:  # noqa: ANN401
        """Answers prompts.

        Args:
            encoding: What `encode` gave.
            rows: Of each prompt, the place in the encoding of the tile it is about.
            prompts: As many.
        """


@dataclass
class Conversation:
    """One question about one tile, turn by turn; most have one turn.

    Attributes:
        place: Of the tile in the sight.
        question: What is asked.
        said: The answers so far.
    """

    place: int
    question: Question
    said: list[str] = field(default_factory=list)

    @property
    def next_prompt(self) -> str | None:
        """What to ask next, after what was said; None when all is said."""
        turns = SPECS[self.question.task].turns(self.question.text)
        if len(self.said) == len(turns):
            return None
        return turn_prompt(turns[: len(self.said) + 1], self.said)

    def answer(self) -> Answer:
        """The typed answer."""
        spec = SPECS[self.question.task]
        answer: Answer = spec.parse(spec.joined(self.said))
        return answer


def turn_prompt(asked: Sequence[str], said: Sequence[str]) -> str:
    """The prompt of a later turn: all that was asked and said before it, in one text.

    Args:
        asked: The questions up to this turn.
        said: The answers before this turn, one fewer.
    """
    earlier = [f"{question} {answer}" for question, answer in zip(asked, said, strict=False)]
    return " ".join([*earlier, asked[-1]])


def hold(speaker: Speaker, sight: Sight, conversations: Sequence[Conversation]) -> None:
    """Carries all conversations to their end, those at the same turn together."""
    if not conversations:
        return
    places = sorted({conversation.place for conversation in conversations})
    row_of = {place: row for row, place in enumerate(places)}
    encoding = speaker.encode(sight, places)
    while open_ones := [c for c in conversations if c.next_prompt is not None]:
        # Prompts of like length side by side need less padding.
        open_ones.sort(key=lambda c: (len(c.next_prompt or ""), c.place))
        for start in range(0, len(open_ones), speaker.batch_prompts):
            batch = open_ones[start : start + speaker.batch_prompts]
            prompts = [c.next_prompt or "" for c in batch]
            said = speaker.answers(encoding, [row_of[c.place] for c in batch], prompts)
            for conversation, words in zip(batch, said, strict=True):
                conversation.said.append(words)
