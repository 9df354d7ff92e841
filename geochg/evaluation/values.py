"""Truths and answers, as plain JSON values and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from geochg.records import GRID_CELLS, Counts, Locations, Presence, Reply, Task, Unparsed


@dataclass(frozen=True, slots=True)
class References:
    """The texts that people wrote about a pair: one or several, all of them right."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedAnswer:
    """A question to which no answer came, and the reason."""

    reason: str


Truth = Presence | Counts | Locations | References
GivenAnswer = Presence | Counts | Locations | Reply | Unparsed | FailedAnswer

TRUTHS: Mapping[Task, type[Truth]] = {
    Task.PRESENCE: Presence,
    Task.COUNT: Counts,
    Task.LOCATE: Locations,
    Task.CAPTION: References,
    Task.DIALOGUE: References,
    Task.QUESTION: References,
}
"""The type of the truth of each task."""

_Comparable = TypeVar("_Comparable", Presence, Counts, Locations)

_MOST_COUNTED = 10**9
"""No pair holds more of anything; beyond some size a whole number does not even fit a float."""

_CELLS = {cell.name: cell for cell in GRID_CELLS}


def comparable_answer(answer: _Comparable) -> _Comparable:
    """The answer without what is not compared: directions, and probabilities of cells."""
    if isinstance(answer, Counts):
        return Counts({name: int(number) for name, number in answer.counts.items()})
    if isinstance(answer, Locations):
        return Locations({name: dict.fromkeys(cells, 1.0) for name, cells in answer.cells.items()})
    return answer


def text_of(answer: GivenAnswer) -> str:
    """The words of an answer that is a text, sensible or not; empty where there are none."""
    return answer.text if isinstance(answer, Reply | Unparsed) else ""


def truth_values(truth: Truth) -> dict[str, Any]:
    """A truth as plain values."""
    return (
        {"references": list(truth.texts)} if isinstance(truth, References) else _plain_values(truth)
    )


def answer_values(answer: GivenAnswer) -> dict[str, Any]:
    """An answer as plain values."""
    if isinstance(answer, FailedAnswer):
        return {"failed": answer.reason}
    if isinstance(answer, Unparsed):
        return {"unparsed": answer.reason, "text": answer.text}
    return {"text": answer.text} if isinstance(answer, Reply) else _plain_values(answer)


def truth_from_values(values: object, task: Task) -> Truth:
    """The truth of which `truth_values` gave the values.

    Raises:
        ValueError: If they are of no truth of the task.
    """
    texts = values.get("references") if isinstance(values, dict) else None
    if TRUTHS[task] is References:
        if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
            raise ValueError("there are no references")
        return References(tuple(texts))
    return _typed_answer(values, task)


def answer_from_values(values: object, task: Task) -> GivenAnswer:
    """The answer of which `answer_values` gave the values.

    Raises:
        ValueError: If they are of no answer to the task.
    """
    if not isinstance(values, dict):
        raise ValueError("there is no answer")
    if "failed" in values:
        return FailedAnswer(_text(values["failed"]))
    if "unparsed" in values:
        return Unparsed(task, _text(values.get("text")), _text(values["unparsed"]))
    if TRUTHS[task] is References:
        return Reply(_text(values.get("text")))
    return _typed_answer(values, task)


def _plain_values(value: Presence | Counts | Locations) -> dict[str, Any]:
    if isinstance(value, Presence):
        return {"changed": value.changed, "probability": value.probability}
    if isinstance(value, Counts):
        return {"counts": dict(value.counts)}
    return {"cells": {name: [c.name for c in sorted(cells)] for name, cells in value.cells.items()}}


def _typed_answer(values: object, task: Task) -> Presence | Counts | Locations:
    if not isinstance(values, dict):
        raise ValueError("there is no answer")
    if task is Task.PRESENCE:
        return _presence(values)
    by_class = values.get("counts" if task is Task.COUNT else "cells")
    if not isinstance(by_class, dict):
        raise ValueError(f"no answer to '{task}'")
    if task is Task.COUNT:
        if not all(type(number) is int and number >= 0 for number in by_class.values()):
            raise ValueError("a count is no whole number")
        if any(number > _MOST_COUNTED for number in by_class.values()):
            raise ValueError(f"a count is above {_MOST_COUNTED}")
        return Counts(by_class)
    if not all(
        isinstance(names, list) and _CELLS.keys() >= set(names) for names in by_class.values()
    ):
        raise ValueError("a name is of no cell")
    return Locations({n: {_CELLS[c]: 1.0 for c in names} for n, names in by_class.items()})


def _presence(values: Mapping[str, Any]) -> Presence:
    changed, likely = values.get("changed"), values.get("probability")
    if not isinstance(changed, bool):
        raise ValueError("changed is neither true nor false")
    if likely is not None and not (type(likely) in (int, float) and 0 <= likely <= 1):
        raise ValueError("the probability is no number from 0 to 1")
    return Presence(changed, likely)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")
    return value
