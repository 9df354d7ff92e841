"""One worker process and the requests sent to it.

Any thread may send requests. Answers and events arrive on a thread of the client's own.
"""

from __future__ import annotations

import os

# The worker is another process by design.
import subprocess  # nosec B404
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread, current_thread
from typing import IO, Any

from geochg_qgis.link.errors import Cancelled, LinkError, exit_error, start_error, timeout_error
from geochg_qgis.link.interpreters import System, check_not_qgis, clean_environment
from geochg_qgis.link.process_tree import (
    end_process,
    kill_tree,
    terminate_tree,
    tree_settings,
    wait_and_kill_tree,
)
from geochg_qgis.link.protocol import check_hello, error_of, message_of, request_line, whole_number
from geochg_qgis.link.replies import Listener, PendingReply, ignore

WORKER = ("-m", "geochg_cli", "worker")
"""Arguments of the interpreter."""

HELLO_S = 60.0
"""Time for a worker to start: the first import from a cold disk is slow."""

CANCEL_S = 3.0
"""Time for a request to end after it was cancelled, before the worker is ended."""

LEAVE_S = 4.0
"""Time for a worker to exit after its stdin was closed, before it is killed."""

END_S = 0.5
"""Time for a worker to exit after each signal."""

_LOG_LINES = 200

_LONG_METHODS = ("analyze", "ask")  # requests that are not interrupted because of another one
_KILL_STEPS = ((terminate_tree, END_S), (kill_tree, END_S))
"""Steps that end a worker which does not exit, each with the time it is given."""


@dataclass(frozen=True)
class _Ending:
    """How a worker is ended that takes no more requests.

    Attributes:
        end_worker: Function that ends the worker.
        waits_for_all: Whether all pending requests are answered first, or only those that take
            long.
    """

    end_worker: Callable[[], None]
    waits_for_all: bool

    def waits_for(self, reply: PendingReply) -> bool:
        """Whether a request is answered first."""
        return self.waits_for_all or reply.method in _LONG_METHODS


class WorkerClient:
    """A worker process and the requests sent to it.

    Args:
        python: Interpreter that has geochg.
        on_log: Function that is given each line of the worker's stderr, on another thread.
        command: Arguments of the interpreter.
    """

    def __init__(
        self,
        python: Path,
        on_log: Callable[[str], None] = ignore,
        command: tuple[str, ...] = WORKER,
    ) -> None:
        # Absolute, because the process is started in the interpreter's folder.
        self.python = Path(os.path.abspath(python))
        self.hello: dict[str, Any] = {}
        self._on_log = on_log
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._write_lock = Lock()
        self._replies: dict[int, PendingReply] = {}
        self._last = 0
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._closing = False
        self._ending: _Ending | None = None
        self._broken: LinkError | None = None
        self._log_thread: Thread | None = None
        self._readers: list[Thread] = []

    def start(
        self, seconds: float = HELLO_S, is_cancelled: Callable[[], bool] = bool
    ) -> dict[str, Any]:
        """Starts the process and requests `hello`.

        Args:
            seconds: Time for the worker to answer.
            is_cancelled: Function that is polled while waiting.

        Returns:
            The worker's description of itself.

        Raises:
            LinkError: If it does not start, does not answer, or speaks another version.
        """
        self._process = self._popen()
        # The log first: the thread that reads messages waits for it where the process ends at once.
        self._log_thread = self._start_thread(self._read_log)
        self._start_thread(wait_and_kill_tree)
        self._readers = [self._log_thread, self._start_thread(self._read_messages)]
        try:
            reply = self.request("hello", {"client": "geochg_qgis"})
            self._await_hello(reply, seconds, is_cancelled)
            hello = reply.result()
            check_hello(hello)
        except LinkError:
            self.close()
            raise
        self.hello = hello
        return hello

    def _start_thread(self, task: Callable[[Any], object]) -> Thread:
        thread = Thread(target=task, args=(self._process,), daemon=True)
        thread.start()
        return thread

    @property
    def is_alive(self) -> bool:
        """Whether the worker takes requests."""
        process = self._process
        if process is None or self._closing or self._ending is not None:
            return False
        return process.poll() is None

    @property
    def is_idle(self) -> bool:
        """Whether no request is pending."""
        with self._lock:
            return not self._replies

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended, or was never started."""
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int | None:
        """Id of the process."""
        return self._process.pid if self._process else None

    def log(self) -> str:
        """Last lines that the worker wrote on stderr."""
        return "\n".join(self._log)

    def request(
        self, method: str, parameters: Mapping[str, Any], on_event: Listener = ignore
    ) -> PendingReply:
        """Sends a request.

        Args:
            method: Method of the worker (docs/worker.md).
            parameters: Parameters, by name.
            on_event: Function that is given the request's events, on the client's thread.
        """
        with self._lock:
            self._last += 1
            reply = PendingReply(self._last, method, on_event)
            if self._broken is not None:
                reply.settle(error=self._broken)
                return reply
            self._replies[reply.number] = reply
        self._write(request_line(reply.number, method, parameters))
        return reply

    def ask(
        self,
        method: str,
        parameters: Mapping[str, Any],
        on_event: Listener = ignore,
        is_cancelled: Callable[[], bool] = bool,
        poll_s: float = 0.1,
    ) -> dict[str, Any]:
        """Sends a request and waits for its result, on the calling thread.

        Args:
            method: Method of the worker (docs/worker.md).
            parameters: Parameters, by name.
            on_event: Function that is given the request's events, on the client's thread.
            is_cancelled: Function that is polled; when true, the request is cancelled. A worker
                that does not stop an analysis is ended, once no other analysis or question is
                pending.
            poll_s: Time between two polls.

        Raises:
            Cancelled: If the request was cancelled.
            LinkError: If the request failed.
        """
        reply = self.request(method, parameters, on_event)
        while not reply.wait(poll_s):
            if is_cancelled():
                self._cancel(reply)
                break
        return reply.result()

    def close(self) -> None:
        """Ends the worker: closes its stdin, then kills it if it does not exit."""
        self._closing = True
        if self._process is not None:
            self._close_stdin(self._process)
            end_process(self._process, ((ignore, LEAVE_S), *_KILL_STEPS))
            self._fail_all(Cancelled.from_code("worker-ended"))
            # None may still write to QGIS's log while QGIS ends.
            for thread in self._readers:
                if thread is not current_thread():
                    thread.join(END_S)

    def retire(self) -> None:
        """Ends the worker when it has answered all pending requests; it takes no more."""
        self._end_soon(_Ending(self.close, waits_for_all=True))

    def _end_soon(self, ending: _Ending) -> None:
        with self._lock:
            self._ending = ending
        self._end_when_idle()

    def _end_when_idle(self) -> None:
        with self._lock:
            ending = self._ending
            if (
                ending is None
                or self._closing
                or any(map(ending.waits_for, self._replies.values()))
            ):
                return
            self._closing = True
        # Not on the thread that hands out the replies, nor on one that sends requests.
        Thread(target=ending.end_worker, daemon=True).start()

    def _kill(self) -> None:
        """Ends the worker without waiting for it to exit."""
        self._closing = True
        if self._process is not None:
            end_process(self._process, _KILL_STEPS)
            self._close_stdin(self._process)
            self._fail_all(Cancelled.from_code("worker-ended"))

    def _close_stdin(self, process: subprocess.Popen[bytes]) -> None:
        try:
            if process.stdin:
                process.stdin.close()
        except OSError:
            self._log.append("stdin was closed already")

    def _popen(self) -> subprocess.Popen[bytes]:
        check_not_qgis(self.python, System.here())
        try:
            # No shell; the user chose the interpreter.
            return subprocess.Popen(  # nosec B603
                [str(self.python), *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=clean_environment(),
                cwd=str(Path(self.python).parent),
                **tree_settings(),
            )
        except OSError as error:
            raise start_error(self.python, error) from error

    def _await_hello(
        self, reply: PendingReply, seconds: float, is_cancelled: Callable[[], bool]
    ) -> None:
        waited = 0.0
        while not reply.wait(0.1):
            waited += 0.1
            if is_cancelled():
                raise Cancelled.from_code("cancelled-at-start")
            if waited > seconds:
                raise timeout_error(self.python, seconds, self.log())

    def _cancel(self, reply: PendingReply) -> None:
        cancellation = self.request("cancel", {"id": reply.number})
        if reply.wait(CANCEL_S):
            return
        # What does not stop at a tile's end would keep the user waiting; its journal is kept.
        reply.settle(error=Cancelled.from_code("run-stopped"))
        with self._lock:
            for pending in (reply, cancellation):
                self._replies.pop(pending.number, None)
        if reply.method == "analyze":
            # The worker is shared: what else the user waits for is finished, but nothing follows.
            self._end_soon(_Ending(self._kill, waits_for_all=False))

    def _write(self, line: bytes) -> None:
        process = self._process
        try:
            if process is None or process.stdin is None:
                raise OSError("not started")
            with self._write_lock:
                process.stdin.write(line)
                process.stdin.flush()
        except (OSError, ValueError):
            self._on_end(process)

    def _read_messages(self, process: subprocess.Popen[bytes]) -> None:
        try:
            for line in _pipe(process.stdout):
                if line.strip():
                    self._handle(message_of(line))
        except LinkError as error:
            self._fail_and_close(error)
            return
        # No caller may wait for ever, whatever the worker wrote.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            self._fail_and_close(LinkError.from_code("worker-not-understood", reason=reason))
            return
        self._on_end(process)

    def _fail_and_close(self, error: LinkError) -> None:
        error.detail = self.log()
        self._fail_all(error)
        self.close()

    def _handle(self, message: Mapping[str, Any]) -> None:
        parameters = message.get("params")
        if message.get("method") == "event" and isinstance(parameters, dict):
            reply = self._replies.get(whole_number(parameters.get("id")))
            if reply is not None:
                self._notify(reply, parameters)
            return
        with self._lock:
            reply = self._replies.pop(whole_number(message.get("id")), None)
        if reply is None:
            return
        if "error" in message:
            reply.settle(error=error_of(message["error"]))
        else:
            reply.settle(message.get("result"))
        self._end_when_idle()

    def _notify(self, reply: PendingReply, event: Mapping[str, Any]) -> None:
        try:
            reply.on_event(event)
        # A listener's defect must not end the thread that hands out the answers.
        except Exception:
            self._log.extend(traceback.format_exc().splitlines())

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        for line in _pipe(process.stderr):
            text = line.decode("utf-8", "replace").rstrip()
            self._log.append(text)
            self._on_log(text)

    def _on_end(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is None or self._closing:
            return
        try:
            code: int | None = process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if self._log_thread:
            self._log_thread.join(1)
        self._fail_all(exit_error(self.python, code, self.log(), has_answered=bool(self.hello)))

    def _fail_all(self, error: LinkError) -> None:
        with self._lock:
            self._broken = self._broken or error
            replies = list(self._replies.values())
            self._replies.clear()
        for reply in replies:
            reply.settle(error=error)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    """The pipe, which the process was started with."""
    if pipe is None:
        raise LinkError.from_code("worker-has-no-pipe")
    return pipe
