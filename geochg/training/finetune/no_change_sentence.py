"""How rows word a pair without change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from geochg.records import Task

if TYPE_CHECKING:
    from geochg.datasets.examples import Example


def no_change_sentence(examples: Iterable[Example]) -> str | None:
    """The commonest caption of pairs that have not changed; None where there is none."""
    said = Counter(
        example.turns[0].answer
        for example in examples
        if example.task is Task.CAPTION and example.changed is False and example.turns
    )
    return said.most_common(1)[0][0] if said else None
