"""The task of a question, and whether its answer states a change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from geochg.records import Caption, Counts, Dialogue, Locations, Presence, Task, Unparsed
from geochg.tasks import SPECS
from geochg.tasks.base import TURN_BREAK

_MARK = re.compile(r"<(?:image|video|ImageHere|img)>\s*", re.IGNORECASE)
_HOW_MANY = re.compile(r"\b(?:how many|number of|count(?:s|ing)?|quantity|quantities)\b")
_ROADS = re.compile(r"\broads?\b")
_BUILDINGS = re.compile(r"\b(?:buildings?|houses?)\b")


def without_marks(question: str) -> str:
    """The question without the marks that say where images go."""
    return _MARK.sub("", question).strip()


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


_KNOWN = {
    tuple(_words(prompt) for prompt in spec.prompts): task
    for task, spec in SPECS.items()
    if spec.prompts
}


def task_asked(questions: Sequence[str]) -> Task:
    """The task whose words the questions are, one a turn; `QUESTION` where they are free.

    The wording of counts varies in ChangeChat-105k, so any single question for a number of roads
    and buildings is one; a 3x3 grid marks the question for locations.
    """
    question_words = tuple(_words(without_marks(question)) for question in questions)
    if question_words in _KNOWN:
        return _KNOWN[question_words]
    if len(question_words) == 1:
        if re.search(r"\b3 ?x ?3 grid\b", question_words[0]):
            return Task.LOCATE
        if all(part.search(question_words[0]) for part in (_HOW_MANY, _ROADS, _BUILDINGS)):
            return Task.COUNT
    elif (
        len(question_words) == len(SPECS[Task.DIALOGUE].prompts) and question_words[0] == _PRESENCE
    ):
        return Task.DIALOGUE
    return Task.QUESTION


_PRESENCE = _words(SPECS[Task.PRESENCE].prompts[0])


def answer_fault(task: Task, answers: Sequence[str], questions: Sequence[str] = ()) -> str:
    """Why the answers, one a turn, are outside the grammar of a task; empty where they are in it.

    Args:
        task: Task of the questions.
        answers: Answers in words.
        questions: Questions in words, where not in those of the data.
    """
    return _answer_fault(task, tuple(answers), tuple(questions))


@lru_cache(maxsize=65536)
def _answer_fault(task: Task, answers: tuple[str, ...], questions: tuple[str, ...]) -> str:
    spec = SPECS[task]
    if task is Task.QUESTION:
        empty = [number for number, text in enumerate(answers, start=1) if not text.strip()]
        return f"turn {empty[0]} is empty" if empty else ""
    if task is not Task.DIALOGUE and len(answers) != 1:
        return f"{len(answers)} turns, where the task '{task}' has one"
    answer = spec.parse(spec.joined_turns(answers), questions)
    if isinstance(answer, Unparsed):
        return answer.reason
    if isinstance(answer, Dialogue) and answer.counts is None:
        reason = SPECS[Task.COUNT].parse(answers[1])
        return f"second turn: {reason.reason}" if isinstance(reason, Unparsed) else ""
    return ""


def answers_change(task: Task, answers: Sequence[str]) -> bool | None:
    """Whether the answers of a task state a change; None where they do not tell.

    No road and no building that changed leaves open what else did.
    """
    return None if task is Task.QUESTION else _answers_change(task, tuple(answers))


# Sets say the same few sentences thousands of times, and parsing one takes about a millisecond.
@lru_cache(maxsize=65536)
def _answers_change(task: Task, answers: tuple[str, ...]) -> bool | None:
    answer = SPECS[task].parse(TURN_BREAK.join(" ".join(text.split()) for text in answers))
    if isinstance(answer, (Presence, Caption)):
        return answer.changed
    if isinstance(answer, Dialogue):
        return answer.presence.changed
    if isinstance(answer, Counts):
        return any(answer.counts.values()) or None
    if isinstance(answer, Locations):
        return any(answer.cells.values()) or None
    return None
