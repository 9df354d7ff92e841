"""The dialog that fetches satellite scenes of a place and two months."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.gui import QgisInterface, QgsFileWidget
from qgis.PyQt.QtCore import QDate, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QDateEdit,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QProgressBar,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import progress_summary, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.layers.scene_layers import add_scenes
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link.progress import ProgressMeter
from geochg_qgis.link_messages import worker_notice
from geochg_qgis.panel.area_widget import PLACE_KINDS, AreaWidget
from geochg_qgis.panel.layouts import (
    choice_box,
    name_file_widget,
    name_widget,
    plain_label,
    set_choices,
    set_focus_order,
)
from geochg_qgis.panel.run_plan import user_folders
from geochg_qgis.tasks import BackgroundTask, request_task, start_unlisted

_SIZE_PX = 560, 430
_MONTH = "yyyy-MM"
_FIRST_MONTH = QDate(1972, 7, 1)  # of Landsat 1
_USUAL_CATALOG, _USUAL_COLLECTION = "earth-search", "sentinel-2-l2a"
_FOLDER = "geochg_scenes"


class ScenesDialog(QDialog):
    """Lets the worker fetch a scene of each month, and names whom that asks.

    Args:
        iface: Interface of QGIS.
        connection: Connection to the worker.
        parent: Parent widget.

    Signals:
        fetched: Both scenes are in the project; carries their layers, the earlier first, and the
            kind of area.
    """

    fetched = pyqtSignal(object, object, str)

    def __init__(
        self, iface: QgisInterface, connection: Connection, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._iface, self._connection = iface, connection
        self._task: BackgroundTask | None = None
        self._look_task: BackgroundTask | None = None
        self._catalogs: list[Mapping[str, Any]] = []
        self._collections: list[Mapping[str, Any]] = []
        self.setObjectName("GeochgScenes")
        self.setWindowTitle(tr("Place and two months"))
        self.resize(*_SIZE_PX)
        self.area = AreaWidget(iface, self, PLACE_KINDS, "GeochgDrawPlace")
        self.before, self.after = _month_field(self), _month_field(self)
        self.collection = choice_box(self, is_editable=True)
        self.catalog = choice_box(self, is_editable=True)
        self.max_cloud = QSpinBox(self)
        self.max_cloud.setRange(0, 100)
        self.max_cloud.setValue(100)
        self.max_cloud.setSuffix(" %")
        self.composite = choice_box(
            self, (("best", tr("The clearest day")), ("median", tr("The median of all days")))
        )
        self.folder = QgsFileWidget(self)
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.asked = plain_label(self, is_selectable=True)
        self.status = plain_label(self, is_selectable=True)
        self.bar = QProgressBar(self)
        self.bar.setVisible(False)
        buttons = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(buttons.Ok | buttons.Close, parent=self)
        self.fetch_button = self.buttons.button(buttons.Ok)
        self.close_button = self.buttons.button(buttons.Close)
        self._fill()
        self._lay_out()
        self._name()
        self._connect()
        self._check()

    def showEvent(self, event: Any) -> None:  # noqa: ANN401 - Qt calls it so
        """Asks the worker for the catalogues that it knows; that asks nobody else."""
        super().showEvent(event)
        if not self._catalogs and self._look_task is None:
            task = request_task(
                tr("geochg: look"), self._connection, "scene_collections", lambda _: {}
            )
            task.answered.connect(self._show_known)
            task.failed.connect(self._show_look_error)
            self._look_task = start_unlisted(task)

    def parameters(self) -> dict[str, Any]:
        """The worker's parameters for what is chosen.

        Raises:
            LinkError: If nothing is drawn or selected, or no folder is named.
        """
        folder = self.folder.filePath().strip()
        if not folder or not Path(folder).is_absolute():
            raise LinkError(tr("There is no folder for the scenes"), tr("choose one"))
        fetching: dict[str, Any] = {
            "collection": self.collection.currentText().strip(),
            "catalog": self.catalog.currentText().strip(),
            "composite": self.composite.currentData(),
        }
        if self.max_cloud.value() < self.max_cloud.maximum():
            fetching["max_cloud"] = self.max_cloud.value()
        return {
            "area": self.area.place(),
            "before": self.before.date().toString(_MONTH),
            "after": self.after.date().toString(_MONTH),
            "scenes": folder,
            "fetching": fetching,
        }

    def accept(self) -> None:
        """Begins to fetch the scenes."""
        if self._task is not None or not self.fetch_button.isEnabled():
            return
        try:
            parameters = self.parameters()
        except LinkError as error:
            self._show_error(error)
            return
        meter, kind = ProgressMeter(), str(self.area.kind.currentData())
        task = request_task(
            tr("geochg: fetch scenes"), self._connection, "fetch_pair", lambda _: parameters
        )
        task.event_sent.connect(lambda event: self._show_event(event, meter))
        task.answered.connect(lambda scenes: self._show_fetched(scenes, kind))
        task.failed.connect(self._show_failure)
        self._task = start_unlisted(task)
        self._show_fetching(True)
        self.status.setText(tr("Asking the catalogue"))

    def reject(self) -> None:
        """Stops what is fetched; closes the dialog where nothing is."""
        if self._task is not None:
            self.status.setText(tr("Stopping; a scene that is complete is kept"))
            self.close_button.setEnabled(False)
            self._task.cancel()
            return
        super().reject()

    def close_down(self) -> None:
        """Abandons what is under way, and removes what is drawn from the map."""
        for task in (self._task, self._look_task):
            if task is not None:
                task.abandon()
        self._task = self._look_task = None
        self.area.clear()
        self._iface.mapCanvas().unsetMapTool(self.area.tool)

    def _show_known(self, tables: Mapping[str, Any]) -> None:
        self._look_task = None
        self._catalogs = list(tables.get("catalogs") or ())
        self._collections = list(tables.get("collections") or ())
        set_choices(self.catalog, [(entry["name"], entry["url"]) for entry in self._catalogs])
        self._show_catalog()

    def _show_look_error(self, error: LinkError) -> None:
        self._look_task = None
        if not isinstance(error, Cancelled):
            self._show_error(error)

    def _show_catalog(self, *_: object) -> None:
        """Shows the address of the catalogue, and offers its collections."""
        name = self.catalog.currentText().strip()
        addresses = {entry["name"]: entry["url"] for entry in self._catalogs}
        address = str(addresses.get(name, name))
        offered = [entry for entry in self._collections if entry["catalog"] in (name, address)]
        set_choices(self.collection, [(entry["id"], entry["title"]) for entry in offered])
        self.asked.setText(
            tr(
                "“Fetch and run” asks {} for scenes of the area, and reads the files that it "
                "names. Nothing is asked before that."
            ).format(address)
        )
        self._check()

    def _check(self, *_: object) -> None:
        is_ordered = self.before.date() < self.after.date()
        is_named = bool(self.collection.currentText().strip() and self.catalog.currentText())
        wrong_order = tr("The month before must be the earlier one")
        if not is_ordered:
            self.status.setText(wrong_order)
        elif self.status.text() == wrong_order:
            self.status.setText("")
        self.fetch_button.setEnabled(is_ordered and is_named and self._task is None)

    def _show_event(self, event: Mapping[str, Any], meter: ProgressMeter) -> None:
        if event.get("kind") == "progress":
            progress = meter.measure(event)
            self.bar.setRange(0, max(progress.total, 1))
            self.bar.setValue(progress.done)
            self.status.setText(sentence(progress_summary(progress)))
        elif event.get("kind") == "notice" and event.get("warning"):
            self._iface.messageBar().pushWarning("geochg", worker_notice(event))

    def _show_fetched(self, scenes: Mapping[str, Any], kind: str) -> None:
        self._show_fetching(False)
        try:
            before, after = add_scenes(scenes)
        except LinkError as error:
            self._show_error(error)
            return
        self.status.setText("")
        super().accept()
        self.fetched.emit(before, after, kind)

    def _show_failure(self, error: LinkError) -> None:
        self._show_fetching(False)
        if isinstance(error, Cancelled):
            self.status.setText(tr("Stopped. What was fetched is kept."))
        else:
            self._show_error(error)

    def _show_fetching(self, is_fetching: bool) -> None:
        if not is_fetching:
            self._task = None
        self.bar.setRange(0, 0)
        self.bar.setVisible(is_fetching)
        self.close_button.setEnabled(True)
        self.close_button.setText(tr("S&top") if is_fetching else tr("&Close"))
        self._check()

    def _show_error(self, error: LinkError) -> None:
        self.status.setText(
            f"{error.message}. {sentence(error.hint)}" if error.hint else error.message
        )

    def _fill(self) -> None:
        today = QDate.currentDate()
        last_month = QDate(today.year(), today.month(), 1).addMonths(-1)
        self.after.setDate(last_month)
        self.before.setDate(last_month.addYears(-1))
        self.collection.setEditText(_USUAL_COLLECTION)
        self.catalog.setEditText(_USUAL_CATALOG)
        folders = user_folders()
        self.folder.setFilePath(str(folders[0] / _FOLDER) if folders else "")
        self.folder.setDialogTitle(tr("Choose the folder of the scenes"))

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow(tr("&Area"), self.area)
        form.addRow(tr("Month &before"), self.before)
        form.addRow(tr("&Month after"), self.after)
        form.addRow(tr("Co&llection"), self.collection)
        form.addRow(tr("Catalo&gue"), self.catalog)
        form.addRow(tr("Clo&uds at most"), self.max_cloud)
        form.addRow(tr("&Image"), self.composite)
        caption = QLabel(tr("Keep sc&enes in"), self)
        caption.setBuddy(self.folder.lineEdit())
        form.addRow(caption, self.folder)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.asked)
        layout.addWidget(self.status)
        layout.addStretch(1)
        layout.addWidget(self.bar)
        layout.addWidget(self.buttons)

    def _name(self) -> None:
        self.fetch_button.setText(tr("&Fetch and run"))
        self.close_button.setText(tr("&Close"))
        for widget, name, label, tip in (
            (self.area.kind, "Area", tr("Area"), tr("The area that scenes are fetched of")),
            (self.before, "Before", tr("Month before"), tr("The month of the earlier scene")),
            (self.after, "After", tr("Month after"), tr("The month of the later scene")),
            (
                self.collection,
                "Collection",
                tr("Collection"),
                tr("The collection of scenes, such as sentinel-2-l2a"),
            ),
            (
                self.catalog,
                "Catalog",
                tr("Catalogue"),
                tr("Who is asked for scenes: a name, or the address of a STAC catalogue"),
            ),
            (
                self.max_cloud,
                "MaxCloud",
                tr("Clouds at most"),
                tr("Leaves out scenes of whose whole picture more is under clouds"),
            ),
            (
                self.composite,
                "Composite",
                tr("Image"),
                tr("Which days of a month become the image"),
            ),
            (
                self.fetch_button,
                "Fetch",
                tr("Fetch and run"),
                tr("Fetches both scenes, adds them to the project, and begins the run"),
            ),
            (self.close_button, "Close", tr("Close"), tr("Closes the dialog, or stops fetching")),
        ):
            name_widget(widget, f"GeochgScenes{name}", label, tip)
        tip = tr("The folder that scenes are kept in; those that are there are used again")
        name_file_widget(self.folder, "GeochgScenesFolder", tr("Keep scenes in"), tip)
        set_focus_order(self)

    def _connect(self) -> None:
        for field in (self.before, self.after):
            field.dateChanged.connect(self._check)
        self.collection.editTextChanged.connect(self._check)
        self.catalog.editTextChanged.connect(self._show_catalog)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._show_catalog()


def _month_field(parent: QWidget) -> QDateEdit:
    field = QDateEdit(parent)
    field.setDisplayFormat(_MONTH)
    field.setMinimumDate(_FIRST_MONTH)
    return field
