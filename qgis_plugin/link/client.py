"""One worker process: started, greeted, asked, ended.

Any thread may ask. Answers and events arrive on a thread of the client's own.
"""

from __future__ import annotations

# The worker is another process by design.
import subprocess  # nosec B404
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any

from geochg_qgis.link import diagnosis
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link.interpreters import System, clean_environment, refuse_qgis
from geochg_qgis.link.protocol import check_hello, error_of, message_of, request_line, whole_number
from geochg_qgis.link.replies import Listen, Reply, ignore
from geochg_qgis.link.trees import end, kill_tree, outlived, terminate_tree, tree_settings

WORKER = ("-m", "geochg_cli", "worker")
"""What the interpreter is started with."""

HELLO_S = 60.0
"""Patience with a worker that starts: the first import from a cold disk is slow."""

CANCEL_S = 3.0
"""Patience with a request that was cancelled, before the worker is ended."""

LEAVE_S = 4.0
"""Patience with a worker whose stdin has ended, before it is ended by force."""

END_S = 0.5
"""Patience with a worker that is being ended by force."""

_LOG_LINES = 200

_WORK = ("analyze", "ask")
"""Requests that are not ended because of another one."""

_BY_FORCE = ((terminate_tree, END_S), (kill_tree, END_S))
"""What is done to a worker that does not leave, each with the patience it gets."""


@dataclass(frozen=True)
class _Ending:
    """How a worker ends that is to be asked no more.

    Attributes:
        end: Ends it.
        waits_for_all: Whether everything under way is let finish, or only what cannot be asked
            again at no cost.
    """

    end: Callable[[], None]
    waits_for_all: bool

    def waits_for(self, reply: Reply) -> bool:
        """Whether a request is let finish."""
        return self.waits_for_all or reply.method in _WORK


class Client:
    """A worker.

    Args:
        python: The interpreter that holds geochg.
        on_log: Told each line the worker writes on stderr, on another thread.
        command: What the interpreter is started with.
    """

    def __init__(
        self,
        python: Path,
        on_log: Callable[[str], None] = ignore,
        command: tuple[str, ...] = WORKER,
    ) -> None:
        self.python = python
        self.hello: dict[str, Any] = {}
        self._on_log = on_log
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._write_lock = Lock()
        self._replies: dict[int, Reply] = {}
        self._last = 0
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._closing = False
        self._ending: _Ending | None = None
        self._broken: LinkError | None = None
        self._log_thread: Thread | None = None

    def start(
        self, seconds: float = HELLO_S, is_cancelled: Callable[[], bool] = bool
    ) -> dict[str, Any]:
        """Starts the process and greets it.

        Args:
            seconds: Patience.
            is_cancelled: Asked while waiting.

        Returns:
            What it said of itself.

        Raises:
            LinkError: If it does not start, does not answer, or speaks another version.
        """
        self._process = self._popen()
        for work in (outlived, self._read_messages, self._read_log):
            thread = Thread(target=work, args=(self._process,), daemon=True)
            thread.start()
        self._log_thread = thread
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

    @property
    def is_alive(self) -> bool:
        """Whether it is to be asked more."""
        process = self._process
        if process is None or self._closing or self._ending is not None:
            return False
        return process.poll() is None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        with self._lock:
            return not self._replies

    @property
    def is_gone(self) -> bool:
        """Whether its process has ended, or was never started."""
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int | None:
        """The process."""
        return self._process.pid if self._process else None

    def log(self) -> str:
        """The end of what the worker wrote on stderr."""
        return "\n".join(self._log)

    def request(self, method: str, parameters: Mapping[str, Any], listen: Listen = ignore) -> Reply:
        """Asks.

        Args:
            method: As docs/worker.md names it.
            parameters: By name.
            listen: Told of events, on the client's thread.
        """
        with self._lock:
            self._last += 1
            reply = Reply(self._last, method, listen)
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
        listen: Listen = ignore,
        is_cancelled: Callable[[], bool] = bool,
        poll_s: float = 0.1,
    ) -> dict[str, Any]:
        """Asks and waits, on the calling thread.

        Args:
            method: As docs/worker.md names it.
            parameters: By name.
            listen: Told of events, on the client's thread.
            is_cancelled: Asked every `poll_s`; when true, the request is cancelled. A worker that
                does not let go of an analysis is ended, once no other analysis or question is under
                way in it.
            poll_s: See there.

        Raises:
            Cancelled: If it was.
            LinkError: If it failed.
        """
        reply = self.request(method, parameters, listen)
        while not reply.wait(poll_s):
            if is_cancelled():
                self._cancel(reply)
                break
        return reply.result()

    def close(self) -> None:
        """Ends the worker: asks it to leave, then ends it."""
        self._closing = True
        if self._process is not None:
            self._close_stdin(self._process)
            end(self._process, ((ignore, LEAVE_S), *_BY_FORCE))
            self._fail_all(_ended())

    def retire(self) -> None:
        """Ends the worker when it has answered all it was asked: another is asked from now on."""
        self._end_soon(_Ending(self.close, waits_for_all=True))

    def _end_soon(self, ending: _Ending) -> None:
        with self._lock:
            self._ending = ending
        self._end_if_let()

    def _end_if_let(self) -> None:
        with self._lock:
            ending = self._ending
            if (
                ending is None
                or self._closing
                or any(map(ending.waits_for, self._replies.values()))
            ):
                return
            self._closing = True
        # Not on the thread that hands out the answers, nor on one that asks.
        Thread(target=ending.end, daemon=True).start()

    def _end_by_force(self) -> None:
        """Ends the worker without asking it."""
        self._closing = True
        if self._process is not None:
            end(self._process, _BY_FORCE)
            self._close_stdin(self._process)
            self._fail_all(_ended())

    def _close_stdin(self, process: subprocess.Popen[bytes]) -> None:
        try:
            if process.stdin:
                process.stdin.close()
        except OSError:
            self._log.append("stdin was closed already")

    def _popen(self) -> subprocess.Popen[bytes]:
        refuse_qgis(self.python, System.here())
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
            raise diagnosis.cannot_start(self.python, error) from error

    def _await_hello(self, reply: Reply, seconds: float, is_cancelled: Callable[[], bool]) -> None:
        waited = 0.0
        while not reply.wait(0.1):
            waited += 0.1
            if is_cancelled():
                raise Cancelled.coded("cancelled-at-start")
            if waited > seconds:
                raise diagnosis.silent(self.python, seconds, self.log())

    def _cancel(self, reply: Reply) -> None:
        asked = self.request("cancel", {"id": reply.number})
        if reply.wait(CANCEL_S):
            return
        # What does not stop at a tile's end would keep the user waiting; its journal is kept.
        reply.settle(error=Cancelled.coded("run-stopped"))
        with self._lock:
            for each in (reply, asked):
                self._replies.pop(each.number, None)
        if reply.method == "analyze":
            # The worker is shared: what else a user waits for is let finish, but nothing follows.
            self._end_soon(_Ending(self._end_by_force, waits_for_all=False))

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
                    self._take(message_of(line))
        except LinkError as error:
            self._give_up(error)
            return
        # Who waits for an answer must not wait for good, whatever the worker wrote.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            self._give_up(LinkError.coded("worker-not-understood", reason=reason))
            return
        self._on_end(process)

    def _give_up(self, error: LinkError) -> None:
        error.detail = self.log()
        self._fail_all(error)
        self.close()

    def _take(self, message: Mapping[str, Any]) -> None:
        parameters = message.get("params")
        if message.get("method") == "event" and isinstance(parameters, dict):
            reply = self._replies.get(whole_number(parameters.get("id")))
            if reply is not None:
                self._tell(reply, parameters)
            return
        with self._lock:
            reply = self._replies.pop(whole_number(message.get("id")), None)
        if reply is None:
            return
        if "error" in message:
            reply.settle(error=error_of(message["error"]))
        else:
            reply.settle(message.get("result"))
        self._end_if_let()

    def _tell(self, reply: Reply, event: Mapping[str, Any]) -> None:
        try:
            reply.listen(event)
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
        self._fail_all(diagnosis.stopped(self.python, code, self.log(), greeted=bool(self.hello)))

    def _fail_all(self, error: LinkError) -> None:
        with self._lock:
            self._broken = self._broken or error
            replies = list(self._replies.values())
            self._replies.clear()
        for reply in replies:
            reply.settle(error=error)


def _ended() -> Cancelled:
    return Cancelled.coded("worker-ended")


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe that was asked for."""
    if pipe is None:
        raise LinkError.coded("worker-has-no-pipe")
    return pipe
