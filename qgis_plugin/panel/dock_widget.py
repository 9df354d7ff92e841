"""The dock widget: choose a pair, run, review the changes, ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgisInterface, QgsDockWidget
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import pair_summary, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.interrupted_runs import InterruptedRun
from geochg_qgis.layers.result_groups import dissolve_empty_groups
from geochg_qgis.layers.result_registry import ResultRegistry
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.area_widget import OVERLAP, SELECTION, AreaWidget
from geochg_qgis.panel.ask_widget import AskWidget
from geochg_qgis.panel.change_list_widget import ChangeListWidget
from geochg_qgis.panel.check_controller import CheckController
from geochg_qgis.panel.interrupted_runs_widget import InterruptedRunsWidget
from geochg_qgis.panel.layouts import scroll_area, separator
from geochg_qgis.panel.message_controller import MessageController
from geochg_qgis.panel.options_widget import OptionsWidget
from geochg_qgis.panel.pair_choice import PairChoice
from geochg_qgis.panel.pair_widget import PairWidget
from geochg_qgis.panel.report_controller import ReportController
from geochg_qgis.panel.review_copier import ReviewCopier
from geochg_qgis.panel.run_controller import RunController, result_summary
from geochg_qgis.panel.run_plan import RunPlan
from geochg_qgis.panel.run_widget import RunWidget
from geochg_qgis.panel.sample_controller import SampleController
from geochg_qgis.panel.sample_list_widget import SampleListWidget
from geochg_qgis.panel.scenes_dialog import ScenesDialog
from geochg_qgis.panel.setup_dialog import SetupDialog
from geochg_qgis.panel.setup_note_widget import SetupNote
from geochg_qgis.panel.tables_dialog import TablesDialog
from geochg_qgis.panel.waiting_runs_widget import WaitingRunsWidget
from geochg_qgis.panel.widget_names import name_widgets
from geochg_qgis.panel.worker_widget import WorkerWidget
from geochg_qgis.run_estimates import RunEstimates, RunExpectation, estimate_key
from geochg_qgis.run_options import store_options
from geochg_qgis.tasks import BackgroundTask, request_task, start_unlisted

_DESCRIBE_MS = 900  # time after the last change of a choice until the pair is described

_CHANGES_TAB, _SAMPLES_TAB = 1, 2

_WIDTH_PX = 460  # width at first, which the list of changes needs
_LEAST_WIDTH_PX = 346  # width at which captions still have two lines of words


class GeochgDockWidget(QgsDockWidget):
    """Holds the panel's widgets and connects them.

    Args:
        iface: Interface of QGIS.
        connection: Connection to the worker.
    """

    def __init__(self, iface: QgisInterface, connection: Connection) -> None:
        super().__init__("geochg", iface.mainWindow())
        self.setObjectName("GeochgDock")
        self._iface, self._connection = iface, connection
        self.copier, self.reports = ReviewCopier(self), ReportController(connection, self)
        self.messages = MessageController(iface, self.open_setup, self.copier.copy)
        self.pair, self.area = PairWidget(self), AreaWidget(iface, self)
        self.options, self.run_widget = OptionsWidget(connection, self.pair, self), RunWidget(self)
        self.interrupted = InterruptedRunsWidget(self.messages.show_error, self)
        self.choice = PairChoice(connection, self.pair, self.area, self.options)
        self.checks = CheckController(
            iface, connection, self.pair, self.options, self.messages, self
        )
        self.runs, self.waiting = RunController(connection, self), WaitingRunsWidget(self)
        self.results = ResultRegistry(self)
        self.changes = ChangeListWidget(iface, self.messages.show_error, self)
        self.samples = SampleListWidget(iface, self.messages.show_error, self)
        self.sampling = SampleController(
            iface, connection, self.samples, self.messages, lambda: self.changes.layer, self
        )
        self.ask = AskWidget(
            iface,
            connection,
            self.choice.ask_subject,
            lambda: self.choice.ask_parameters(self.changes.layer),
            self.pair.holds,
            self.messages.show_error,
            self,
        )
        self.setup_note = SetupNote(self)
        self.worker = WorkerWidget(connection, self.setup_note, self)
        self.tabs = QTabWidget(self)
        self.setup: SetupDialog | None = None
        self.tables: TablesDialog | None = None
        self.scenes: ScenesDialog | None = None
        self._describe_task: BackgroundTask | None = None
        self.estimates = RunEstimates()
        self._describe_later = single_shot_timer(self, _DESCRIBE_MS, self.describe)
        self._dissolve_timer = single_shot_timer(self, 0, dissolve_empty_groups)
        self._is_describe_due = self._was_shown = False
        self._lay_out()
        name_widgets(self)
        self._connect()

    def showEvent(self, event: Any) -> None:  # noqa: ANN401 - Qt calls it so
        """Describes the pair, and widens the dock when it is first shown."""
        super().showEvent(event)
        if not self._was_shown:
            self._was_shown = True
            width_px = max(self.width(), _WIDTH_PX)
            self._iface.mainWindow().resizeDocks([self], [width_px], Qt.Orientation.Horizontal)
            self.worker.meet()
        self.interrupted.refresh()
        self._describe_later.start()

    def run(self) -> None:
        """Begins a run with the chosen pair, area and options, after those before it."""
        try:
            plan = self.choice.plan()
            self._put_describing_off()
            self.runs.add(replace(plan, expectation=self.estimates.expectation))
        except LinkError as error:
            self.messages.show_error(error)

    def go_on(self, run: InterruptedRun) -> None:
        """Goes on with an unfinished run, after those before it."""
        try:
            self._put_describing_off()
            self.runs.add(RunPlan.of_interrupted(run))
            self.interrupted.take_out(run)
        except LinkError as error:
            self.messages.show_error(error)

    def cancel(self) -> None:
        """Asks the run to stop."""
        if self.runs.is_running:
            self.run_widget.set_cancelling()
            self.runs.cancel()

    def describe(self) -> None:
        """Describes the pair in the line above Run."""
        self._stop_describing()
        self._is_describe_due = self.runs.is_running or not self.run_widget.isVisible()
        if self._is_describe_due:
            return
        try:
            parameters = self.choice.pair_parameters()
        except LinkError as error:
            self._show_info(str(error))
            return
        self._show_info(tr("looking at the pair"))
        task = request_task(tr("geochg: look"), self._connection, "describe", parameters)
        task.event_sent.connect(self.worker.handle_event)
        key = estimate_key(self.options.options())
        task.answered.connect(lambda facts: self._show_facts(task, facts, key))
        task.failed.connect(lambda error: self._show_pair_error(task, error))
        self._describe_task = start_unlisted(task)

    def open_setup(self) -> SetupDialog:
        """Opens the set-up page."""
        if self.setup is None:
            self.setup = SetupDialog(self._connection, self.messages, self._iface.mainWindow())
            self.setup.ready.connect(self._use_new_worker)
        self.setup.show()
        self.setup.raise_()
        return self.setup

    def open_tables(self) -> TablesDialog:
        """Opens the sums of the result whose changes are listed."""
        if self.tables is None:
            window = self._iface.mainWindow()
            self.tables = TablesDialog(self._connection, lambda: self.changes.layer, window)
        self.tables.open_result()
        return self.tables

    def open_scenes(self) -> ScenesDialog:
        """Opens the dialog that fetches scenes of a place and two months."""
        if self.scenes is None:
            self.scenes = ScenesDialog(self._iface, self._connection, self._iface.mainWindow())
            self.scenes.fetched.connect(self._run_scenes)
        self.scenes.show()
        self.scenes.raise_()
        return self.scenes

    def _run_scenes(self, before: QgsRasterLayer, after: QgsRasterLayer, kind: str) -> None:
        """Begins a run of two scenes that were fetched, on the area of that kind."""
        self.pair.choose(before, after)
        # The scenes reach as far as the area; of polygons, they are its bounds.
        self.area.choose(SELECTION if kind == SELECTION else OVERLAP)
        self.run()

    def close_down(self) -> None:
        """Stops all tasks and removes what is drawn from the map."""
        self._describe_later.stop()
        self._dissolve_timer.stop()
        self._stop_describing()
        self.worker.close_down()
        self.runs.close_down()
        self.copier.close_down()
        self.reports.close_down()
        self.interrupted.close_down()
        self.changes.close_down()
        self.samples.close_down()
        self.sampling.close_down()
        self.checks.close_down()
        self.ask.close_down()
        # They belong to the window, which goes on without the panel.
        if self.scenes is not None:
            self.scenes.close_down()
        for dialog in (
            self.setup,
            self.tables,
            self.options.model_choice.dialog,
            self.scenes,
        ):
            if dialog is not None:
                dialog.reject()
                dialog.deleteLater()
        self.area.clear()
        # The map would call a tool that is gone, and ending one may bring back another.
        swipes = self.changes.swipe, self.samples.swipe
        for owner in (*swipes, self.changes.shapes, self.ask, self.area):
            self._iface.mapCanvas().unsetMapTool(owner.tool)

    def _tab_changed(self, _: int) -> None:
        """Describes the pair when that was put off until its tab is shown."""
        if self._is_describe_due:
            self._describe_later.start()

    def _stop_describing(self) -> None:
        task, self._describe_task = self._describe_task, None
        if task is not None:
            task.abandon()

    def _put_describing_off(self) -> None:
        """Stops to describe the pair for a run, behind which it is described."""
        if self._describe_task is not None:
            self._stop_describing()
            self._show_info("")
            self._is_describe_due = True

    def _show_facts(self, task: BackgroundTask, facts: Mapping[str, Any], key: str) -> None:
        if task is not self._describe_task:
            return
        if facts.get("seconds"):
            expectation = RunExpectation(key, float(facts["seconds"]))
            facts = {**facts, "seconds": self.estimates.corrected(expectation)}
        self._show_pair_summary(task, pair_summary(facts))

    def _show_pair_summary(self, task: BackgroundTask, text: str) -> None:
        if task is self._describe_task:
            self._describe_task = None
            self._show_info(text)

    def _show_pair_error(self, task: BackgroundTask, error: LinkError) -> None:
        if isinstance(error, Cancelled):
            return
        self.worker.note_missing(error)
        self._show_pair_summary(task, f"{error.message}. {error.hint}")

    def _show_info(self, text: str) -> None:
        self.run_widget.info.setText(sentence(text))

    def _offer_what_it_can(self, hello: Mapping[str, Any]) -> None:
        store_options(hello)
        self.options.set_options(hello)
        self.options.set_models(hello.get("models", ()))

    def _use_new_worker(self, hello: Mapping[str, Any]) -> None:
        self.worker.show_worker(hello, is_new=True)
        self._describe_later.start()

    def _show_result(self, layer: QgsVectorLayer, result: Mapping[str, Any]) -> None:
        text, layer_id = result_summary(layer, result), layer.id()
        self.runs.queue.add(
            [
                lambda: self.messages.show_success(text),
                lambda: self._show_info(text),
                lambda: self._with_result(layer_id, self.changes.show_layer),
                lambda: self.tabs.setCurrentIndex(_CHANGES_TAB),
                lambda: self._with_result(layer_id, self._iface.setActiveLayer),
            ]
        )

    def _show_copy(self, layer: QgsVectorLayer, path: str) -> None:
        self.messages.show_success(tr("The review goes on in {}").format(path))
        for widget in (self.changes, self.samples):
            widget.show_layer(layer)
        self._iface.setActiveLayer(layer)

    def _show_report(self, path: str, notes: list[str]) -> None:
        self.messages.show_success(tr("The report is {}").format(path))
        for note in notes:
            self.messages.show_warning(note)

    def _show_running(self, plan: RunPlan) -> None:
        # What was done before a run was resumed tells nothing of its time.
        self.estimates.begin(None if plan.options.get("resume") else plan.expectation)
        self.run_widget.set_running(True)
        self.interrupted.refresh()

    def _show_ended(self) -> None:
        self.run_widget.set_running(False)
        self.interrupted.refresh()
        if self._is_describe_due:
            self._describe_later.start()

    def _show_waiting(self) -> None:
        self.waiting.show_plans(self.runs.waiting)
        self.interrupted.leave_out([plan.waiting(self._connection) for plan in self.runs.waiting])

    def _with_result(self, layer_id: str, action: Callable[[QgsVectorLayer], object]) -> None:
        """Calls a function with a result, unless its layer was removed meanwhile."""
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is not None:
            action(layer)

    def _show_failure(self, error: LinkError) -> None:
        if isinstance(error, Cancelled):
            self._show_info(tr("Stopped. What was done is kept: run again to go on."))
        else:
            self.messages.show_error(error)

    def _dissolve_later(self, *_: object) -> None:
        self._dissolve_timer.start()

    def _connect(self) -> None:
        for widget in (self.pair, self.area, self.options):
            widget.changed.connect(self._describe_later.start)
            widget.changed.connect(self.estimates.forget)
            widget.changed.connect(self.ask.show_subject)
        self.pair.scenes_wanted.connect(self.open_scenes)
        self.tabs.currentChanged.connect(self._tab_changed)
        self.run_widget.run.connect(self.run)
        self.run_widget.cancel.connect(self.cancel)
        self.runs.run_started.connect(self._show_running)
        self.runs.waiting_changed.connect(self._show_waiting)
        self.waiting.removed.connect(self.runs.remove_waiting)
        self.interrupted.chosen.connect(self.go_on)
        QgsProject.instance().readProject.connect(self.interrupted.refresh)
        QgsProject.instance().cleared.connect(self.interrupted.refresh)
        self.runs.progressed.connect(self.run_widget.show_progress)
        self.runs.noticed.connect(self.messages.show_warning)
        self.runs.worker_started.connect(self.worker.show_worker)
        self.runs.done.connect(self._show_result)
        self.runs.done.connect(lambda *_: self.estimates.end())
        self.runs.failed.connect(lambda _: self.estimates.abandon())
        self.runs.failed.connect(self._show_failure)
        self.runs.ended.connect(self._show_ended)
        self.results.changed.connect(self.changes.refresh)
        self.results.changed.connect(self.samples.refresh)
        self.sampling.drawn.connect(lambda: self.tabs.setCurrentIndex(_SAMPLES_TAB))
        self.changes.tables.clicked.connect(lambda _: self.open_tables())
        self.changes.report.clicked.connect(lambda _: self.reports.make(self.changes.layer))
        self.reports.done.connect(self._show_report)
        self.reports.failed.connect(self._show_failure)
        self.copier.done.connect(self._show_copy)
        self.copier.failed.connect(self.messages.show_error)
        self.options.failed.connect(self.messages.show_error)
        self.worker.setup_wanted.connect(self.open_setup)
        self.worker.greeted.connect(self._offer_what_it_can)
        self.worker.devices_known.connect(self.options.set_devices)
        QgsProject.instance().cleared.connect(self.area.clear)
        # When the layers are gone from the tree, too.
        QgsProject.instance().layersRemoved.connect(self._dissolve_later)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow(tr("Are&a"), self.area)
        run_page = QVBoxLayout()
        run_page.addWidget(self.setup_note)
        run_page.addWidget(self.pair)
        run_page.addLayout(form)
        run_page.addWidget(self.options)
        run_page.addWidget(separator())
        run_page.addWidget(self.run_widget)
        run_page.addWidget(self.waiting)
        run_page.addWidget(self.interrupted)
        run_page.addStretch(1)
        run_page.addWidget(self.worker)
        page = QWidget(self)
        page.setLayout(run_page)
        self.tabs.addTab(scroll_area(page), tr("Run"))
        self.tabs.addTab(scroll_area(self.changes), tr("Changes"))
        self.tabs.addTab(scroll_area(self.samples), tr("Accuracy"))
        self.tabs.addTab(scroll_area(self.ask), tr("Ask"))
        self.setWidget(self.tabs)
        self.setMinimumWidth(_LEAST_WIDTH_PX)
