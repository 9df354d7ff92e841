"""Hands out scenes until each is done, or has failed as often as it may."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event as Flag

from geochg.batch.scene_pool import ScenePool, SceneProgress
from geochg.batch.scene_runner import SceneOutcome, SceneState, SceneTask
from geochg.errors import CancelledRunError
from geochg.events import Listener, Notice, Progress

HELD_PAUSE_S = 2.0
"""Time until a scene is tried again whose journal another process holds."""

MOST_HELD_S = 600.0
"""Time after which such a scene has failed."""

_PATIENCE_S = 0.2  # how long Ctrl-C may go unnoticed


@dataclass
class _Attempts:
    """What was tried of a scene."""

    task: SceneTask
    failures: int = 0
    held_since_s: float | None = None
    not_before_s: float = 0.0


@dataclass(frozen=True)
class FinishedScene:
    """What came of a scene in the end.

    Attributes:
        outcome: The outcome of the last attempt.
        attempts: Number of attempts that ran.
    """

    outcome: SceneOutcome
    attempts: int


Take = Callable[[FinishedScene], None]


def run_scenes(
    tasks: Iterable[SceneTask],
    pool: ScenePool,
    retries: int,
    take: Take,
    listener: Listener,
    cancel: Flag,
    *,
    finished: int = 0,
    total: int = 0,
) -> None:
    """Runs scenes in a pool; those that fail are tried again when the others have had their turn.

    Args:
        tasks: The scenes, in the order in which they are begun.
        pool: Where they are run.
        retries: Number of further attempts at a scene that fails.
        take: Called with what came of each scene, in the order in which they end.
        listener: Called with progress in scenes and in tiles of those under way.
        cancel: Once it is set, all scenes stop at their next tile.
        finished: Scenes that were finished before, for the progress.
        total: Scenes in all, for the progress.

    Raises:
        CancelledRunError: If it was cancelled; journals keep what was done.
        RunError: If scenes can be run no more.
    """
    _Scheduler(tasks, pool, retries, take, listener, cancel, finished, total).run()


class _Scheduler:
    """The scenes that wait, and those that run; see `run_scenes`."""

    def __init__(
        self,
        tasks: Iterable[SceneTask],
        pool: ScenePool,
        retries: int,
        take: Take,
        listener: Listener,
        cancel: Flag,
        finished: int,
        total: int,
    ) -> None:
        self._waiting = deque(_Attempts(task) for task in tasks)
        self._running: dict[str, _Attempts] = {}
        self._tiles: dict[str, tuple[int, int]] = {}
        self._pool, self._retries, self._take = pool, retries, take
        self._listener, self._cancel = listener, cancel
        self._finished, self._total = finished, total

    def run(self) -> None:
        """Runs all scenes."""
        self._tell_scenes()
        while self._waiting or self._running:
            if self._cancel.is_set():
                self._stop()
            self._submit()
            if not self._running:
                # All that are left wait for another process.
                self._cancel.wait(_PATIENCE_S)
            for message in self._pool.messages(_PATIENCE_S):
                self._handle(message)

    def _submit(self) -> None:
        """Hands out the scenes whose time has come, as far as there is room."""
        now_s = time.monotonic()
        for _ in range(len(self._waiting)):
            if not self._pool.has_room():
                return
            attempts = self._waiting.popleft()
            if attempts.not_before_s > now_s:
                self._waiting.append(attempts)
                continue
            self._running[attempts.task.scene.id] = attempts
            self._pool.submit(attempts.task)

    def _handle(self, message: SceneOutcome | SceneProgress) -> None:
        if message.id not in self._running:
            return
        if isinstance(message, SceneProgress):
            self._tiles[message.id] = (message.done, message.total)
            done_count, total = map(sum, zip(*self._tiles.values(), strict=True))
            self._listener(Progress("tiles", done_count, total))
            return
        attempts = self._running.pop(message.id)
        self._tiles.pop(message.id, None)
        if message.state is SceneState.CANCELLED:
            return
        if message.state is SceneState.HELD and self._may_wait(attempts):
            self._waiting.append(attempts)
            return
        if message.state is not SceneState.DONE:
            attempts.failures += 1
            if attempts.failures <= self._retries and not message.is_permanent:
                text = f"{message.id} failed and is tried again: {message.reason}"
                self._listener(Notice(text))
                self._waiting.append(attempts)
                return
        is_done = message.state is SceneState.DONE
        self._take(FinishedScene(message, attempts.failures + is_done))
        self._finished += is_done
        self._tell_scenes()

    def _may_wait(self, attempts: _Attempts) -> bool:
        """Whether a scene that another process runs is waited for."""
        now_s = time.monotonic()
        attempts.held_since_s = attempts.held_since_s or now_s
        attempts.not_before_s = now_s + HELD_PAUSE_S
        return now_s - attempts.held_since_s < MOST_HELD_S

    def _tell_scenes(self) -> None:
        self._listener(Progress("batch", self._finished, self._total))

    def _stop(self) -> None:
        """Lets the scenes under way stop.

        Raises:
            CancelledRunError: When they have.
        """
        self._pool.stop()
        while self._running:
            for message in self._pool.messages(_PATIENCE_S):
                if isinstance(message, SceneOutcome):
                    self._running.pop(message.id, None)
                    if message.state is SceneState.DONE:
                        self._take(FinishedScene(message, 1))
        raise CancelledRunError("cancelled", "give the same command again to go on")
