"""What the six tasks have in common: a prompt, a text form of the answer, and its parser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from geochg.records import (
    Caption,
    Counts,
    Dialogue,
    Locations,
    Presence,
    Question,
    Reply,
    Task,
    Unparsed,
)
from geochg.tasks.reply_text import spoken_answer

A = TypeVar("A", Caption, Presence, Counts, Locations, Dialogue, Reply)

TURN_BREAK = "\n"
"""Separator of the turns of a question or an answer that has several."""


class NonsenseError(ValueError):
    """An answer that makes no sense; `TaskSpec.parse` turns it into `Unparsed`."""


@dataclass(frozen=True, slots=True)
class TaskSpec(Generic[A]):
    """One task: its prompts, the text form of its answers, and their parser.

    `parse(render(answer)) == answer` holds for every answer that words can tell; probabilities, and
    directions of single cells, cannot be told.

    Attributes:
        task: The task.
        prompts: The prompts exactly as in the data, one a turn; empty where the user asks.
        render: The answer as text, always the same for the same answer. Raises ValueError when
            the text form has no words for it.
        read: Parses the spoken part of an answer; raises `NonsenseError`. Use `parse` instead.
    """

    task: Task
    prompts: tuple[str, ...]
    render: Callable[[A], str]
    read: Callable[[str], A]

    def ask(self, text: str | None = None) -> Question:
        """The question of this task.

        Args:
            text: A wording of one's own; the prompts of the data when None.

        Raises:
            ValueError: If there is nothing to ask.
        """
        wording = TURN_BREAK.join(self.prompts) if text is None else text.strip()
        if not wording:
            raise ValueError(f"the task '{self.task}' needs a text to ask")
        return Question(self.task, wording)

    def parse(self, text: str, prompts: Sequence[str] = ()) -> A | Unparsed:
        """The typed answer in a model's text; `Unparsed` when it makes no sense.

        Args:
            text: Text of the model.
            prompts: Questions in words, where these are not `prompts`, to recognise an echo.
        """
        echoes = (*prompts, *self.prompts)
        try:
            answers = [spoken_answer(turn, echoes) for turn in self.turns(text)]
            return self.read(TURN_BREAK.join(answers))
        except NonsenseError as nonsense:
            return Unparsed(self.task, text, str(nonsense))

    def turns(self, text: str) -> list[str]:
        """The turns of a question's or an answer's text; one for all tasks but the dialogue."""
        return text.split(TURN_BREAK, max(len(self.prompts) - 1, 0))

    def joined_turns(self, turns: Sequence[str]) -> str:
        """The text that `parse` takes, made of the model's text of each turn."""
        if len(turns) == 1:
            return turns[0]
        return TURN_BREAK.join(" ".join(turn.split()) for turn in turns)
