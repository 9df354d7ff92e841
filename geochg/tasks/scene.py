"""What models are asked about a single image, and how their answers in words are read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from geochg.class_list import ClassList, ListedClass
from geochg.classes import CHANGE_CLASSES
from geochg.errors import OptionError
from geochg.records import AskedClass, Label, SceneAnswers, SceneQuestions, Task
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned
from geochg.tasks.base import NonsenseError
from geochg.tasks.lexicon import NUMBERS
from geochg.tasks.mentions import number_in
from geochg.tasks.patterns import CLASS_FIELDS, about_class, fields_of, with_classes
from geochg.tasks.prompts import check_prompts
from geochg.tasks.reply_text import doubt, plain_text, refusal, sentences, spoken_answer
from geochg.tasks.statements import leading_answer

PRESENCE_PROMPT = "Does this image show any {things}? Please answer yes or no."
COUNT_PROMPT = "How many {things} does this image show? Please answer with one number."
CAPTION_PROMPT = "Please briefly describe this image in one sentence."

SCENE_PROMPTS = {
    Task.PRESENCE: PRESENCE_PROMPT,
    Task.COUNT: COUNT_PROMPT,
    Task.CAPTION: CAPTION_PROMPT,
}
"""The prompts by task; a prompts file may replace each."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NONE = frozenset({"none", "zero", "no", "nothing"})


def usual_labels() -> ClassList:
    """The labels where the user names none: geochg's classes that say what they are of."""
    return ClassList(tuple(ListedClass(row.name) for row in CHANGE_CLASSES if row.covers))


def scene_questions(
    labels: ClassList, able: Collection[Task], prompts: Mapping[str, str] | None = None
) -> SceneQuestions:
    """What a model is asked about each tile of a single image.

    Args:
        labels: The labels.
        able: The tasks that the model answers about one image.
        prompts: Prompts in the user's own words, by task.

    Raises:
        OptionError: If a prompt would not be asked, or makes no sense.
    """
    own_prompts = prompts or {}
    check_prompts(own_prompts)
    if idle := [name for name in own_prompts if name not in SCENE_PROMPTS or name not in able]:
        raise OptionError(
            f"nothing is asked about one image by the prompt {idle[0]!r}",
            f"prompts: {', '.join(task for task in SCENE_PROMPTS if task in able)}",
        )
    for name in (Task.PRESENCE, Task.COUNT):
        if name in own_prompts and not fields_of(own_prompts[name]) & CLASS_FIELDS:
            raise OptionError(
                f"the prompt {str(name)!r} asks about no label",
                "write {thing} or {things} where the label is to stand",
            )
    texts = {task: own_prompts.get(task, text) for task, text in SCENE_PROMPTS.items()}
    asked_labels = labels.asked_classes()
    return SceneQuestions(
        asked_labels,
        texts[Task.PRESENCE],
        texts[Task.COUNT] if Task.COUNT in able else "",
        with_classes(texts[Task.CAPTION], asked_labels) if Task.CAPTION in able else "",
    )


def label_prompt(pattern: str, label: AskedClass) -> str:
    """A question about one label."""
    return about_class(pattern, label.name, (label,))


def scene_answers(
    questions: SceneQuestions,
    labels: Mapping[str, Label],
    counts: Mapping[str, int | None],
    caption: str,
) -> SceneAnswers:
    """The answers about a tile, with the names of those that made no sense.

    Args:
        questions: What was asked.
        labels: The labels by name.
        counts: The counts by label; None where the answer made no sense.
        caption: The sentence; empty where it made no sense or was not asked for.
    """
    unparsed = [name for name, label in labels.items() if label.present is None]
    if None in counts.values():
        unparsed.append(str(Task.COUNT))
    if questions.caption and not caption:
        unparsed.append(str(Task.CAPTION))
    known_counts = {name: number for name, number in counts.items() if number is not None}
    return SceneAnswers(labels, known_counts, caption, tuple(unparsed))


def read_yes_or_no(text: str, prompts: Iterable[str] = ()) -> bool:
    """Whether an answer is yes or no, by the word that each of its sentences begins with.

    Raises:
        NonsenseError: If it is neither, or both.
    """
    body = plain_text(spoken_answer(text, tuple(prompts)))
    if doubted := doubt(body):
        raise NonsenseError(f"neither yes nor no: '{doubted}'")
    stated = sentences(body)
    leads = {leading_answer(sentence)[0] for sentence in stated} - {None}
    if not leads and stated and stated[0].startswith("no "):  # no roads are visible
        leads = {False}
    if len(leads) != 1:
        raise NonsenseError("both yes and no" if leads else "neither yes nor no")
    return True in leads


def read_number(text: str, prompts: Iterable[str] = ()) -> int:
    """The one whole number of an answer, in digits or as a word to twenty.

    Raises:
        NonsenseError: If there is none, more than one, or it is absurd.
    """
    body = plain_text(spoken_answer(text, tuple(prompts)))
    if doubted := doubt(body):
        raise NonsenseError(f"no count: '{doubted}'")
    digits = _NUMBER.findall(body)
    words = [word for word in re.findall(r"[a-z]+", body) if word in NUMBERS or word in _NONE]
    # "There are 3 cars in a street": an article is no number beside one.
    texts = digits or [word for word in words if word not in ("a", "an")] or words
    values = {0 if text in _NONE else number_in(text) for text in texts}
    value = values.pop() if len(values) == 1 else None
    if value is None:
        raise NonsenseError("more than one number" if values else "nothing is counted")
    return value


def read_scene_caption(text: str, prompts: Iterable[str] = ()) -> str:
    """The sentence about an image, on one line; empty where it says nothing, or is a refusal."""
    line = cleaned(spoken_answer(text, tuple(prompts)), LONGEST_TEXT)
    return "" if refusal(plain_text(line)) else line
