"""The questions of a test set, each with what is true: what is asked and scored."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from geochg.datasets.example import Example
from geochg.datasets.question_tasks import task_asked
from geochg.datasets.splits import usual_split
from geochg.errors import InputError
from geochg.evaluation.example_options import ExampleOptions
from geochg.evaluation.values import TRUTHS, References, Truth, comparable_answer, truth_values
from geochg.records import Exchange, Question, Task, Unparsed
from geochg.tasks import SPECS, TURN_BREAK


@dataclass(frozen=True, slots=True)
class Item:
    """One question about a pair, and what is true.

    Attributes:
        question: As the model is asked it.
        truth: The right answer.
        changed: Whether the pair changed; None where the data does not say.
        example: The pair.
        before: What was asked and answered before in a free talk, in the data's words.
    """

    question: Question
    truth: Truth
    changed: bool | None
    example: Example
    before: tuple[Exchange, ...] = ()

    @property
    def pair(self) -> str:
        """The pair's name: its files by their last folder and name."""
        return " | ".join("/".join(path.parts[-2:]) for path in self.example.paths)


@dataclass(frozen=True, slots=True)
class ItemSet:
    """All that is asked of a model.

    Attributes:
        items: In an order in which those of one pair stand together.
        unreadable: Rows left out because their answer is outside the grammar.
    """

    items: tuple[Item, ...]
    unreadable: int = 0

    @property
    def digest(self) -> str:
        """A checksum over questions, truths and names of pairs."""
        told = [
            (i.pair, str(i.question.task), i.question.text, i.before, truth_values(i.truth))
            for i in self.items
        ]
        return f"sha256:{hashlib.sha256(json.dumps(told).encode()).hexdigest()}"


def item_set(examples: Sequence[Example], options: ExampleOptions) -> ItemSet:
    """The questions of examples, those about one pair together.

    Several captions of a pair, and several answers to one question about it, are references of one
    item. Each turn of a free talk is an item, with the turns before it.

    Args:
        examples: As they were read.
        options: Which split and tasks.

    Raises:
        InputError: If there is nothing to ask, rows of several splits are there and none was
            chosen, or an answer is outside the grammar of its task.
    """
    chosen = _of_tasks(_of_split(examples, options.split), options.tasks)
    items, faults = readable_items(chosen)
    if faults and (not options.skip_unreadable or not items):
        raise _all(faults)
    return ItemSet(items, len(faults))


def readable_items(examples: Iterable[Example]) -> tuple[tuple[Item, ...], list[InputError]]:
    """The questions of examples as `item_set` orders them, and why some rows are not among them.

    Args:
        examples: As they were read; which split or task they are of does not matter.

    Returns:
        The questions; one error for each row whose own answer is outside the grammar of its task.
    """
    found, faults = list[Item](), list[InputError]()
    for example in examples:
        try:
            found += _items(example)
        except InputError as fault:
            faults.append(fault)
    return tuple(_by_pair(found)), faults


def _of_split(examples: Sequence[Example], split: str) -> list[Example]:
    there = Counter(example.split for example in examples)
    names = ", ".join(name or "without a split" for name in there)
    if not examples:
        raise InputError("there are no rows", "name another file")
    if not split and len([name for name in there if name]) > 1:
        raise InputError(f"there are rows of several splits: {names}", "choose one with --split")
    wanted = usual_split(split)
    found = [example for example in examples if not wanted or example.split == wanted]
    if not found:
        raise InputError(f"there is no row of the split {split!r}", f"there are: {names}")
    return found


def _of_tasks(examples: Sequence[Example], tasks: Sequence[Task]) -> list[Example]:
    found = [example for example in examples if not tasks or _task(example) in tasks]
    if not found:
        there = ", ".join(dict.fromkeys(_task(example) for example in examples))
        raise InputError(f"no row asks for {', '.join(tasks)}", f"the rows ask for: {there}")
    return found


def _task(example: Example) -> Task:
    return example.task or task_asked([turn.question for turn in example.turns])


def _all(faults: Sequence[InputError]) -> InputError:
    first, more = faults[0], len(faults) - 1
    also = f" (and {more} more rows)" if more else ""
    return InputError(
        f"{first.message}{also}", "mend it, or leave such rows out with --skip-unreadable"
    )


# --- one row -------------------------------------------------------------------------------------


def _items(example: Example) -> Iterator[Item]:
    task = _task(example)
    if task is Task.QUESTION:
        yield from _talk(example)
        return
    question = SPECS[task].ask(TURN_BREAK.join(turn.question for turn in example.turns))
    yield Item(question, _truth(example, task), example.changed, example)


def _talk(example: Example) -> Iterator[Item]:
    exchanges = tuple(Exchange(turn.question, turn.answer) for turn in example.turns)
    for place, (question, answer) in enumerate(exchanges):
        if not answer.strip() or not question.strip():
            raise _fault(example, f"turn {place + 1} is empty")
        truth = References((answer,))
        asked = Question(Task.QUESTION, question)
        yield Item(asked, truth, example.changed, example, exchanges[:place])


def _truth(example: Example, task: Task) -> Truth:
    answers = [turn.answer for turn in example.turns]
    if TRUTHS[task] is References:
        texts = example.references or (answers[-1],)
        if not all(text.strip() for text in texts):
            raise _fault(example, "an empty text")
        return References(texts)
    spec = SPECS[task]
    found = spec.parse(spec.joined(answers), [turn.question for turn in example.turns])
    if isinstance(found, Unparsed):
        raise _fault(example, f"its answer is outside the grammar of '{task}': {found.reason}")
    truth: Truth = comparable_answer(found)
    return truth


def _fault(example: Example, what: str) -> InputError:
    return InputError(f"{example.named}: {what}")


# --- all rows ------------------------------------------------------------------------------------


def _by_pair(items: Iterable[Item]) -> list[Item]:
    """Those of a pair together, references of one question joined, doubles once.

    Pairs that are asked the same stand together, so that a model can be asked about many at once.
    """
    pairs: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        _add(pairs.setdefault(item.example.paths, []), item)
    alike: dict[tuple[Question, ...], list[Item]] = {}
    for found in pairs.values():
        asked = tuple(dict.fromkeys(item.question for item in found if not item.before))
        alike.setdefault(asked, []).extend(found)
    return [item for found in alike.values() for item in found]


def _add(found: list[Item], item: Item) -> None:
    for place, other in enumerate(found):
        if (other.question, other.before) == (item.question, item.before):
            if isinstance(other.truth, References) and isinstance(item.truth, References):
                texts = dict.fromkeys((*other.truth.texts, *item.truth.texts))
                changed = item.changed if other.changed is None else other.changed
                found[place] = replace(other, truth=References(tuple(texts)), changed=changed)
                return
            if other.truth == item.truth:
                return
    found.append(item)
