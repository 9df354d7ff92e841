"""Whether a model's answers about one pair agree with each other, which needs no labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from geochg.evaluation.intervals import share_interval
from geochg.evaluation.scores import PAIRS_BY_LABEL
from geochg.evaluation.tables import Interval, ScoreLine, ScoreTable
from geochg.evaluation.values import FailedAnswer, GivenAnswer
from geochg.geometry.hysteresis import presence_of
from geochg.records import (
    Answer,
    Caption,
    Counts,
    Locations,
    Missing,
    Outlines,
    Presence,
    Reply,
    Task,
    Tile,
    Unparsed,
)
from geochg.tasks import SPECS

Views = Mapping[Task, bool | None]
"""Whether each answer about one look tells a change; None where it makes no sense."""

VIEWS = (Task.PRESENCE, Task.COUNT, Task.LOCATE, Task.CAPTION)
"""The tasks whose answers are compared, in the order in which a disagreement names them."""

_WORDS = {
    Task.PRESENCE: ("no", "yes"),
    Task.COUNT: ("counts of 0", "a count above 0"),
    Task.LOCATE: ("no cell", "a named cell"),
    Task.CAPTION: ("a caption of no change", "a caption of a change"),
}
"""Each answer in words: telling no change, telling one."""

NOTE = (
    "answers that always say the same agree too: read it beside the scores and the exchange; by "
    "chance: independent answers that tell a change as often as these"
)


def tells_change(answer: Answer | GivenAnswer, tile: Tile | None = None) -> bool | None:
    """Whether an answer tells a change; None where it makes no sense or never came.

    Args:
        answer: An answer to a task of `VIEWS`; a caption may be a `Reply`.
        tile: The tile that outlines are about.
    """
    if isinstance(answer, Presence | Caption):
        return bool(answer.changed)
    if isinstance(answer, Counts):
        return any(number > 0 for number in answer.counts.values())
    if isinstance(answer, Locations):
        return any(answer.cells.values())
    if isinstance(answer, Outlines) and tile is not None:
        return presence_of(answer, tile.valid).changed
    if isinstance(answer, Reply):
        caption: Caption | Unparsed = SPECS[Task.CAPTION].parse(answer.text)
        return caption.changed if isinstance(caption, Caption) else None
    assert isinstance(answer, Unparsed | Missing | FailedAnswer), type(answer)
    return None


@dataclass(frozen=True, slots=True)
class StatedPair:
    """What a model states about one pair.

    Attributes:
        group: Name of the group of pairs that share images.
        changed: Whether the pair changed; None where that is not known.
        views: Views of each look at it; one where it was not cut.
    """

    group: str
    changed: bool | None
    views: Sequence[Views]

    @property
    def is_comparable(self) -> bool:
        """Whether two answers about one look can be compared."""
        return any(len(_stated(views)) > 1 for views in self.views)

    @property
    def disagreements(self) -> list[str]:
        """The kinds of disagreement, each once."""
        return list(dict.fromkeys(kind for views in self.views for kind in _disagreements(views)))


@dataclass(frozen=True, slots=True)
class GroupAgreement:
    """The agreement on one group of pairs.

    Attributes:
        group: Name of the group.
        items: Number of pairs, or of tiles with labels of their own, whose answers could be
            compared.
        agreement: Share of them on which all answers of each look agree.
        interval: Interval of that share.
        by_chance: The same share of independent answers that tell a change as often.
        disagreements: Number of pairs by the kind of disagreement; a pair may have several.
    """

    group: str
    items: int
    agreement: float
    interval: Interval | None
    by_chance: float
    disagreements: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The agreement as plain JSON values."""
        return {
            "group": self.group,
            "items": self.items,
            "agreement": self.agreement,
            "interval": None if self.interval is None else list(self.interval),
            "by_chance": self.by_chance,
            "disagreements": dict(self.disagreements),
        }


@dataclass(frozen=True)
class AgreementScores:
    """How far the answers of a model agree with each other.

    Attributes:
        groups: All pairs; then changed, unchanged and unlabelled ones, where there are several of
            these.
        tasks: Tasks whose answers were compared.
        incomparable: Number of pairs of which fewer than two answers made sense.
    """

    groups: Sequence[GroupAgreement]
    tasks: Sequence[Task]
    incomparable: int
    name: str = "agreement"
    heading: str = "Agreement of the answers with each other"

    @property
    def summary(self) -> str:
        """What was compared, on one line."""
        gap = f", {self.incomparable} left out" if self.incomparable else ""
        return f"{', '.join(self.tasks)} of {self.groups[0].items} items{gap}"

    @property
    def tables(self) -> list[ScoreTable]:
        """One table for each group."""
        return [_table(group) for group in self.groups]

    @property
    def notes(self) -> list[str]:
        """Sentences on how the figure was made."""
        notes = [
            f"{kind}: {number} of {self.groups[0].items} items"
            for kind, number in self.groups[0].disagreements.items()
        ]
        if self.incomparable:
            notes.append(f"{self.incomparable} items have fewer than two answers that make sense")
        return [*notes, NOTE]

    def to_dict(self) -> dict[str, Any]:
        """The figure as plain JSON values."""
        first = self.groups[0].to_dict()
        return {
            **{name: value for name, value in first.items() if name != "group"},
            "tasks": list(map(str, self.tasks)),
            "incomparable": self.incomparable,
            "groups": [group.to_dict() for group in self.groups[1:]],
        }


def agreement_scores(stated_pairs: Iterable[StatedPair]) -> AgreementScores | None:
    """The share of pairs on which a model's answers agree.

    Args:
        stated_pairs: What the model states about each pair.

    Returns:
        None where no two answers can be compared.
    """
    pairs = list(stated_pairs)
    compared_pairs = [pair for pair in pairs if pair.is_comparable]
    if not compared_pairs:
        return None
    tasks = {task for pair in pairs for views in pair.views for task in views}
    by_label = {
        name: [pair for pair in compared_pairs if pair.changed is label]
        for name, label in PAIRS_BY_LABEL.items()
    }
    parts = [_group_agreement(name, of_label) for name, of_label in by_label.items() if of_label]
    groups = [_group_agreement("all pairs", compared_pairs), *(parts if len(parts) > 1 else ())]
    return AgreementScores(
        groups, [task for task in VIEWS if task in tasks], len(pairs) - len(compared_pairs)
    )


def _stated(views: Views) -> dict[Task, bool]:
    """The views that make sense, in the order of `VIEWS`."""
    return {task: view for task in VIEWS if (view := views.get(task)) is not None}


def _disagreements(views: Views) -> list[str]:
    """The kinds of disagreement in one look.

    Answers are compared with that to the presence; where this made no sense, with each other.
    """
    by_task = _stated(views)
    firsts = [Task.PRESENCE] if Task.PRESENCE in by_task else list(by_task)
    return [
        f"{_WORDS[first][by_task[first]]}, but {_WORDS[second][by_task[second]]}"
        for first, second in combinations(by_task, 2)
        if first in firsts and by_task[first] != by_task[second]
    ]


def _group_agreement(name: str, pairs: Sequence[StatedPair]) -> GroupAgreement:
    agreed = np.array([not pair.disagreements for pair in pairs], bool)
    counts = Counter(kind for pair in pairs for kind in pair.disagreements)
    return GroupAgreement(
        name,
        len(pairs),
        float(agreed.mean()),
        share_interval(agreed, [pair.group for pair in pairs]),
        _by_chance(pairs),
        dict(counts.most_common()),
    )


def _by_chance(pairs: Sequence[StatedPair]) -> float:
    """The expected agreement of independent answers with the shares of these."""
    looks = [[_stated(views) for views in pair.views] for pair in pairs]
    shares = {}
    for task in VIEWS:
        views = [stated[task] for of_pair in looks for stated in of_pair if task in stated]
        shares[task] = float(np.mean(views)) if views else 0.0
    chances = [
        prod(
            prod(shares[task] for task in stated) + prod(1 - shares[task] for task in stated)
            for stated in of_pair
            if len(stated) > 1
        )
        for of_pair in looks
    ]
    return float(np.mean(chances))


def _table(group: GroupAgreement) -> ScoreTable:
    spread = {} if group.interval is None else {"agreement": group.interval}
    lines = [
        ScoreLine("the model", {"agreement": group.agreement}, spread),
        ScoreLine("by chance", {"agreement": group.by_chance}),
    ]
    return ScoreTable(group.group, group.items, ("agreement",), lines)
