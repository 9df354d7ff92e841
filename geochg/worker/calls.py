"""Requests under way: each on a thread of its own, known by its id, to be cancelled."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event as Flag
from threading import Lock, Thread, current_thread
from typing import Any

from geochg.errors import CancelledRunError, GeochgError
from geochg.extras import extras_named
from geochg.safety.untrusted_text import cleaned
from geochg.worker.messages import (
    FAILED,
    INTERNAL,
    NOT_A_REQUEST,
    REFUSED,
    MessageError,
    Request,
    RequestId,
    answer_line,
    error_line,
    event_line,
)

MOST_CALLS = 16
"""Requests that may be under way at once."""

Send = Callable[[bytes], None]


@dataclass(frozen=True)
class Call:
    """A request as a method sees it.

    Attributes:
        parameters: The parameters by name.
        cancel: Set when the request is to stop.
        tell: Sends an event: plain JSON values with a `kind`.
    """

    parameters: Mapping[str, Any]
    cancel: Flag
    tell: Callable[[Mapping[str, Any]], None]

    def stop_if_cancelled(self) -> None:
        """Leaves the method when the request is to stop.

        Raises:
            CancelledRunError: If its client cancelled it.
        """
        if self.cancel.is_set():
            raise CancelledRunError("cancelled", "ask again")


Method = Callable[[Call], Mapping[str, Any]]


class Calls:
    """The requests under way."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = Lock()
        self._flags: dict[RequestId, Flag] = {}
        self._threads: set[Thread] = set()

    def start(self, method: Method, request: Request) -> None:
        """Answers a request on a thread of its own; a request without an id gets no answer.

        Raises:
            MessageError: If its id is under way, or too many are.
        """
        if request.id is None:
            return
        flag = Flag()
        thread = Thread(
            target=self._run_call, args=(method, request, request.id, flag), daemon=True
        )
        with self._lock:
            self._check_room(request.id)
            self._flags[request.id] = flag
            self._threads.add(thread)
        thread.start()

    def cancel(self, request: RequestId) -> bool:
        """Asks a request to stop, and returns whether it is under way."""
        with self._lock:
            flag = self._flags.get(request)
        if flag is not None:
            flag.set()
        return flag is not None

    def cancel_all(self) -> None:
        """Asks every request to stop."""
        with self._lock:
            for flag in self._flags.values():
                flag.set()

    def wait_for_end(self, deadline: float) -> bool:
        """Waits for the requests under way.

        Args:
            deadline: Time of the monotonic clock, in seconds.

        Returns:
            Whether all have ended.
        """
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _check_room(self, request: RequestId) -> None:
        if request in self._flags:
            raise MessageError(
                NOT_A_REQUEST,
                f"a request {request!r} is under way",
                "give each request an id of its own",
                request=request,
            )
        if len(self._flags) >= MOST_CALLS:
            raise MessageError(
                REFUSED,
                f"{MOST_CALLS} requests are under way",
                "wait for one of them, or cancel it",
                request=request,
            )

    def _run_call(self, method: Method, request: Request, number: RequestId, flag: Flag) -> None:
        def tell(event: Mapping[str, Any]) -> None:
            self._send(event_line(number, event))

        try:
            line = _answer(method, Call(request.parameters, flag, tell), number)
        finally:
            # Before the answer goes out, so that who reads it may use the id again.
            with self._lock:
                del self._flags[number]
        self._send(line)
        with self._lock:
            self._threads.discard(current_thread())


def _answer(method: Method, call: Call, number: RequestId) -> bytes:
    """The line that ends a request, whatever happens in it."""
    try:
        with extras_named():
            return answer_line(number, method(call))
    except MessageError as error:
        answer = error
    except GeochgError as error:
        answer = MessageError.of(error)
    except OSError as error:
        file = f": {error.filename}" if error.filename else ""
        hint = "make room, or look after the file"
        answer = MessageError(FAILED, f"{cleaned(error)}{file}", hint)
    # One request must not take the others down; the log has the rest.
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        hint = "report this with what the worker wrote on stderr"
        answer = MessageError(INTERNAL, f"{type(error).__name__}: {cleaned(error)}", hint)
    answer.request = number
    return error_line(answer)
