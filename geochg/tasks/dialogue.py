"""The dialogue task: three turns that lead from presence over counts to a description."""

from __future__ import annotations

from geochg.records import Caption, Counts, Dialogue, Presence, Task, Unparsed
from geochg.tasks import caption, count, presence
from geochg.tasks.base import TURN_BREAK, NonsenseError, TaskSpec
from geochg.tasks.lexicon import Lexicon

PROMPTS = (
    presence.PROMPT,
    "If changes have occurred, count the number of road and building changes separately.",
    "Based on the above analysis, please describe the changes of these two images in detail.",
)

CLASS_PROMPTS = (
    presence.CLASS_PROMPT,
    "If changes have occurred, count the changes in {classes} separately.",
    "Based on the above analysis, please describe the changes in {classes} in detail.",
)


def render(dialogue: Dialogue) -> str:
    """The three turns, one a line; `TaskSpec.turns` takes them apart.

    Raises:
        ValueError: If there is no description, or the counts have no text form.
    """
    counts = "" if dialogue.counts is None else count.SPEC.render(dialogue.counts)
    description = " ".join(dialogue.description.split())
    if not description:
        raise ValueError("a dialogue without a description has no text form")
    return TURN_BREAK.join((presence.SPEC.render(dialogue.presence), counts, description))


def read_dialogue(text: str, lexicon: Lexicon) -> Dialogue:
    """The three turns of a dialogue, given one a line (`TaskSpec.joined_turns`).

    Counts are None when that turn makes no sense; the rest of the dialogue still does.

    Raises:
        NonsenseError: If a turn is missing, the first says neither yes nor no, the description
            makes no sense, or the turns contradict each other.
    """
    turns = text.split(TURN_BREAK, 2)
    if len(turns) != 3:
        raise NonsenseError(f"{len(turns)} of 3 turns")
    changed = presence.SPEC.parse_with(lexicon, turns[0])
    counts = count.SPEC.parse_with(lexicon, turns[1])
    description = caption.SPEC.parse_with(lexicon, turns[2])
    if isinstance(changed, Unparsed):
        raise NonsenseError(f"first turn: {changed.reason}")
    if isinstance(description, Unparsed):
        raise NonsenseError(f"third turn: {description.reason}")
    return _dialogue(changed, None if isinstance(counts, Unparsed) else counts, description)


def _dialogue(changed: Presence, counts: Counts | None, description: Caption) -> Dialogue:
    if not changed.changed and counts is not None and any(counts.counts.values()):
        raise NonsenseError("says no, and counts changes")
    if changed.changed and not description.changed:
        raise NonsenseError("says yes, and describes no change")
    return Dialogue(changed, counts, description.text)


SPEC: TaskSpec[Dialogue] = TaskSpec(Task.DIALOGUE, PROMPTS, CLASS_PROMPTS, render, read_dialogue)
