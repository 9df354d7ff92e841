"""The question task: a free answer to a free question."""

from __future__ import annotations

from geochg.records import Reply, Task
from geochg.tasks.base import NonsenseError, TaskSpec
from geochg.tasks.lexicon import Lexicon


def render(reply: Reply) -> str:
    """The text itself."""
    text = reply.text.strip()
    if not text:
        raise ValueError("a reply without words has no text form")
    return text


def read_reply(text: str, lexicon: Lexicon) -> Reply:
    """Any words at all; raises `NonsenseError` when there are none."""
    if not any(character.isalnum() for character in text):
        raise NonsenseError("nothing is said")
    return Reply(text)


SPEC: TaskSpec[Reply] = TaskSpec(Task.QUESTION, (), (), render, read_reply)
