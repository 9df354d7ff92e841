"""Timers and a queue of steps for the main thread, which handles events between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from qgis.PyQt.QtCore import QObject, QTimer

Step = Callable[[], object]


def single_shot_timer(parent: QObject, interval_ms: int, slot: Step) -> QTimer:
    """A timer that calls a slot once after each start; each start begins the interval anew."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(interval_ms)
    timer.timeout.connect(slot)
    return timer


class MainThreadQueue(QObject):
    """Runs steps one by one, each in an iteration of the event loop of its own."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: deque[Step] = deque()
        # A millisecond, in which the window is painted; timers of none may fire two at a time.
        self._timer = single_shot_timer(self, 1, self._run_step)

    @property
    def is_busy(self) -> bool:
        """Whether steps are waiting."""
        return bool(self._steps)

    def add(self, steps: Iterable[Step]) -> None:
        """Adds steps behind those that are waiting."""
        self._steps.extend(steps)
        self._timer.start()

    def stop(self) -> None:
        """Drops the steps that are waiting."""
        self._steps.clear()
        self._timer.stop()

    def _run_step(self) -> None:
        if self._steps:
            step = self._steps.popleft()
            # Before the step, which may add others, or fail.
            self._timer.start()
            step()
