"""Work of the main thread in steps, between which the window is served."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from qgis.PyQt.QtCore import QObject, QTimer

Step = Callable[[], object]


class Turns(QObject):
    """Takes steps one by one, each in a turn of the event loop of its own."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: deque[Step] = deque()
        # A millisecond, in which what the step before asked for is painted; timers of none may be
        # taken two at a time.
        self._next = QTimer(self)
        self._next.setSingleShot(True)
        self._next.setInterval(1)
        self._next.timeout.connect(self._take)

    @property
    def is_busy(self) -> bool:
        """Whether steps are waiting."""
        return bool(self._steps)

    def add(self, steps: Iterable[Step]) -> None:
        """Adds steps behind those that are waiting."""
        self._steps.extend(steps)
        self._next.start()

    def stop(self) -> None:
        """Takes no more steps."""
        self._steps.clear()
        self._next.stop()

    def _take(self) -> None:
        if self._steps:
            step = self._steps.popleft()
            # Before the step, which may add more, or fail.
            self._next.start()
            step()
