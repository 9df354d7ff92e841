"""Scenes run by processes on this machine, each with a model and a share of the processors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from geochg.batch.scene_pool import SceneProgress
from geochg.batch.scene_runner import SceneOutcome, SceneState, SceneTask
from geochg.errors import RunError
from geochg.models.devices import processors

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which libraries of numbers are told how many threads to use."""

_END_S = 10.0
"""Time that a process has to end when it is asked to."""

_MOST_EARLY_ENDS = 3
"""Processes in a row that may end before they ran anything: none can be started here."""


class _Message(NamedTuple):
    """A line of a process; None when it has ended."""

    child: _Child
    content: dict[str, Any] | None


class _Child:
    """One process, started when it is given its first scene.

    Args:
        device: Device of its models; empty for what the options say.
        count: Number of processors it may use.
        inbox: Takes its messages.
    """

    def __init__(self, device: str, count: int, inbox: SimpleQueue[_Message]) -> None:
        self.device = device
        self.task: SceneTask | None = None
        self.has_answered = False
        self._count, self._inbox = count, inbox
        self._process: subprocess.Popen[bytes] | None = None

    def submit(self, task: SceneTask) -> None:
        """Hands it a scene."""
        if self.device:
            options = replace(task.scene.options, device=self.device)
            task = replace(task, scene=replace(task.scene, options=options))
        self.task = task
        if self._process is None:
            self._start()
        self.send({"task": task.to_dict()})

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message; that it has ended is told by its own last message."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()

    def end(self) -> int:
        """Waits for the process, which was asked to end or has, and gives its exit code."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        try:
            return process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _start(self) -> None:
        environment = dict(os.environ)
        for name in _THREADS:
            environment.setdefault(name, str(self._count))
        self.has_answered = False
        try:
            # Without -P, a module in the folder it runs in would stand for one that is installed.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "geochg.batch.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
        except OSError as error:
            raise RunError(f"cannot start a process: {error}", "lower --jobs") from error
        self.send({"processors": self._count})
        Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                # Half of a line is the last of a process that was killed.
                with suppress(ValueError):
                    self._inbox.put(_Message(self, json.loads(line)))
        self._inbox.put(_Message(self, None))


class LocalProcesses:
    """Processes of this machine; see `ScenePool`.

    A process that ends while it runs a scene is replaced; the scene has failed.

    Args:
        devices: The device of each process; empty for what the options of a scene say.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._inbox: SimpleQueue[_Message] = SimpleQueue()
        share = max(1, processors() // len(devices))
        self._children = [_Child(device, share, self._inbox) for device in devices]
        self._early_ends = 0

    def has_room(self) -> bool:
        """Whether a process is free."""
        return any(child.task is None for child in self._children)

    def submit(self, task: SceneTask) -> None:
        """Hands a scene to a process that is free.

        Raises:
            RunError: If no process can be started.
        """
        next(child for child in self._children if child.task is None).submit(task)

    def messages(self, timeout_s: float) -> Iterator[SceneOutcome | SceneProgress]:
        """What came since; see `ScenePool.messages`.

        Raises:
            RunError: If one process after the other ends before it runs anything.
        """
        with suppress(Empty):
            message = self._inbox.get(timeout=timeout_s)
            while True:
                if (content := self._content_of(message)) is not None:
                    yield content
                message = self._inbox.get_nowait()

    def stop(self) -> None:
        """Asks the scenes under way to stop at their next tile."""
        for child in self._children:
            child.send({"stop": True})

    def close(self) -> None:
        """Ends the processes."""
        for child in self._children:
            child.end()

    def _content_of(self, message: _Message) -> SceneOutcome | SceneProgress | None:
        child, content = message
        if content is None:
            return self._outcome_of_end(child)
        child.has_answered, self._early_ends = True, 0
        if "ready" in content:
            return None
        if "progress" in content:
            return SceneProgress(**content["progress"])
        child.task = None
        return SceneOutcome.from_dict(content["outcome"])

    def _outcome_of_end(self, child: _Child) -> SceneOutcome | None:
        """What became of the scene of a process that has ended."""
        code, task = child.end(), child.task
        child.task = None
        if task is None:
            return None
        if not child.has_answered:
            self._early_ends += 1
            if self._early_ends >= _MOST_EARLY_ENDS:
                raise RunError(
                    f"processes end as soon as they are started (exit code {code})",
                    "see above for the reason; memory may be short: lower --jobs",
                )
        end = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        reason = f"its process {end}: memory may be short, or a library crashed"
        return SceneOutcome(task.scene.id, SceneState.FAILED, reason)
