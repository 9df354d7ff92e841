"""Events of a run while it works; the command line, the worker and QGIS all listen to these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned

PROTOCOL_VERSION = 1
"""Raised when an event or a worker message changes in a way that breaks a listener."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a run that a listener may want to know."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """The event as plain JSON values, `kind` first."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """The progress of a stage.

    Attributes:
        stage: `shift`, `survey`, `tiles` or `write` of a run; data sets, evaluation and training
            have stages of their own.
        done: Number of units that are finished.
        total: Number of units in all.
    """

    kind: ClassVar[str] = "progress"
    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A notice for the user of something that does not stop the run.

    Attributes:
        message: The message, cleaned of control codes and secrets, as those of errors are.
        warning: Whether it matters for the result.
    """

    kind: ClassVar[str] = "notice"
    message: str
    warning: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", cleaned(self.message, LONGEST_TEXT))


Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does nothing."""
