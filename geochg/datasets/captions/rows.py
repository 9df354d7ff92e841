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
"""Marks before the first question of a row."""

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


def instruction_rows(truth: MaskTruth, images: tuple[str, str], first_id: int = 0) -> list[Row]:
    """One instruction row for each task that the masks can answer.

    Args:
        truth: Masks of the pair.
        images: Paths of the two pictures, as the rows shall name them.
        first_id: Id of the first row; the others follow.
    """
    facts = mask_facts(truth)
    task_turns = [_turns(task, truth, facts) for task in answerable(truth)]
    return [
        instruction_row(first_id + number, images, truth.changed, turns)
        for number, turns in enumerate(task_turns)
    ]


def answerable(truth: MaskTruth) -> tuple[Task, ...]:
    """The tasks that what is known of a pair can answer.

    The prompts for counts and locations ask for roads and buildings; where a mask could show
    neither, these are left out. Of a pair that is known in parts no more can be said than whether
    something changed.
    """
    if not truth.whole:
        return (Task.PRESENCE,)
    if any(name in truth.known for name in ASKED):
        return tuple(Task)
    return tuple(task for task in Task if task not in _ABOUT_ASKED)


def caption_row(truth: MaskTruth, images: tuple[str, str]) -> Row:
    """A row of the caption test files: five sentences for one pair."""
    facts = mask_facts(truth)
    sentences = [_caption_writer(truth, number).caption(facts) for number in range(CAPTIONS)]
    return {
        "image_A": images[0],
        "image_B": images[1],
        "captions": sentences,
        "changeflag": int(truth.changed),
    }


def answer(task: Task, truth: MaskTruth, facts: Sequence[Fact]) -> Any:  # noqa: ANN401
    """The typed answer that a pair's row of a task tells; `facts` are those of `mask_facts`."""
    if task is Task.CAPTION:
        return Caption(_caption_writer(truth, 0).caption(facts), truth.changed)
    if task is Task.PRESENCE:
        return Presence(truth.changed)
    if task is Task.COUNT:
        return class_counts(truth)
    if task is Task.LOCATE:
        return class_cells(truth)
    if task is Task.DIALOGUE:
        return Dialogue(
            Presence(truth.changed),
            class_counts(truth),
            _caption_writer(truth, CAPTIONS).detail(facts),
        )
    return Reply(_question(truth, facts)[1])


def _turns(task: Task, truth: MaskTruth, facts: Sequence[Fact]) -> list[tuple[str, str]]:
    spec = SPECS[task]
    if task is Task.QUESTION:
        question, reply = _question(truth, facts)
        return [(question, spec.render(Reply(reply)))]
    text = spec.render(answer(task, truth, facts))
    answers = text.split(TURN_BREAK) if task is Task.DIALOGUE else [text]
    return list(zip(spec.prompts, answers, strict=True))


def instruction_row(
    number: int, images: tuple[str, str], changed: bool, turns: Sequence[tuple[str, str]]
) -> Row:
    """A row of a dialogue about two images, given as questions and answers."""
    dialogue = []
    for index, (question, answer) in enumerate(turns):
        dialogue.append({"from": "human", "value": f"{IMAGES if index == 0 else ''}{question}"})
        dialogue.append({"from": "gpt", "value": answer})
    return {
        "id": number,
        "image": list(images),
        "changeflag": int(changed),
        "conversations": dialogue,
    }


def _caption_writer(truth: MaskTruth, number: int) -> CaptionWriter:
    return CaptionWriter(np.random.default_rng((truth.seed, 11, number)))


# --- free questions ------------------------------------------------------------------------------


def _question(truth: MaskTruth, facts: Sequence[Fact]) -> tuple[str, str]:
    """A free question about a pair and its answer."""
    rng = np.random.default_rng((truth.seed, 12))
    kinds = (_about_class, _how_many, _most, _where)
    return kinds[int(rng.integers(len(kinds)))](rng, truth, facts)


def _picked_class(rng: np.random.Generator, facts: Sequence[Fact], classes: Sequence[str]) -> str:
    """Mostly a class that changed, else any that is known."""
    if facts and rng.random() < 0.65:
        return facts[int(rng.integers(len(facts)))].class_name
    return classes[int(rng.integers(len(classes)))]


def _about_class(
    rng: np.random.Generator, truth: MaskTruth, facts: Sequence[Fact]
) -> tuple[str, str]:
    name = _picked_class(rng, facts, truth.known)
    plural_name = COUNTABLE[name][1]
    question = (
        f"Have any {plural_name} changed between the two images?",
        f"What happened to the {plural_name}?",
    )[int(rng.integers(2))]
    of_class = [fact for fact in facts if fact.class_name == name]
    if not of_class:
        return question, f"The {plural_name} have not changed."
    return question, _caption_writer(truth, 20).detail(of_class)


def _how_many(rng: np.random.Generator, truth: MaskTruth, facts: Sequence[Fact]) -> tuple[str, str]:
    name = _picked_class(rng, facts, truth.known)
    change: Change | None = list(Change)[int(rng.integers(3))]
    if of_class := [fact for fact in facts if fact.class_name == name]:
        change = of_class[0].change
    elif any(fact.change is None for fact in facts):
        change = None
    singular, plural = COUNTABLE[name]
    number = truth.counts.get((name, change), 0)
    verb = "has" if number == 1 else "have"
    done_words = f"been {_DONE[change]}" if change is Change.ALTERED else _DONE[change]
    return (
        f"How many {plural} have {done_words}?",
        f"{number or 'No'} {singular if number == 1 else plural} {verb} {done_words}.",
    )


def _most(rng: np.random.Generator, truth: MaskTruth, facts: Sequence[Fact]) -> tuple[str, str]:
    question = (
        "What is the main change in this area?",
        "What changed the most between the dates?",
    )[int(rng.integers(2))]
    if not facts:
        return question, "Nothing has changed between the two dates."
    return question, _caption_writer(truth, 21).detail(facts[:1])


def _where(rng: np.random.Generator, truth: MaskTruth, facts: Sequence[Fact]) -> tuple[str, str]:
    name = _picked_class(rng, facts, truth.known)
    plural_name = COUNTABLE[name][1]
    question = f"Where have {plural_name} changed?"
    cells = class_cells(truth, (name,)).cells[name]
    if not any(fact.class_name == name for fact in facts):
        return question, f"No {plural_name} have changed."
    if not cells:
        return question, "Only small spots have changed."
    return question, f"In the {', '.join(cell.name for cell in cells)}."
