"""What the six tasks have in common: a prompt, a text form of the answer, and its parser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from geochg.records import (
    AskedClass,
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
from geochg.tasks.lexicon import Lexicon, lexicon_of
from geochg.tasks.patterns import CLASS_FIELDS, fields_of, with_classes, with_notes
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
        class_prompts: The prompts where classes are named, as many, with `{classes}` for these.
        render: The answer as text, always the same for the same answer. Raises ValueError when
            the text form has no words for it.
        read: Parses the spoken part of an answer, in which a lexicon tells the names of classes;
            raises `NonsenseError`. Use `parse` instead.
    """

    task: Task
    prompts: tuple[str, ...]
    class_prompts: tuple[str, ...]
    render: Callable[[A], str]
    read: Callable[[str, Lexicon], A]

    def ask(self, text: str | None = None, classes: tuple[AskedClass, ...] = ()) -> Question:
        """The question of this task.

        Args:
            text: A wording of one's own, where `{classes}` stands for the classes; the prompts of
                the data, or those with classes, when None.
            classes: The classes that it asks about; roads and buildings where it is empty.

        Raises:
            ValueError: If there is nothing to ask.
        """
        usual_prompts = self.class_prompts if classes else self.prompts
        pattern = TURN_BREAK.join(usual_prompts) if text is None else text.strip()
        if not pattern:
            raise ValueError(f"the task '{self.task}' needs a text to ask")
        first_turn, *later_turns = self.turns(with_classes(pattern, classes))
        if not fields_of(pattern) & CLASS_FIELDS:  # else each class has its note where it is asked
            first_turn = with_notes(first_turn, classes)
        return Question(self.task, TURN_BREAK.join((first_turn, *later_turns)), classes=classes)

    def parse(
        self, text: str, prompts: Sequence[str] = (), classes: tuple[AskedClass, ...] = ()
    ) -> A | Unparsed:
        """The typed answer in a model's text; `Unparsed` when it makes no sense.

        Args:
            text: Text of the model.
            prompts: Questions in words, where these are not `prompts`, to recognise an echo.
            classes: The classes that were asked about, see `ask`.
        """
        return self.parse_with(lexicon_of(classes), text, prompts)

    def parse_with(self, lexicon: Lexicon, text: str, prompts: Sequence[str] = ()) -> A | Unparsed:
        """As `parse`, with a lexicon at hand."""
        echoes = (*prompts, *self.prompts)
        try:
            answers = [spoken_answer(turn, echoes) for turn in self.turns(text)]
            return self.read(TURN_BREAK.join(answers), lexicon)
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
