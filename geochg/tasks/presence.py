"""The presence task: has anything changed, yes or no."""

from __future__ import annotations

from geochg.records import Presence, Task
from geochg.tasks.base import NonsenseError, TaskSpec
from geochg.tasks.lexicon import Lexicon
from geochg.tasks.reply_text import changed_members, doubt, plain_text, sentences
from geochg.tasks.statements import Verdict, claims_change, leading_answer, verdict

PROMPT = "Please judge whether these two images have changed. Please answer yes or no."

CLASS_PROMPT = (
    "Please judge whether there are changes in {classes} between these two images: whether any have"
    " appeared, disappeared or been altered. Please answer yes or no."
)

_MEANING = {Verdict.CHANGED: True, Verdict.UNCHANGED: False}


def render(presence: Presence) -> str:
    """`Yes` or `No`; a probability cannot be told."""
    return "Yes" if presence.changed else "No"


def read_presence(text: str, lexicon: Lexicon) -> Presence:
    """Whether the answer is yes or no.

    Takes `Yes`, `no.`, `Yes, a new house ...`, `There is no change.`, `The images have changed.`,
    in any case and with words after it, as long as they do not say the opposite.

    Raises:
        NonsenseError: If it gives neither or both of the two answers, or doubts.
    """
    body = lexicon.marked(plain_text(text))
    if doubted := doubt(body):
        raise NonsenseError(f"neither yes nor no: '{doubted}'")
    stated = sentences(body)
    answers = {answer for sentence in stated for answer in _answers(sentence)}
    answers |= changed_members(text)
    if len(answers) != 1:
        raise NonsenseError("both yes and no" if answers else "neither yes nor no")
    changed = answers.pop()
    if not changed and any(claims_change(leading_answer(sentence)[1]) for sentence in stated):
        raise NonsenseError("says no, and tells a change")
    return Presence(changed)


def _answers(sentence: str) -> set[bool]:
    """The answers one sentence gives: by its first word, and by what it states after it."""
    answer, statement = leading_answer(sentence)
    second, _ = leading_answer(statement)
    meaning = _MEANING.get(verdict(statement), _opening_answer(statement))
    return {given_answer for given_answer in (answer, second, meaning) if given_answer is not None}


def _opening_answer(sentence: str) -> bool | None:
    """True when a sentence that goes on in its own words opens by stating a change."""
    # An opening denial proves nothing: "there is no change, except ...".
    opening = sentence.split(",")[0]
    states = any(word in opening.split() for word in ("have", "has", "are", "is"))
    return True if states and verdict(opening) is Verdict.CHANGED else None


SPEC: TaskSpec[Presence] = TaskSpec(
    Task.PRESENCE, (PROMPT,), (CLASS_PROMPT,), render, read_presence
)
