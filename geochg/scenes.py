"""What is asked about each tile of a single image, and what models answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from geochg.asked_class import AskedClass


@dataclass(frozen=True, slots=True)
class SceneQuestions:
    """What is asked about each tile of one date.

    Attributes:
        labels: The labels, each asked about with yes or no.
        presence: The question about one label, with `{thing}` or `{things}` for it.
        count: The question how many there are, likewise; empty where nothing is counted.
        caption: The prompt of the caption; empty where none is wanted.
    """

    labels: tuple[AskedClass, ...]
    presence: str
    count: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """Whether a tile shows what a label stands for.

    Attributes:
        present: Whether it is there; None where the answer made no sense.
        probability: Probability that it is there, 0-1; None where it was not measured.
    """

    present: bool | None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class SceneAnswers:
    """The answers about one tile of one date.

    Attributes:
        labels: The answer about each label that was asked about.
        counts: How many there are of what is present; empty where nothing was counted.
        caption: A sentence; empty where none was asked for, or none came.
        unparsed: What made no sense: names of labels, `count` and `caption`.
    """

    labels: Mapping[str, Label]
    counts: Mapping[str, int] = field(default_factory=dict)
    caption: str = ""
    unparsed: tuple[str, ...] = ()

    @property
    def present(self) -> tuple[str, ...]:
        """The labels that are there, in the order in which they were asked about."""
        return tuple(name for name, label in self.labels.items() if label.present)

    @property
    def untold(self) -> tuple[str, ...]:
        """The labels of which it is not known whether they are there."""
        return tuple(name for name, label in self.labels.items() if label.present is None)
