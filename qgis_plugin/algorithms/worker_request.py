"""What all algorithms do with the worker: ask, report its events, and show its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from qgis.core import QgsProcessingException, QgsProcessingFeedback

from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.progress import ProgressMeter
from geochg_qgis.link_messages import translated_error, worker_notice


class WorkerRequest:
    """A request of an algorithm, which stops when the algorithm is cancelled.

    Args:
        connection: The connection to the worker.
        feedback: Where progress and notices go.
    """

    def __init__(self, connection: Connection, feedback: QgsProcessingFeedback) -> None:
        self._connection, self._feedback = connection, feedback
        self._events: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
        self._report = _event_reporter(feedback)

    def is_cancelled(self) -> bool:
        """Whether the algorithm is cancelled; reports the events that came meanwhile."""
        # The worker's events come on a thread of the client's; feedback is for this one.
        while not self._events.empty():
            self._report(self._events.get())
        return bool(self._feedback.isCanceled())

    def answer(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What the worker answers.

        Raises:
            LinkError: If it refuses, fails or is cancelled.
        """
        client = self._connection.client(self.is_cancelled)
        answer = client.ask(method, parameters, self._events.put, self.is_cancelled)
        self.is_cancelled()
        return dict(answer)


def setup_help() -> str:
    """A paragraph of the help of all algorithms, about the Python of the worker."""
    return tr(
        "geochg runs in a Python of its own; the geochg panel sets it up. Under "
        "qgis_process, the environment variable GEOCHG_PYTHON may name it."
    )


def processing_error(error: LinkError) -> QgsProcessingException:
    """The exception that Processing shows: the error, what to do, and its detail."""
    shown_error = translated_error(error)
    parts = (
        f"{shown_error.message}. {shown_error.hint}" if shown_error.hint else shown_error.message,
        shown_error.detail,
    )
    return QgsProcessingException("\n".join(part for part in parts if part))


def _event_reporter(feedback: QgsProcessingFeedback) -> Callable[[Mapping[str, Any]], None]:
    """A function that passes the worker's events on to Processing."""
    meter = ProgressMeter()

    def report(event: Mapping[str, Any]) -> None:
        if event.get("kind") == "progress":
            feedback.setProgress(meter.measure(event).percent)
        elif event.get("kind") == "notice":
            push = feedback.pushWarning if event.get("warning") else feedback.pushInfo
            push(worker_notice(event))

    return report
