"""The count task: how many objects of each class have changed."""

from __future__ import annotations

from collections.abc import Iterable

from geochg.records import Change, Counts, Task
from geochg.tasks.base import NonsenseError, TaskSpec
from geochg.tasks.lexicon import ADJECTIVE, ASKED, COUNTABLE, Lexicon
from geochg.tasks.mentions import MOST_OBJECTS, Mention, mentions_in
from geochg.tasks.reply_text import doubt, plain_text, sentences
from geochg.tasks.statements import Verdict, leading_answer, verdict

PROMPT = "Please determine how many roads and buildings have changed?"
"""The wording kept of the several in the data."""

CLASS_PROMPT = "Please determine how many {classes} have changed, with a number for each."

NO_CHANGE = "There are no changes in roads or buildings."

# --- writing -------------------------------------------------------------------------------------


def render(counts: Counts) -> str:
    """One sentence, in the three forms of the data.

    `There are no changes in roads or buildings.`; `1 road has changed, and 3 buildings have
    changed.` where no direction is known; `There is 1 new road and 10 new buildings.` where one
    is. Directions of classes of which nothing changed are not told.

    Raises:
        ValueError: If there is no class, one without words of its own, or an absurd number.
    """
    if not counts.counts:
        raise ValueError("counts without a class have no text form")
    for class_name, number in counts.counts.items():
        if class_name not in COUNTABLE or not 0 <= number <= MOST_OBJECTS:
            raise ValueError(f"{number} of class '{class_name}' has no text form")
    if set(counts.counts) == set(ASKED) and not any(counts.counts.values()):
        return NO_CHANGE
    listed_counts = [(name, counts.counts[name]) for name in COUNTABLE if name in counts.counts]
    if any(number and name in counts.changes for name, number in listed_counts):
        verb = "is" if listed_counts[0][1] == 1 else "are"
        phrases = [_thing(name, number, counts.changes.get(name)) for name, number in listed_counts]
        return f"There {verb} {' and '.join(phrases)}."
    sentence = ", and ".join(_statement(name, number) for name, number in listed_counts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _thing(class_name: str, number: int, change: Change | None) -> str:
    singular, plural = COUNTABLE[class_name]
    word = ADJECTIVE[change] if change and number else "changed"
    return f"{number or 'no'} {word} {singular if number == 1 else plural}"


def _statement(class_name: str, number: int) -> str:
    singular, plural = COUNTABLE[class_name]
    if number == 1:
        return f"1 {singular} has changed"
    return f"{number or 'no'} {plural} have changed"


# --- reading -------------------------------------------------------------------------------------


def read_counts(text: str, lexicon: Lexicon) -> Counts:
    """Counts and directions in the words of a model.

    Takes digits and the words to twenty; roads, buildings, houses and the like; "new", "built",
    "removed", ... as directions ("changed" tells none); "no new roads, but 3 new buildings";
    `Roads: 2, buildings: 0`. A class that is not mentioned is left out. A class mentioned with two
    directions keeps the sum and loses the direction. A plain "no change" is 0 of each that was
    asked about. Where the user named classes, the others are understood and left out.

    Raises:
        NonsenseError: If a class has no number or two, if a number counts nothing known, is
            negative, broken or absurd, or if the answer contradicts itself or doubts.
    """
    body = lexicon.marked(plain_text(text))
    if doubted := doubt(body):
        raise NonsenseError(f"no count: '{doubted}'")
    denied, mentions = False, list[Mention]()
    for sentence in sentences(body):
        answer, statement = leading_answer(sentence)
        is_nothing = verdict(statement) is Verdict.UNCHANGED or statement in {"none", "nothing"}
        denied |= is_nothing or answer is False
        mentions += [] if is_nothing else mentions_in(statement, lexicon)
    return _counts(mentions, denied, lexicon)


def _counts(mentions: Iterable[Mention], denied: bool, lexicon: Lexicon) -> Counts:
    facts: dict[str, list[Mention]] = {}
    for mention in mentions:
        if mention.number is not None:
            facts.setdefault(mention.class_name, []).append(mention)
        elif mention.class_name in lexicon.asked:
            raise NonsenseError(f"no number of class '{mention.class_name}'")
    totals = {name: _total(facts[name]) for name in lexicon.countable if name in facts}
    if denied and any(number for number, _ in totals.values()):
        raise NonsenseError("counts changes and says that there are none")
    if denied:
        totals = dict.fromkeys(lexicon.asked, (0, None)) | totals
    if not totals:
        raise NonsenseError("nothing is counted")
    return Counts(
        {name: number for name, (number, _) in totals.items()},
        {name: change for name, (number, change) in totals.items() if number and change},
    )


def _total(mentions: Iterable[Mention]) -> tuple[int, Change | None]:
    """Sum and direction of the mentions of one class, each statement taken once."""
    numbers: dict[tuple[str, Change | None], int] = {}
    for mention in mentions:
        key = (mention.noun, _direction(mention))
        if numbers.setdefault(key, mention.number or 0) != mention.number:
            raise NonsenseError(f"two numbers of class '{mention.class_name}'")
    return _sum(numbers)


def _direction(mention: Mention) -> Change | None:
    if len(mention.directions) > 1:
        raise NonsenseError(f"two directions of one number of class '{mention.class_name}'")
    return next(iter(mention.directions), None)


def _sum(numbers: dict[tuple[str, Change | None], int]) -> tuple[int, Change | None]:
    positive = {key: number for key, number in numbers.items() if number}
    _refuse_denied(numbers, positive)
    directed = {key: number for key, number in positive.items() if key[1] is not None}
    undirected = sum(number for (_, change), number in positive.items() if change is None)
    nouns = {noun for noun, _ in positive}
    if "building" in nouns and len(nouns) > 1:
        raise NonsenseError("it is not clear whether the houses are among the buildings")
    # "15 houses have changed: 10 new houses and 5 removed houses" counts the same houses twice.
    if directed and undirected and sum(directed.values()) != undirected:
        raise NonsenseError("the numbers of one class do not add up")
    changes = {change for _, change in directed or positive}
    total = sum((directed or positive).values())
    return total, next(iter(changes)) if len(changes) == 1 else None


def _refuse_denied(
    numbers: dict[tuple[str, Change | None], int], positive: dict[tuple[str, Change | None], int]
) -> None:
    """Refuses "no roads" beside "2 roads"; "no new roads" beside "2 removed roads" is fine."""
    denied = {change for (_, change), number in numbers.items() if not number}
    stated = {change for _, change in positive}
    if stated and (None in denied or denied & stated):
        raise NonsenseError("counts a class and says that there are none of it")


SPEC: TaskSpec[Counts] = TaskSpec(Task.COUNT, (PROMPT,), (CLASS_PROMPT,), render, read_counts)
