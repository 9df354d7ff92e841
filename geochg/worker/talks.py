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
    from geochg.pipeline.dialogue import Dialogue

MOST_TALKS = 4
"""Places kept open; each holds its model and its pixels."""

Key = tuple[str, str, str, tuple[float, float] | None]


@dataclass
class _Talk:
    """A dialogue, for one thread at a time."""

    lock: Lock = field(default_factory=Lock)
    dialogue: Dialogue | None = None


class Talks:
    """The dialogues opened last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[Key, _Talk] = OrderedDict()

    @contextmanager
    def dialogue(
        self, pair: PairParameters, at: tuple[float, float] | None, open_it: Callable[[], Dialogue]
    ) -> Iterator[Dialogue]:
        """A dialogue for this thread alone; opened where it is not kept.

        Args:
            pair: The rasters and options.
            at: The place.
            open_it: Opens it.
        """
        talk = self._talk((pair.before, pair.after, str(pair.options), at))
        with talk.lock:
            if talk.dialogue is None:
                talk.dialogue = open_it()
            yield talk.dialogue

    def _talk(self, key: Key) -> _Talk:
        with self._lock:
            talk = self._kept.pop(key, None) or _Talk()
            self._kept[key] = talk
            if len(self._kept) > MOST_TALKS:
                self._kept.popitem(last=False)
            return talk
