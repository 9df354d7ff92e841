"""The dock: choose, run, look through, ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgisInterface, QgsDockWidget
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection
from geochg_qgis.layers.grounds import overlap_of
from geochg_qgis.layers.rasters import Raster, Reader, raster_of
from geochg_qgis.link.errors import Cancelled, LinkError, SetupError
from geochg_qgis.link.places import with_ending
from geochg_qgis.panel.area_box import AreaBox
from geochg_qgis.panel.ask_panel import AskPanel
from geochg_qgis.panel.change_list import ChangeList
from geochg_qgis.panel.markup import as_tip
from geochg_qgis.panel.messages import Messages
from geochg_qgis.panel.options_box import OptionsBox
from geochg_qgis.panel.pair_box import PairBox
from geochg_qgis.panel.run_box import RunBox, pair_in_words
from geochg_qgis.panel.runs import Plan, Runs, default_output, result_in_words
from geochg_qgis.panel.setup_dialog import SetupDialog
from geochg_qgis.panel.talks import Subject
from geochg_qgis.tasks import BackgroundTask, request_task, start_quietly
from geochg_qgis.words import tr

_DESCRIBE_MS = 900
"""Time after the last change of a choice until the pair is looked at."""


_CHANGES_TAB = 1

_WIDTH_PX = 430
"""How wide it is at first, for the list to be read."""


class GeochgDock(QgsDockWidget):
    """Joins the boxes; what they do is theirs.

    Args:
        iface: QGIS.
        connection: Where the worker is.
    """

    def __init__(self, iface: QgisInterface, connection: Connection) -> None:
        super().__init__("geochg", iface.mainWindow())
        self.setObjectName("GeochgDock")
        self._iface, self._connection = iface, connection
        self.messages = Messages(iface, self.open_setup)
        self.pair, self.area = PairBox(self), AreaBox(iface, self)
        self.options, self.run_box = OptionsBox(self), RunBox(self)
        self.runs = Runs(connection, self)
        self.changes = ChangeList(iface, self.messages.error, self)
        self.ask = AskPanel(
            iface,
            connection,
            self._ask_subject,
            self._ask_parameters,
            self.messages.error,
            self,
        )
        self.worker = QLabel(tr("geochg starts with the first run"), self)
        self.worker.setTextFormat(Qt.TextFormat.PlainText)
        self.worker.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setup_button = QPushButton(tr("Set up"), self)
        self.tabs = QTabWidget(self)
        self.setup: SetupDialog | None = None
        self._describing: BackgroundTask | None = None
        self._looking_for_devices: BackgroundTask | None = None
        self._describe_later = QTimer(self)
        self._describe_later.setSingleShot(True)
        self._describe_later.setInterval(_DESCRIBE_MS)
        self._is_due = False
        self._greeted = False
        self._was_seen = False
        self._lay_out()
        self._connect()

    def showEvent(self, event: Any) -> None:  # noqa: ANN401 - Qt calls it so
        """Looks at the pair when the panel is first seen."""
        super().showEvent(event)
        if not self._was_seen:
            self._was_seen = True
            wide = [max(self.width(), _WIDTH_PX)]
            self._iface.mainWindow().resizeDocks([self], wide, Qt.Orientation.Horizontal)
        self._describe_later.start()

    def run(self) -> None:
        """Begins a run with what is chosen."""
        if self.runs.is_running:
            return
        try:
            plan = self._plan()
            self._stop_describing()
            self.runs.begin(plan)
        except LinkError as error:
            self.messages.error(error)

    def cancel(self) -> None:
        """Asks the run to stop."""
        if self.runs.is_running:
            self.run_box.set_cancelling()
            self.runs.cancel()

    def describe(self) -> None:
        """Says what the pair is."""
        self._stop_describing()
        self._is_due = not self.run_box.isVisible()
        if self.runs.is_running or self._is_due:
            return
        try:
            parameters = self._pair_parameters()
        except LinkError as error:
            self._say(str(error))
            return
        self._say(tr("looking at the pair"))
        task = request_task(tr("geochg: look"), self._connection, "describe", parameters)
        task.told.connect(self._greet)
        task.answered.connect(lambda facts: self._described(task, pair_in_words(facts)))
        task.failed.connect(lambda error: self._not_described(task, error))
        self._describing = start_quietly(task)

    def open_setup(self) -> SetupDialog:
        """Opens the set-up page."""
        if self.setup is None:
            self.setup = SetupDialog(self._connection, self.messages, self._iface.mainWindow())
            self.setup.ready.connect(self._set_up)
        self.setup.show()
        self.setup.raise_()
        return self.setup

    def close_down(self) -> None:
        """Stops what is under way and takes what is drawn off the map."""
        self._describe_later.stop()
        self._stop_describing()
        if self._looking_for_devices is not None:
            self._looking_for_devices.abandon()
        self.runs.close_down()
        self.changes.close_down()
        self.ask.close_down()
        if self.setup is not None:
            self.setup.reject()
        self.area.clear()

    def _plan(self) -> Plan:
        before, after, aoi, options = self._chosen()
        output = self.options.output.filePath().strip()
        path = with_ending(output, ".gpkg") if output else default_output(before, after)
        if output and not path.parent.is_dir():
            raise LinkError(
                tr("There is no folder {}").format(path.parent), tr("choose another under Save as")
            )
        layers = self.pair.layers()
        heatmap = path.with_suffix(".tif") if self.options.heatmap.isChecked() else None
        return Plan(
            before, after, layers[0].id(), layers[1].id(), {**options, "aoi": aoi}, path, heatmap
        )

    def _chosen(self) -> tuple[Raster, Raster, str | None, dict[str, Any]]:
        before, after = self._images()
        area = self.area.area(before, after)
        rasters = [raster_of(layer, area.bounds, area.crs) for layer in (before, after)]
        return rasters[0], rasters[1], area.aoi, self.options.options()

    def _images(self) -> tuple[QgsRasterLayer, QgsRasterLayer]:
        before, after = self.pair.layers()
        if before is None or after is None:
            raise LinkError(
                tr("There are no two raster layers"), tr("add an image before and one after")
            )
        if before.id() == after.id():
            raise LinkError(
                tr("Before and after are the same layer"), tr("choose two layers of one place")
            )
        return before, after

    def _pair_parameters(self) -> Callable[[BackgroundTask], dict[str, Any]]:
        return self._making(*self._chosen())

    def _ask_subject(self) -> Subject:
        """What a question would be about now.

        Raises:
            LinkError: If there is no pair, or no model.
        """
        before, after = self._images()
        model = str(self.options.options()["model"])
        words = f"{before.name()} → {after.name()}, {model}"
        return Subject(before.id(), after.id(), model, words)

    def _ask_parameters(self) -> Callable[[BackgroundTask], dict[str, Any]]:
        """The place says where: the area of the run need not even be there."""
        before, after = self._images()
        shared, crs = overlap_of(before, after), before.crs()
        rasters = [raster_of(layer, shared, crs) for layer in (before, after)]
        return self._making(rasters[0], rasters[1], None, self.options.options())

    def _making(
        self, before: Raster, after: Raster, aoi: str | None, options: Mapping[str, Any]
    ) -> Callable[[BackgroundTask], dict[str, Any]]:
        """Makes the worker's parameters, on a task's thread."""

        def make(task: BackgroundTask) -> dict[str, Any]:
            reader = Reader(self._connection, task, task.isCanceled, task.warn)
            return {
                "before": before.parameter(reader),
                "after": after.parameter(reader),
                "options": {**options, "aoi": aoi},
            }

        return make

    def _tab_changed(self, _: int) -> None:
        """Looks at the pair when that was put off until its tab is seen."""
        if self._is_due:
            self._describe_later.start()

    def _stop_describing(self) -> None:
        task, self._describing = self._describing, None
        if task is not None:
            task.abandon()

    def _described(self, task: BackgroundTask, text: str) -> None:
        if task is self._describing:
            self._describing = None
            self._say(text)

    def _not_described(self, task: BackgroundTask, error: LinkError) -> None:
        if isinstance(error, Cancelled):
            return
        if isinstance(error, SetupError):
            self.worker.setText(tr("geochg is not set up yet"))
        self._described(task, f"{error.message}. {error.hint}")

    def _say(self, text: str) -> None:
        self.run_box.info.setText(text)

    def _greet(self, hello: Mapping[str, Any]) -> None:
        if hello.get("kind", "hello") != "hello":
            return
        self.worker.setText(f"geochg {hello.get('geochg')}, Python {hello.get('python')}")
        self.worker.setToolTip(as_tip(hello.get("executable", "")))
        self.options.set_models(hello.get("models", ()))
        if not self._greeted:
            self._greeted = True
            task = request_task(tr("geochg: devices"), self._connection, "devices", lambda _: {})
            task.answered.connect(
                lambda result: self.options.set_devices(result.get("devices", ()))
            )
            task.failed.connect(self._devices_unknown)
            self._looking_for_devices = start_quietly(task)

    def _devices_unknown(self, _: LinkError) -> None:
        """The next worker is asked again."""
        self._greeted = False

    def _set_up(self, hello: Mapping[str, Any]) -> None:
        self._greeted = False
        self._greet({**hello, "kind": "hello"})
        self._describe_later.start()

    def _done(self, layer: QgsVectorLayer, result: Mapping[str, Any]) -> None:
        text, layer_id = result_in_words(layer, result), layer.id()
        self.runs.turns.add(
            [
                lambda: self.messages.success(text),
                lambda: self._say(text),
                lambda: self._with_result(layer_id, self.changes.show_layer),
                lambda: self.tabs.setCurrentIndex(_CHANGES_TAB),
                lambda: self._with_result(layer_id, self._iface.setActiveLayer),
            ]
        )

    def _with_result(self, layer_id: str, do: Callable[[QgsVectorLayer], object]) -> None:
        """Does something with a result, unless it is gone meanwhile."""
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is not None:
            do(layer)

    def _failed(self, error: LinkError) -> None:
        if isinstance(error, Cancelled):
            self._say(tr("Stopped. What was done is kept: run again to go on."))
        else:
            self.messages.error(error)

    def _connect(self) -> None:
        for box in (self.pair, self.area, self.options):
            box.changed.connect(self._describe_later.start)
            box.changed.connect(self.ask.say_subject)
        self._describe_later.timeout.connect(self.describe)
        self.tabs.currentChanged.connect(self._tab_changed)
        self.run_box.run.connect(self.run)
        self.run_box.cancel.connect(self.cancel)
        self.runs.begun.connect(lambda: self.run_box.set_running(True))
        self.runs.stood.connect(self.run_box.show_standing)
        self.runs.noticed.connect(self.messages.warning)
        self.runs.greeted.connect(self._greet)
        self.runs.done.connect(self._done)
        self.runs.failed.connect(self._failed)
        self.runs.ended.connect(lambda: self.run_box.set_running(False))
        self.setup_button.clicked.connect(self.open_setup)
        QgsProject.instance().cleared.connect(self.area.clear)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow(tr("Area"), self.area)
        chosen = QVBoxLayout()
        chosen.addWidget(self.pair)
        chosen.addLayout(form)
        chosen.addWidget(self.options)
        chosen.addWidget(_line())
        chosen.addWidget(self.run_box)
        chosen.addStretch(1)
        foot = QHBoxLayout()
        foot.addWidget(self.worker, 1)
        foot.addWidget(self.setup_button)
        chosen.addLayout(foot)
        page = QWidget(self)
        page.setLayout(chosen)
        self.tabs.addTab(_scrolled(page), tr("Run"))
        self.tabs.addTab(_scrolled(self.changes), tr("Changes"))
        self.tabs.addTab(_scrolled(self.ask), tr("Ask"))
        self.setWidget(self.tabs)
        self.setMinimumWidth(300)


def _scrolled(page: QWidget) -> QScrollArea:
    """A page that small screens can scroll."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    page.setContentsMargins(6, 6, 6, 6)
    area.setWidget(page)
    return area


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line
