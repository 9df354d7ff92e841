"""Background tasks, which signal their events and results on the main thread."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any

from qgis.core import Qgis, QgsApplication, QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from geochg_qgis.connection import Connection, log
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import Cancelled, LinkError, drop_frames
from geochg_qgis.link_messages import translated_error

TaskFunction = Callable[["BackgroundTask"], Mapping[str, Any]]

WARNING = "warning"
"""The kind of the plugin's own events; the other kinds are the worker's."""

END_S = 5.0
"""Time for the threads of tasks to end with QGIS."""

_SILENT = getattr(QgsTask.Flag, "Silent", None)
"""Since QGIS 3.26: QGIS does not announce the end of the task beside the plugin's message."""

_running: set[BackgroundTask] = set()  # held here, because QGIS does not keep Python's tasks alive


class BackgroundTask(QgsTask):
    """Runs a function on a thread; its signals arrive on the main thread.

    Args:
        name: Name in QGIS's list of tasks.
        function: Function that is given the task, to send events and to poll for cancellation.

    Signals:
        event_sent: The function sent an event.
        answered: The function returned a result.
        failed: The function raised a `LinkError`.
        ended: The function ended (for threads that QGIS does not list).
    """

    event_sent = pyqtSignal(object)
    answered = pyqtSignal(object)
    failed = pyqtSignal(object)
    ended = pyqtSignal(bool)

    def __init__(self, name: str, function: TaskFunction) -> None:
        # Closing QGIS need not ask: the worker keeps the tiles that are done.
        flags = QgsTask.Flag.CanCancel | QgsTask.Flag.CancelWithoutPrompt
        super().__init__(name, flags if _SILENT is None else flags | _SILENT)
        self._function: TaskFunction | None = function
        self._result: Mapping[str, Any] = {}
        self._error: LinkError | None = None
        self._abandoned = False
        self._own_thread: Thread | None = None

    def abandon(self) -> None:
        """Cancels the task without a further signal: its listeners are about to be deleted."""
        self._abandoned = True
        self.cancel()

    def run(self) -> bool:
        """Calls the function; called by QGIS on a thread."""
        try:
            self._result = self._function(self) if self._function is not None else {}
        except LinkError as error:
            self._error = translated_error(error)
        # A defect must reach the user rather than the console.
        except Exception as error:
            log(traceback.format_exc(), Qgis.MessageLevel.Critical)
            self._error = LinkError(
                f"{type(error).__name__}: {error}", tr("report this; the log has more about it")
            )
        if self._error is not None:
            # They are of this thread, and one of them holds the task.
            drop_frames(self._error)
        return self._error is None

    def finished(self, result: bool) -> None:
        """Signals the result or error; called by QGIS on the main thread."""
        _running.discard(self)
        if self._own_thread is not None:
            # It is at its end. Were it the last to hold the task, Qt's object would be deleted on
            # it, which ends QGIS at times.
            self._own_thread.join()
        # It holds what was read of layers, which belongs to the main thread as well.
        self._function = None
        values, self._result = self._result, {}
        error, self._error = self._error, None
        # A complete result counts, also when the task was cancelled meanwhile.
        if not self._abandoned and result:
            self.answered.emit(values)
        elif not self._abandoned:
            self.failed.emit(error or Cancelled(tr("cancelled")))
        # Slots may hold the task: as garbage, it would be deleted on whatever thread collects it.
        for signal in (self.event_sent, self.answered, self.failed):
            with suppress(TypeError):
                signal.disconnect()

    def start_thread(self) -> None:
        """Starts the task on a thread of its own, which QGIS does not list."""
        self.ended.connect(self.finished)
        self._own_thread = Thread(target=lambda: self.ended.emit(self.run()), daemon=True)
        self._own_thread.start()

    def has_ended(self, seconds: float) -> bool:
        """Whether the thread of the task's own, if it has one, ends within a time."""
        if self._own_thread is not None:
            self._own_thread.join(seconds)
        return self._own_thread is None or not self._own_thread.is_alive()

    def warn(self, text: str) -> None:
        """Sends a notice for the user to the main thread."""
        self.send_event({"kind": WARNING, "message": text})

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Sends an event to the main thread."""
        if not self._abandoned:
            self.event_sent.emit(event)


def start_listed(task: BackgroundTask) -> BackgroundTask:
    """Starts a task in QGIS's list, where QGIS can be kept from announcing its end."""
    if _SILENT is None:
        return start_unlisted(task)
    _running.add(task)
    QgsApplication.taskManager().addTask(task)
    return task


def start_unlisted(task: BackgroundTask) -> BackgroundTask:
    """Starts a task on a thread of the plugin's own, without listing it."""
    _running.add(task)
    task.start_thread()
    return task


def end_tasks(seconds: float = END_S) -> None:
    """Abandons all tasks and waits for their threads; for when QGIS or the plugin ends.

    A thread that still opens layers while QGIS ends would make it crash, and so would a layer that
    a task holds until after.

    Args:
        seconds: Time to wait for all of them.
    """
    end_s = time.monotonic() + seconds
    for task in list(_running):
        task.abandon()
        if task.has_ended(max(0.0, end_s - time.monotonic())):
            task.finished(False)


def request_task(
    name: str,
    connection: Connection,
    method: str,
    parameters: Callable[[BackgroundTask], Mapping[str, Any]],
    transform_result: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> BackgroundTask:
    """A task that sends the worker a request.

    Args:
        name: Name in QGIS's list of tasks.
        connection: Connection to the worker.
        method: Method of the worker (docs/worker.md).
        parameters: Function that makes the parameters, on the task's thread.
        transform_result: Function that is given the worker's answer there; the result has its
            items too.
    """

    def ask_worker(task: BackgroundTask) -> Mapping[str, Any]:
        values = parameters(task)
        client = connection.client(task.isCanceled)
        task.send_event({"kind": "hello", **client.hello})
        answer = client.ask(method, values, task.send_event, task.isCanceled)
        return {**answer, **transform_result(answer)}

    return BackgroundTask(name, ask_worker)
