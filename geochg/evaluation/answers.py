"""The answers of a model to the rows of a test set, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from geochg.errors import InputError
from geochg.evaluation.agreement import tells_change
from geochg.evaluation.predictions import (
    HINT,
    Prediction,
    are_columns,
    check_head,
    head_line,
    json_lines,
    prediction_line,
    prediction_of,
)
from geochg.evaluation.values import (
    GivenAnswer,
    Truth,
    answer_from_values,
    answer_values,
    truth_from_values,
    truth_values,
)
from geochg.records import Task

CONTENT = "answers"
"""Content that the first line of a file of answers names."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """The answer to one question, and its truth.

    Attributes:
        item: Number of the question in the test set.
        pair: Name of the pair.
        task: Task of the question.
        question: Question in words.
        changed: Whether the pair changed; None where the data does not say.
        truth: The right answer.
        answer: The answer of the model.
        difference: Mean absolute difference of the two dates, in 8-bit steps.
        tells: Whether the model's own answer tells a change, where another one is scored in its
            place, or only its cells: of models that outline. None elsewhere.
        columns: Further columns of the row, such as a sensor, by name.
    """

    item: int
    pair: str
    task: Task
    question: str
    changed: bool | None
    truth: Truth
    answer: GivenAnswer
    difference: float
    tells: bool | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def view(self) -> bool | None:
        """Whether the answer tells a change; None where it makes no sense or never came."""
        return tells_change(self.answer) if self.tells is None else self.tells

    def line(self) -> str:
        """The row as a line of JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {"truth": truth_values(self.truth), "answer": answer_values(self.answer)}
        values = {
            name: value
            for name, value in values.items()
            if name not in ("tells", "columns") or value not in (None, {})
        }
        return json.dumps(values, allow_nan=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The row of which `line` gave the values.

        Raises:
            ValueError: If they are of no row.
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
        tells, columns = values.get("tells"), values.get("columns", {})
        if not isinstance(tells, bool | None) or not are_columns(columns):
            raise ValueError("tells or columns make no sense")
        task = Task(values.get("task", ""))
        truth = truth_from_values(values.get("truth"), task)
        answer = answer_from_values(values.get("answer"), task)
        distance = float(difference)
        return cls(number, pair, task, question, changed, truth, answer, distance, tells, columns)


@dataclass(frozen=True)
class AnswerSetHead:
    """Model and test set of the answers.

    Attributes:
        model: Value of `--model`.
        model_options: The model's own options.
        identity: `ModelIdentity` as plain values.
        asked: Checksum of the questions, see `items.ItemSet.digest`.
        items: Number of questions in all.
        unreadable: Number of rows left out because their own answer is outside the grammar.
        unasked: Number of questions that the model does not take, by task.
        wording: Clues and prompts, see `AskOptions.wording`.
        exchange: Of the exchange of after images its `seed`, the number of `pairs` and of those
            that are `left_out`; empty where there is none.
    """

    model: str
    model_options: Mapping[str, Any]
    identity: Mapping[str, str]
    asked: str
    items: int
    unreadable: int
    unasked: Mapping[str, int]
    wording: Mapping[str, Any] = field(default_factory=dict)
    exchange: Mapping[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """The first line of the file."""
        return head_line(CONTENT, vars(self))

    @classmethod
    def of(cls, values: Mapping[str, Any], path: Path) -> Self:
        """The head of which `line` gave the values.

        Raises:
            InputError: If they are of no head.
        """
        types = {
            "model": str,
            "model_options": dict,
            "identity": dict,
            "asked": str,
            "items": int,
            "unreadable": int,
            "unasked": dict,
        }
        check_head(values, types, path)
        wording, exchange = (values.get(name, {}) for name in ("wording", "exchange"))
        if not isinstance(wording, dict) or not isinstance(exchange, dict):
            raise InputError(f"{path}, line 1 tells no wording or no exchange", HINT)
        numbers = (
            *(values["items"], values["unreadable"]),
            *(*values["unasked"].values(), *exchange.values()),
        )
        if not all(type(n) is int and n >= 0 for n in numbers):
            raise InputError(f"{path}, line 1 has a number that makes no sense", HINT)
        return cls(**{name: values[name] for name in types}, wording=wording, exchange=exchange)


@dataclass(frozen=True)
class AnswerSet:
    """The answers of a model with their truths: all that a scoring needs.

    Attributes:
        head: Model and test set.
        rows: Answers to the questions.
        exchanged: Answers about pairs with exchanged after images.
    """

    head: AnswerSetHead
    rows: Sequence[AnswerRow]
    exchanged: Sequence[Prediction] = ()

    def lines(self) -> Iterator[str]:
        """The file, row by row in the order of the items."""
        yield self.head.line()
        yield from (row.line() for row in sorted(self.rows, key=lambda row: row.item))
        yield from map(prediction_line, self.exchanged)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file of answers.

        Raises:
            InputError: If it cannot be read, is of another kind or of a newer geochg, a line is
                damaged or an item stands there twice (file, line and what).
        """
        head, *rows = json_lines(path)
        set_head, answers = AnswerSetHead.of(head, path), dict[int, AnswerRow]()
        exchanged: list[Prediction] = []
        question_count = set_head.items + sum(set_head.unasked.values())
        for number, values in enumerate(rows, start=2):
            if values.get("partner"):
                exchanged.append(prediction_of(path, number, values))
                continue
            row = _answer_row(path, number, values)
            if row.item >= question_count:
                raise InputError(
                    f"{path}, line {number}: item {row.item} is not among those of line 1", HINT
                )
            if row.item in answers:
                raise InputError(f"{path}, line {number}: item {row.item} stands there twice", HINT)
            answers[row.item] = row
        return cls(set_head, tuple(answers.values()), tuple(exchanged))


def _answer_row(path: Path, number: int, values: Mapping[str, Any]) -> AnswerRow:
    try:
        return AnswerRow.of(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}, line {number}: {error}", HINT) from error
