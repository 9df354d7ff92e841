"""The caption task: one sentence that describes the change."""

from __future__ import annotations

from geochg.records import Caption, Task
from geochg.safety.untrusted_text import LONGEST_TEXT, printable
from geochg.tasks.base import NonsenseError, TaskSpec
from geochg.tasks.lexicon import Lexicon
from geochg.tasks.reply_text import changed_members, plain_text, refusal, sentences
from geochg.tasks.statements import Verdict, leading_answer, verdict

PROMPT = "Please briefly describe the changes in these two images."

CLASS_PROMPT = "Please briefly describe the changes in {classes} in these two images."


def render(caption: Caption) -> str:
    """The sentence itself, on one line."""
    text = " ".join(caption.text.split())
    if not text:
        raise ValueError("a caption without words has no text form")
    return text


def read_caption(text: str, lexicon: Lexicon) -> Caption:
    """The caption and whether it tells a change.

    It tells none when it is one of the five sentences of the data (`NO_CHANGE_SENTENCES`), as
    written or lower-cased and stripped by the released text processor, or says so in other plain
    words ("There are no significant changes between the two images."). Everything else that says
    something tells a change.

    Raises:
        NonsenseError: If it is empty, a refusal, contradicts itself, or speaks only of what has
            not changed.
    """
    line = _one_line(text)
    body = lexicon.marked(plain_text(line))
    if refusal_text := refusal(body):
        raise NonsenseError(f"no description: '{refusal_text}'")
    parts = [leading_answer(sentence) for sentence in sentences(body)]
    answers = {answer for answer, _ in parts} | changed_members(text)
    verdicts = {verdict(statement) for _, statement in parts if statement} - {Verdict.NOTHING_SAID}
    if not verdicts:
        raise NonsenseError("nothing is described")
    if verdicts == {Verdict.PARTLY_UNCHANGED}:
        raise NonsenseError("tells only what has not changed")
    positive = not verdicts.isdisjoint({Verdict.CHANGED, Verdict.NOT_UNDERSTOOD})
    if positive and (Verdict.UNCHANGED in verdicts or False in answers):
        raise NonsenseError("tells a change and that nothing has changed")
    if not positive and True in answers:
        raise NonsenseError("says yes, and that nothing has changed")
    return Caption(_shortened_line(line), changed=positive)


def _shortened_line(line: str) -> str:
    """A sentence has an end: what goes on for ever is cut."""
    if len(line) <= LONGEST_TEXT:
        return line
    return f"{line[: LONGEST_TEXT - 1].rstrip()}…"


def _one_line(text: str) -> str:
    """The text on one line; where a line ended without a stop, its statement gets one."""
    lines = [" ".join(line.split()) for line in printable(text).splitlines() if line.strip()]
    closed = [f"{line}." if line[-1].isalnum() else line for line in lines[:-1]]
    return " ".join([*closed, *lines[-1:]])


SPEC: TaskSpec[Caption] = TaskSpec(Task.CAPTION, (PROMPT,), (CLASS_PROMPT,), render, read_caption)
