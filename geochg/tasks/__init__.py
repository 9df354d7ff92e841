"""The six tasks: prompts, answer grammar and parsers.

`SPECS[task]` is the `TaskSpec` of a task; each lives in a module of the task's name as `SPEC`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geochg.records import AskedClass, Question, Task
from geochg.tasks import caption, count, dialogue, locate, presence, question
from geochg.tasks.base import TURN_BREAK, TaskSpec

__all__ = ["SPECS", "TURN_BREAK", "TaskSpec", "ask"]

SPECS: Mapping[Task, TaskSpec[Any]] = {
    module.SPEC.task: module.SPEC
    for module in (caption, presence, count, locate, dialogue, question)
}
"""Specification of each task: prompts, text form and parser."""


def ask(task: Task, text: str | None = None, classes: tuple[AskedClass, ...] = ()) -> Question:
    """The question of a task, in the words of the data or in those that are given.

    Args:
        task: The task.
        text: The prompt in words; that of the task when None.
        classes: The classes that it asks about; roads and buildings where it is empty.

    Raises:
        ValueError: If the task has no words of its own and none are given.
    """
    return SPECS[task].ask(text, classes)
