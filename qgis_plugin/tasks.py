"""Work away from the main thread, reported on it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

from qgis.core import Qgis, QgsApplication, QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from geochg_qgis.connection import Connection, log
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link_words import worded
from geochg_qgis.words import tr

Work = Callable[["BackgroundTask"], Mapping[str, Any]]

WARNING = "warning"
"""The kind of event that is of the plugin's own; the others are the worker's."""

_SILENT = getattr(QgsTask.Flag, "Silent", None)
"""Since QGIS 3.26: it does not say that the task is done or failed, over what we say of it."""

_kept: set[BackgroundTask] = set()
"""QGIS does not keep Python's tasks alive."""


class BackgroundTask(QgsTask):
    """Runs a function on a thread; its signals arrive on the main thread.

    Args:
        name: For QGIS's list of tasks.
        work: What to do: is given the task, to tell events and to see whether it is cancelled.
    """

    told = pyqtSignal(object)
    answered = pyqtSignal(object)
    failed = pyqtSignal(object)
    ended = pyqtSignal(bool)

    def __init__(self, name: str, work: Work) -> None:
        # Closing QGIS need not ask: what was done is kept by the worker.
        flags = QgsTask.Flag.CanCancel | QgsTask.Flag.CancelWithoutPrompt
        super().__init__(name, flags if _SILENT is None else flags | _SILENT)
        self._work = work
        self._result: Mapping[str, Any] = {}
        self._error: LinkError | None = None
        self._abandoned = False

    def abandon(self) -> None:
        """Cancels it without a further word: whoever listened is about to go."""
        self._abandoned = True
        self.cancel()

    def run(self) -> bool:
        """Does the work; called by QGIS on a thread."""
        try:
            self._result = self._work(self)
        except LinkError as error:
            self._error = worded(error)
        # A defect must reach the user rather than a console nobody sees.
        except Exception as error:
            log(traceback.format_exc(), Qgis.MessageLevel.Critical)
            self._error = LinkError(
                f"{type(error).__name__}: {error}", tr("please report this; the log tells more")
            )
        return self._error is None

    def finished(self, result: bool) -> None:
        """Reports; called by QGIS on the main thread."""
        _kept.discard(self)
        if self._abandoned:
            return
        # A result that is whole is not thrown away, however late it was cancelled.
        if result:
            self.answered.emit(self._result)
        else:
            self.failed.emit(self._error or Cancelled(tr("cancelled")))

    def warn(self, text: str) -> None:
        """Passes what the user should know to the main thread."""
        self.tell({"kind": WARNING, "message": text})

    def tell(self, event: Mapping[str, Any]) -> None:
        """Passes an event to the main thread."""
        if not self._abandoned:
            self.told.emit(event)


def start(task: BackgroundTask) -> BackgroundTask:
    """Hands a task to QGIS, which lists it, where QGIS can be kept from talking of its end."""
    if _SILENT is None:
        return start_quietly(task)
    _kept.add(task)
    QgsApplication.taskManager().addTask(task)
    return task


def start_quietly(task: BackgroundTask) -> BackgroundTask:
    """Runs a task that is not worth listing, on a thread of our own."""
    _kept.add(task)
    task.ended.connect(task.finished)
    Thread(target=lambda: task.ended.emit(task.run()), daemon=True).start()
    return task


def request_task(
    name: str,
    connection: Connection,
    method: str,
    parameters: Callable[[BackgroundTask], Mapping[str, Any]],
    then: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> BackgroundTask:
    """A task that asks the worker.

    Args:
        name: For QGIS's list of tasks.
        connection: Where the worker is.
        method: As docs/worker.md names it.
        parameters: Makes them, on the task's thread.
        then: What else to do there with the worker's answer; what it gives joins that.
    """

    def work(task: BackgroundTask) -> Mapping[str, Any]:
        given = parameters(task)
        client = connection.client(task.isCanceled)
        task.tell({"kind": "hello", **client.hello})
        result = client.ask(method, given, task.tell, task.isCanceled)
        return {**result, **then(result)}

    return BackgroundTask(name, work)
