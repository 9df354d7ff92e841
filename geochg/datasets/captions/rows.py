"""Instruction rows of all six tasks in the format of ChangeChat-105k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from geochg.datasets.captions.facts import Fact, class_cells, class_counts, mask_facts
from geochg.datasets.captions.sentences import CaptionWriter
from geochg.datasets.captions.truth import MaskTruth
from geochg.records import Caption, Change, Dialogue, Presence, Reply, Task
from geochg.tasks import SPECS, TURN_BREAK
from geochg.tasks.lexicon import ASKED, COUNTABLE

IMAGES = "<image> <image> "
"""What stands before the first question of a row."""

CAPTIONS = 5
"""Sentences of a caption row."""

Row = dict[str, Any]

_ABOUT_ASKED = (Task.COUNT, Task.LOCATE, Task.DIALOGUE)

_DONE: dict[Change | None, str] = {
    Change.APPEARED: "appeared",
    Change.DISAPPEARED: "disappeared",
    Change.ALTERED: "altered",
    None: "changed",
}


def instruction_rows(pair: MaskTruth, images: tuple[str, str], first_id: int = 0) -> list[Row]:
    """One instruction row for each task that what is known can answer.

    Args:
        pair: What the rows are about.
        images: Paths of the two pictures, as the rows shall name them.
        first_id: Id of the first row; the others follow.
    """
    told = mask_facts(pair)
    turns = [_turns(task, pair, told) for task in answerable(pair)]
    return [
        instruction_row(first_id + number, images, pair.changed, said)
        for number, said in enumerate(turns)
    ]


def answerable(pair: MaskTruth) -> tuple[Task, ...]:
    """The tasks that what is known of a pair can answer.

    The prompts for counts and locations ask for roads and buildings; where a mask could show
    neither, these are left out.
    """
    if any(name in pair.known for name in ASKED):
        return tuple(Task)
    return tuple(task for task in Task if task not in _ABOUT_ASKED)


def caption_row(pair: MaskTruth, images: tuple[str, str]) -> Row:
    """A row of the caption test files: five sentences for one pair."""
    told = mask_facts(pair)
    sentences = [_narrator(pair, number).caption(told) for number in range(CAPTIONS)]
    return {
        "image_A": images[0],
        "image_B": images[1],
        "captions": sentences,
        "changeflag": int(pair.changed),
    }


def answer(task: Task, pair: MaskTruth) -> Any:  # noqa: ANN401
    """The typed answer that a pair's row of a task tells."""
    return _answer(task, pair, mask_facts(pair))


def _answer(task: Task, pair: MaskTruth, told: Sequence[Fact]) -> Any:  # noqa: ANN401
    if task is Task.CAPTION:
        return Caption(_narrator(pair, 0).caption(told), pair.changed)
    if task is Task.PRESENCE:
        return Presence(pair.changed)
    if task is Task.COUNT:
        return class_counts(pair)
    if task is Task.LOCATE:
        return class_cells(pair)
    if task is Task.DIALOGUE:
        return Dialogue(
            Presence(pair.changed), class_counts(pair), _narrator(pair, CAPTIONS).detail(told)
        )
    return Reply(_question(pair, told)[1])


def _turns(task: Task, pair: MaskTruth, told: Sequence[Fact]) -> list[tuple[str, str]]:
    spec = SPECS[task]
    if task is Task.QUESTION:
        question, reply = _question(pair, told)
        return [(question, spec.render(Reply(reply)))]
    text = spec.render(_answer(task, pair, told))
    said = text.split(TURN_BREAK) if task is Task.DIALOGUE else [text]
    return list(zip(spec.prompts, said, strict=True))


def instruction_row(
    number: int, images: tuple[str, str], changed: bool, turns: Sequence[tuple[str, str]]
) -> Row:
    """A row of a talk about two images, given as questions and answers."""
    talk = []
    for place, (asked, said) in enumerate(turns):
        talk.append({"from": "human", "value": f"{IMAGES if place == 0 else ''}{asked}"})
        talk.append({"from": "gpt", "value": said})
    return {"id": number, "image": list(images), "changeflag": int(changed), "conversations": talk}


def _narrator(pair: MaskTruth, number: int) -> CaptionWriter:
    return CaptionWriter(np.random.default_rng((pair.seed, 11, number)))


# --- free questions ------------------------------------------------------------------------------


def _question(pair: MaskTruth, told: Sequence[Fact]) -> tuple[str, str]:
    """A free question about a pair and its answer."""
    rng = np.random.default_rng((pair.seed, 12))
    kinds = (_about_class, _how_many, _most, _where)
    return kinds[int(rng.integers(len(kinds)))](rng, pair, told)


def _picked_class(rng: np.random.Generator, told: Sequence[Fact], known: Sequence[str]) -> str:
    """Mostly a class that changed, else any that is known."""
    if told and rng.random() < 0.65:
        return told[int(rng.integers(len(told)))].class_name
    return known[int(rng.integers(len(known)))]


def _about_class(
    rng: np.random.Generator, pair: MaskTruth, told: Sequence[Fact]
) -> tuple[str, str]:
    name = _picked_class(rng, told, pair.known)
    several = COUNTABLE[name][1]
    question = (
        f"Have any {several} changed between the two images?",
        f"What happened to the {several}?",
    )[int(rng.integers(2))]
    about = [fact for fact in told if fact.class_name == name]
    if not about:
        return question, f"The {several} have not changed."
    return question, _narrator(pair, 20).detail(about)


def _how_many(rng: np.random.Generator, pair: MaskTruth, told: Sequence[Fact]) -> tuple[str, str]:
    name = _picked_class(rng, told, pair.known)
    change: Change | None = list(Change)[int(rng.integers(3))]
    if about := [fact for fact in told if fact.class_name == name]:
        change = about[0].change
    elif any(fact.change is None for fact in told):
        change = None
    one, several = COUNTABLE[name]
    number = pair.counts.get((name, change), 0)
    verb = "has" if number == 1 else "have"
    how = f"been {_DONE[change]}" if change is Change.ALTERED else _DONE[change]
    return (
        f"How many {several} have {how}?",
        f"{number or 'No'} {one if number == 1 else several} {verb} {how}.",
    )


def _most(rng: np.random.Generator, pair: MaskTruth, told: Sequence[Fact]) -> tuple[str, str]:
    question = (
        "What is the main change in this area?",
        "What changed the most between the dates?",
    )[int(rng.integers(2))]
    if not told:
        return question, "Nothing has changed between the two dates."
    return question, _narrator(pair, 21).detail(told[:1])


def _where(rng: np.random.Generator, pair: MaskTruth, told: Sequence[Fact]) -> tuple[str, str]:
    name = _picked_class(rng, told, pair.known)
    several = COUNTABLE[name][1]
    question = f"Where have {several} changed?"
    cells = class_cells(pair, (name,)).cells[name]
    if not any(fact.class_name == name for fact in told):
        return question, f"No {several} have changed."
    if not cells:
        return question, "Only small spots have changed."
    return question, f"In the {', '.join(cell.name for cell in cells)}."
