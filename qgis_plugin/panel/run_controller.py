"""The controller of runs: begins one, follows it, and puts its result on the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import formatted_area
from geochg_qgis.i18n import tr
from geochg_qgis.interrupted_runs import begin_active, end_active, forget_run
from geochg_qgis.layers.result_layers import placement_steps
from geochg_qgis.layers.temporal import PairTimes, set_time
from geochg_qgis.link.errors import LinkError, Refused
from geochg_qgis.link.progress import ProgressMeter
from geochg_qgis.link_messages import worker_notice
from geochg_qgis.main_thread import MainThreadQueue, single_shot_timer
from geochg_qgis.panel.run_plan import HEATMAP, LAYER, TIMES, RunPlan
from geochg_qgis.tasks import WARNING, BackgroundTask, request_task, start_listed


class RunController(QObject):
    """Controls runs: one at a time, the others wait for their turn.

    Args:
        connection: Connection to the worker.
        parent: Parent object.

    Signals:
        run_started: A run began; carries its `RunPlan`.
        waiting_changed: Other runs wait than before.
        progressed: The run went on; carries its `RunProgress`.
        noticed: A text matters for the result.
        worker_started: The worker answered; carries its description of itself.
        done: The result is on the map; carries its layer and the worker's result.
        failed: The run failed; carries the `LinkError`.
        ended: The run is done or failed.

    Attributes:
        waiting: Plans of the runs that wait, in their order.
        queue: Steps that show the result; slots of `done` may add some, which come before `ended`.
    """

    run_started = pyqtSignal(object)
    waiting_changed = pyqtSignal()
    progressed = pyqtSignal(object)
    noticed = pyqtSignal(str)
    worker_started = pyqtSignal(object)
    done = pyqtSignal(object, object)
    failed = pyqtSignal(object)
    ended = pyqtSignal()

    def __init__(self, connection: Connection, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._connection = connection
        self._task: BackgroundTask | None = None
        self._plan: RunPlan | None = None
        self._is_project_closed = False
        self._next_timer = single_shot_timer(self, 0, self._begin_next)
        self.waiting: list[RunPlan] = []
        self.queue = MainThreadQueue(self)
        QgsProject.instance().cleared.connect(self._note_closed_project)

    @property
    def is_running(self) -> bool:
        """Whether there is a run whose result is not on the map yet."""
        return self._task is not None or self.queue.is_busy

    def add(self, plan: RunPlan) -> None:
        """Begins a run, after those before it.

        Raises:
            LinkError: If it cannot begin.
        """
        if not self.is_running and not self.waiting:
            self.begin(plan)
            return
        others = [*([self._plan] if self._plan is not None else []), *self.waiting]
        if any(plan.is_like(other) for other in others):
            self.noticed.emit(
                tr("A run of these images and options is under way, or waits, already")
            )
            return
        self.waiting.append(plan.apart_from([other.output for other in others]))
        self.waiting_changed.emit()

    def remove_waiting(self, plan: RunPlan) -> None:
        """Removes a run that waits; one that has begun meanwhile goes on."""
        self.waiting = [other for other in self.waiting if other is not plan]
        self.waiting_changed.emit()

    def begin(self, plan: RunPlan) -> None:
        """Begins a run at once.

        Raises:
            LinkError: If its folder cannot be written to.
        """
        plan = plan.with_resume(self._connection)
        plan.interrupted(self._connection).record(in_project=not plan.is_project_closed)
        self._plan, self._is_project_closed = plan, plan.is_project_closed
        begin_active(plan.output)
        name = tr("geochg: {}").format(plan.output.stem)
        task = request_task(
            name,
            self._connection,
            "analyze",
            lambda task: plan.parameters(task, self._connection),
            transform_result=plan.open_layers,
        )
        meter = ProgressMeter()
        task.event_sent.connect(lambda event: self._handle_event(event, meter))
        task.answered.connect(self._finish)
        task.failed.connect(self._fail)
        self._task = start_listed(task)
        self.run_started.emit(plan)
        if plan.notice:
            self.noticed.emit(plan.notice)

    def cancel(self) -> None:
        """Asks the run to stop."""
        if self._task is not None:
            self._task.cancel()

    def close_down(self) -> None:
        """Abandons the run; its journal stays."""
        self.queue.stop()
        self._next_timer.stop()
        self.waiting.clear()
        if self._task is not None:
            self._task.abandon()
            self._task = None
        if self._plan is not None:
            end_active(self._plan.output)

    def _handle_event(self, event: Mapping[str, Any], meter: ProgressMeter) -> None:
        kind = event.get("kind")
        if kind == "progress":
            progress = meter.measure(event)
            self.progressed.emit(progress)
            if self._task is not None:
                self._task.setProgress(progress.percent)
        elif kind == "notice" and event.get("warning"):
            self.noticed.emit(worker_notice(event))
        elif kind == WARNING:
            self.noticed.emit(str(event.get("message", "")))
        elif kind == "hello":
            self.worker_started.emit(event)

    def _finish(self, result: Mapping[str, Any]) -> None:
        """Puts the result on the map, in steps: all at once would block the window."""
        plan, self._task = self._plan, None
        if plan is None:
            return
        layer = result[LAYER]
        steps = placement_steps(layer, plan.before_id, plan.after_id, result[HEATMAP])
        self.queue.add(partial(self._in_project, step) for step in steps)
        self.queue.add(
            [
                lambda: self._in_project(partial(_set_times, plan, result[TIMES])),
                lambda: forget_run(plan.output),
                lambda: self._announce(plan, layer, result),
            ]
        )

    def _in_project(self, step: Callable[[], object]) -> None:
        """Takes a step unless the project of the run, and with it its layers, was closed."""
        if not self._is_project_closed:
            step()

    def _announce(self, plan: RunPlan, layer: QgsVectorLayer, result: Mapping[str, Any]) -> None:
        if self._is_project_closed:
            self.noticed.emit(
                tr("The project was closed during the run; the result is in {}").format(plan.output)
            )
        else:
            self.done.emit(layer, result)
        self.queue.add([self._end])

    def _fail(self, error: LinkError) -> None:
        self._task = None
        # A journal that cannot be resumed must not block new runs; a run that was stopped, or
        # whose worker died, still has its own.
        plan = self._plan
        if plan is not None and isinstance(error, Refused) and plan.options.get("resume"):
            forget_run(plan.output)
        self.failed.emit(error)
        self._end()

    def _end(self) -> None:
        plan, self._plan = self._plan, None
        if plan is not None:
            end_active(plan.output)
        self.ended.emit()
        self._next_timer.start()

    def _begin_next(self) -> None:
        if self.is_running or not self.waiting:
            return
        plan = self.waiting.pop(0)
        self.waiting_changed.emit()
        try:
            self.begin(plan)
        except LinkError as error:
            self.failed.emit(error)
            self._next_timer.start()

    def _note_closed_project(self) -> None:
        self._is_project_closed = self.is_running
        self.waiting = [replace(plan, is_project_closed=True) for plan in self.waiting]
        self.waiting_changed.emit()


def result_summary(layer: QgsVectorLayer, result: Mapping[str, Any]) -> str:
    """The number and area of changes, as a line."""
    features = result.get("features", {})
    count, area = features.get("count", layer.featureCount()), features.get("area_m2", 0)
    return tr("{0} changes on {1}: {2}").format(
        count, formatted_area(area), layer.source().partition("|")[0]
    )


def _set_times(plan: RunPlan, times: PairTimes | None) -> None:
    if times is None:
        return
    for layer_id, period in ((plan.before_id, times.before), (plan.after_id, times.after)):
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is not None:
            set_time(layer, period)
