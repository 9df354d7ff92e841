"""Dialogues kept open, so that a second question about a place is answered at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from geochg.worker.parameters import PairParameters

if TYPE_CHECKING:
    from geochg.pipeline.dialogue import PairDialogue

MOST_DIALOGUES = 4
"""Dialogues kept open; each holds its model and its pixels."""

Key = tuple[str, str, str, tuple[float, float] | None]


@dataclass
class _OpenDialogue:
    """A dialogue, for one thread at a time."""

    lock: Lock = field(default_factory=Lock)
    dialogue: PairDialogue | None = None


class OpenDialogues:
    """The dialogues opened last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[Key, _OpenDialogue] = OrderedDict()

    @contextmanager
    def dialogue(
        self,
        pair: PairParameters,
        at: tuple[float, float] | None,
        open_it: Callable[[], PairDialogue],
    ) -> Iterator[PairDialogue]:
        """Gives a dialogue to this thread alone, opened where none is kept.

        Args:
            pair: The rasters and options.
            at: Longitude and latitude of the place in degrees; None for the whole pair.
            open_it: Opens the dialogue where none is kept.
        """
        entry = self._dialogue_of((pair.before, pair.after, str(pair.options), at))
        with entry.lock:
            if entry.dialogue is None:
                entry.dialogue = open_it()
            yield entry.dialogue

    def _dialogue_of(self, key: Key) -> _OpenDialogue:
        with self._lock:
            entry = self._kept.pop(key, None) or _OpenDialogue()
            self._kept[key] = entry
            if len(self._kept) > MOST_DIALOGUES:
                self._kept.popitem(last=False)
            return entry
