"""What a model answered to the rows of a test set, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from geochg import __version__
from geochg.errors import InputError
from geochg.evaluation.predictions import FORMAT, HINT, KIND, check_identity, json_lines
from geochg.evaluation.values import (
    GivenAnswer,
    Truth,
    answer_from_values,
    answer_values,
    truth_from_values,
    truth_values,
)
from geochg.options import VERSION_KEY
from geochg.records import Task

CONTENT = "answers"
"""What the first line of such a file says it holds."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One question beside its truth and its answer.

    Attributes:
        item: Its number in the test set.
        pair: The pair's name.
        task: What was asked.
        question: In words.
        changed: Whether the pair changed; None where the data does not say.
        truth: The right answer.
        answer: The answer of the model.
        difference: Mean absolute difference of the two dates, in 8-bit steps.
    """

    item: int
    pair: str
    task: Task
    question: str
    changed: bool | None
    truth: Truth
    answer: GivenAnswer
    difference: float

    def line(self) -> str:
        """The row as a line of JSON."""
        told = {
            "item": self.item,
            "pair": self.pair,
            "task": str(self.task),
            "question": self.question,
            "changed": self.changed,
            "truth": truth_values(self.truth),
            "answer": answer_values(self.answer),
            "difference": self.difference,
        }
        return json.dumps(told, allow_nan=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """What `line` told.

        Raises:
            ValueError: If it is no such row.
        """
        number, changed, difference = (values.get(n) for n in ("item", "changed", "difference"))
        pair, question = values.get("pair"), values.get("question")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ValueError("there is no item")
        if not isinstance(changed, bool | None):
            raise ValueError("changed is neither true nor false nor null")
        if not isinstance(pair, str) or not isinstance(question, str):
            raise ValueError("there is no pair or no question")
        if not isinstance(difference, int | float) or not 0 <= difference <= 255:
            raise ValueError("the difference is no number from 0 to 255")
        task = Task(values.get("task", ""))
        truth, given = (
            truth_from_values(values.get("truth"), task),
            answer_from_values(values.get("answer"), task),
        )
        return cls(number, pair, task, question, changed, truth, given, float(difference))


@dataclass(frozen=True)
class AnswerSetHead:
    """What the answers come from.

    Attributes:
        model: What `--model` was.
        model_options: The model's own options.
        identity: `ModelIdentity` as plain values.
        asked: Checksum of what was asked, see `items.ItemSet.digest`.
        items: How many questions there are in all.
        unreadable: Rows left out because their own answer is outside the grammar.
        unasked: Questions the model does not take, by task.
    """

    model: str
    model_options: Mapping[str, Any]
    identity: Mapping[str, str]
    asked: str
    items: int
    unreadable: int
    unasked: Mapping[str, int]

    def line(self) -> str:
        """The first line of the file."""
        kind = {"kind": KIND, "content": CONTENT, "format": FORMAT, VERSION_KEY: __version__}
        return json.dumps({**kind, **vars(self)}, allow_nan=False)

    @classmethod
    def of(cls, values: Mapping[str, Any], path: Path) -> Self:
        """What `line` told.

        Raises:
            InputError: If it is no such head.
        """
        kinds = {
            "model": str,
            "model_options": dict,
            "identity": dict,
            "asked": str,
            "items": int,
            "unreadable": int,
            "unasked": dict,
        }
        for name, kind in kinds.items():
            if not isinstance(values.get(name), kind):
                raise InputError(f"{path}, line 1: there is no {name!r}", HINT)
        numbers = (values["items"], values["unreadable"], *values["unasked"].values())
        if not all(type(n) is int and n >= 0 for n in numbers):
            raise InputError(f"{path}, line 1 has a number that makes no sense", HINT)
        check_identity(values["identity"], path)
        return cls(**{name: values[name] for name in kinds})


@dataclass(frozen=True)
class AnswerSet:
    """All that a scoring needs."""

    head: AnswerSetHead
    rows: Sequence[AnswerRow]

    def lines(self) -> Iterator[str]:
        """The file, row by row in the order of the items."""
        yield self.head.line()
        yield from (row.line() for row in sorted(self.rows, key=lambda row: row.item))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file of answers.

        Raises:
            InputError: If it cannot be read, is of another kind or of a newer geochg, a line is
                damaged or an item stands there twice (file, line and what).
        """
        head, *rows = json_lines(path)
        known, found = AnswerSetHead.of(head, path), dict[int, AnswerRow]()
        asked = known.items + sum(known.unasked.values())
        for number, values in enumerate(rows, start=2):
            row = _answer_row(path, number, values)
            if row.item >= asked:
                raise InputError(f"{path}, line {number}: there is no such item", HINT)
            if row.item in found:
                raise InputError(f"{path}, line {number}: item {row.item} stands there twice", HINT)
            found[row.item] = row
        return cls(known, tuple(found.values()))


def _answer_row(path: Path, number: int, values: Mapping[str, Any]) -> AnswerRow:
    try:
        return AnswerRow.of(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}, line {number}: {error}", HINT) from error
