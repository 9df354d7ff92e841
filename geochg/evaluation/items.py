"""The questions of a test set, each with its truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from geochg.datasets.example import Example
from geochg.datasets.question_tasks import task_asked
from geochg.datasets.splits import usual_split
from geochg.errors import InputError, OptionError
from geochg.evaluation.options import ExampleOptions
from geochg.evaluation.values import TRUTHS, References, Truth, comparable_answer, truth_values
from geochg.records import Exchange, Question, Task, Unparsed
from geochg.tasks import SPECS, TURN_BREAK
from geochg.tasks.prompts import CLUE, check_prompts


@dataclass(frozen=True, slots=True)
class Item:
    """One question about a pair, and its truth.

    Attributes:
        question: The question that the model is asked.
        truth: The right answer.
        changed: Whether the pair changed; None where the data does not say.
        example: The pair.
        before: Earlier questions and answers of a free dialogue, in the data's words.
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
    """All questions of a test set.

    Attributes:
        items: Questions, those of one pair beside each other.
        unreadable: Number of rows left out because their answer is outside the grammar.
    """

    items: tuple[Item, ...]
    unreadable: int = 0

    @property
    def digest(self) -> str:
        """A checksum over questions, truths and names of pairs."""
        values = [
            (i.pair, str(i.question.task), i.question.text, i.before, truth_values(i.truth))
            for i in self.items
        ]
        return f"sha256:{hashlib.sha256(json.dumps(values).encode()).hexdigest()}"


def item_set(examples: Sequence[Example], options: ExampleOptions) -> ItemSet:
    """The questions of examples, those about one pair together.

    Several captions of a pair, and several answers to one question about it, are references of one
    item. Each turn of a free dialogue is an item, with the turns before it.

    Args:
        examples: Examples of the rows.
        options: Options with the split and the tasks to ask.

    Raises:
        InputError: If there is nothing to ask, rows of several splits are there and none was
            chosen, or an answer is outside the grammar of its task.
        OptionError: If a prompt makes no sense, or is of a task that no row asks.
    """
    check_prompts(options.prompts)
    chosen_examples = _of_tasks(_of_split(examples, options.split), options.tasks)
    _check_prompts_are_asked(chosen_examples, options)
    items, faults = readable_items(chosen_examples, options.prompts)
    if faults and (not options.skip_unreadable or not items):
        raise _first_fault(faults)
    return ItemSet(items, len(faults))


def readable_items(
    examples: Iterable[Example], prompts: Mapping[str, str] = MappingProxyType({})
) -> tuple[tuple[Item, ...], list[InputError]]:
    """The questions of examples as `item_set` orders them, and why some rows are not among them.

    Args:
        examples: Examples of any split and task.
        prompts: Words, by task, that are asked instead of those of the rows.

    Returns:
        The questions; one error for each row whose own answer is outside the grammar of its task.
    """
    items, faults = list[Item](), list[InputError]()
    for example in examples:
        try:
            items += [_in_own_words(item, prompts) for item in _items(example)]
        except InputError as fault:
            faults.append(fault)
    return tuple(_by_pair(items)), faults


def _in_own_words(item: Item, prompts: Mapping[str, str]) -> Item:
    text = prompts.get(item.question.task)
    return item if text is None else replace(item, question=SPECS[item.question.task].ask(text))


def _check_prompts_are_asked(examples: Sequence[Example], options: ExampleOptions) -> None:
    tasks = {str(_task(example)) for example in examples} | {CLUE}
    if options.clue or options.clue_model:
        tasks.add(Task.CAPTION)
    if idle := sorted(options.prompts.keys() - tasks):
        raise OptionError(f"no row asks for the prompt {idle[0]!r}", "leave it out")


def _of_split(examples: Sequence[Example], split: str) -> list[Example]:
    splits = dict.fromkeys(example.split for example in examples)
    names = ", ".join(name or "without a split" for name in splits)
    if not examples:
        raise InputError("there are no rows", "name another file")
    if not split and len([name for name in splits if name]) > 1:
        raise InputError(f"there are rows of several splits: {names}", "choose one with --split")
    wanted_split = usual_split(split)
    chosen_examples = [
        example for example in examples if not wanted_split or example.split == wanted_split
    ]
    if not chosen_examples:
        raise InputError(f"there is no row of the split {split!r}", f"there are: {names}")
    return chosen_examples


def _of_tasks(examples: Sequence[Example], tasks: Sequence[Task]) -> list[Example]:
    chosen_examples = [example for example in examples if not tasks or _task(example) in tasks]
    if not chosen_examples:
        task_names = ", ".join(dict.fromkeys(_task(example) for example in examples))
        raise InputError(f"no row asks for {', '.join(tasks)}", f"the rows ask for: {task_names}")
    return chosen_examples


def _task(example: Example) -> Task:
    return example.task or task_asked([turn.question for turn in example.turns])


def _first_fault(faults: Sequence[InputError]) -> InputError:
    first, further_count = faults[0], len(faults) - 1
    also = f" (and {further_count} more rows)" if further_count else ""
    return InputError(
        f"{first.message}{also}", "mend it, or leave such rows out with --skip-unreadable"
    )


# --- one row -------------------------------------------------------------------------------------


def _items(example: Example) -> Iterator[Item]:
    task = _task(example)
    if task is Task.QUESTION:
        yield from _dialogue(example)
        return
    question = SPECS[task].ask(TURN_BREAK.join(turn.question for turn in example.turns))
    yield Item(question, _truth(example, task), example.changed, example)


def _dialogue(example: Example) -> Iterator[Item]:
    exchanges = tuple(Exchange(turn.question, turn.answer) for turn in example.turns)
    for index, (question, answer) in enumerate(exchanges):
        if not answer.strip() or not question.strip():
            raise _fault(example, f"turn {index + 1} is empty")
        truth = References((answer,))
        free_question = Question(Task.QUESTION, question)
        yield Item(free_question, truth, example.changed, example, exchanges[:index])


def _truth(example: Example, task: Task) -> Truth:
    answers = [turn.answer for turn in example.turns]
    if TRUTHS[task] is References:
        texts = example.references or (answers[-1],)
        if not all(text.strip() for text in texts):
            raise _fault(example, "an empty text")
        return References(texts)
    spec = SPECS[task]
    answer = spec.parse(spec.joined_turns(answers), [turn.question for turn in example.turns])
    if isinstance(answer, Unparsed):
        raise _fault(example, f"its answer is outside the grammar of '{task}': {answer.reason}")
    truth: Truth = comparable_answer(answer)
    return truth


def _fault(example: Example, fault: str) -> InputError:
    return InputError(f"{example.display_name}: {fault}")


# --- all rows ------------------------------------------------------------------------------------


def _by_pair(items: Iterable[Item]) -> list[Item]:
    """The items of a pair together, with references of one question joined and doubles once.

    Pairs that are asked the same stand together, so that a model can be asked about many at once.
    """
    pairs: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        _add(pairs.setdefault(item.example.paths, []), item)
    alike: dict[tuple[Question, ...], list[Item]] = {}
    for of_pair in pairs.values():
        pair_questions = tuple(dict.fromkeys(item.question for item in of_pair if not item.before))
        alike.setdefault(pair_questions, []).extend(of_pair)
    return [item for of_pairs in alike.values() for item in of_pairs]


def _add(items: list[Item], item: Item) -> None:
    for index, other in enumerate(items):
        if (other.question, other.before) == (item.question, item.before):
            if isinstance(other.truth, References) and isinstance(item.truth, References):
                texts = dict.fromkeys((*other.truth.texts, *item.truth.texts))
                changed = item.changed if other.changed is None else other.changed
                items[index] = replace(other, truth=References(tuple(texts)), changed=changed)
                return
            if other.truth == item.truth:
                return
    items.append(item)
