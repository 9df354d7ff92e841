"""Calls under way: one works at a time, on a thread of its own; the others wait and say so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Event as Flag
from threading import Lock, Thread
from typing import Generic, TypeVar

from geochg.errors import CancelledRunError
from geochg.events import Event, Notice, Progress

T = TypeVar("T")
Report = Callable[[float, str], Awaitable[None]]
"""Sends how far a call is: a number that grows, and words."""

_QUIET_S = 0.1  # least time between two reports of progress within a stage
_POLL_S = 0.1
_MOST_NOTICES = 50
_STAGE = 0.99  # of one, so that the next stage is further even at its beginning


class ToolCall:
    """A call as its tool sees it.

    Attributes:
        cancel: Set when the call is to stop.
        notices: What its user should know of the result.
    """

    def __init__(self, tell: Callable[[float, str], None]) -> None:
        self.cancel = Flag()
        self.notices: list[str] = []
        self._tell = tell
        self._stages = 0
        self._last = Progress("", 0, 0)
        self._reported_s = -1.0

    def listen(self, event: Event) -> None:
        """Passes on the progress of a run, no more often than anyone can see, and keeps notices."""
        if isinstance(event, Notice) and len(self.notices) < _MOST_NOTICES:
            self.notices.append(event.message)
        if not isinstance(event, Progress):
            return
        # Numbers of progress must grow, while stages count anew: each is one.
        if event.stage != self._last.stage or event.done < self._last.done:
            self._stages += 1
            self._reported_s = -1.0
        self._last = event
        now_s = time.monotonic()
        if event.done < event.total and now_s - self._reported_s < _QUIET_S:
            return
        self._reported_s = now_s
        share = event.done / event.total if event.total else 0.0
        self._tell(self._stages + _STAGE * share, f"{event.stage}: {event.done} of {event.total}")

    def stop_if_cancelled(self) -> None:
        """Leaves the tool when the call is to stop.

        Raises:
            CancelledRunError: If its client cancelled it.
        """
        if self.cancel.is_set():
            raise CancelledRunError("cancelled", "ask again")

    def wait_for_turn(self, turn: Lock) -> None:
        """Waits until no other call works.

        Raises:
            CancelledRunError: If its client cancelled it meanwhile.
        """
        if turn.acquire(blocking=False):
            return
        self._tell(0.0, "waiting: another call is under way")
        while not turn.acquire(timeout=_POLL_S):
            self.stop_if_cancelled()


class CallQueue:
    """Runs the work of calls one after the other, beside the loop that serves the client."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._calls: dict[Thread, ToolCall] = {}

    async def run(self, answer: Callable[[ToolCall], T], report: Report) -> T:
        """Runs the work of a call; when the call is cancelled, the work is asked to stop.

        A call that is cancelled is left at once; what it was doing stops at its next step, and the
        next call waits for that.

        Args:
            answer: Does the work, on another thread.
            report: Sends progress.
        """
        relay: _Relay[T] = _Relay(asyncio.get_running_loop())
        call = ToolCall(relay.tell)

        def run_call() -> None:
            try:
                call.wait_for_turn(self._turn)
                try:
                    relay.end(answer(call))
                finally:
                    self._turn.release()
            # Whatever ends the work is told by the loop that waits for it.
            except BaseException as error:
                relay.fail(error)
            finally:
                self._calls.pop(thread, None)

        # A daemon: what does not stop must not keep the process.
        thread = Thread(target=run_call, daemon=True)
        self._calls[thread] = call
        thread.start()
        try:
            return await relay.wait(report)
        finally:
            call.cancel.set()

    def stop(self, deadline: float) -> bool:
        """Asks all calls to stop and waits for them.

        Args:
            deadline: Time of the monotonic clock, in seconds.

        Returns:
            Whether all have ended.
        """
        calls = dict(self._calls)
        for call in calls.values():
            call.cancel.set()
        for thread in calls:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in calls)


class _Relay(Generic[T]):
    """Brings progress and the end of a call from its thread to the loop; keeps the latest alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed = asyncio.Event()
        self._progress: tuple[float, str] | None = None
        self._results: list[T] = []
        self._error: BaseException | None = None

    def tell(self, progress: float, message: str) -> None:
        self._progress = progress, message
        self._wake()

    def end(self, result: T) -> None:
        self._results.append(result)
        self._wake()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._wake()

    async def wait(self, report: Report) -> T:
        while True:
            await self._changed.wait()
            self._changed.clear()
            progress, self._progress = self._progress, None
            if progress is not None:
                await report(*progress)
            if self._error is not None:
                raise self._error
            if self._results:
                return self._results[0]

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._changed.set)
