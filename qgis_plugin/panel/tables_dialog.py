"""The dialog with the sums of a result: from what to what, and by zone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsFieldProxyModel, QgsMapLayer, QgsMapLayerProxyModel, QgsVectorLayer
from qgis.gui import QgsFieldComboBox, QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QPushButton,
    QTableView,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import formatted_number, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.layers.result_layers import readable_source, result_source, results_in_project
from geochg_qgis.layers.zone_source import ZoneSource, zone_source
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.layouts import (
    name_dialog_buttons,
    name_widget,
    plain_label,
    set_focus_order,
)
from geochg_qgis.panel.sums_model import SumsModel
from geochg_qgis.tasks import BackgroundTask, start_unlisted

_SIZE_PX = 720, 480
_SUM_MS = 300  # time after the last change of a choice until the sums are asked for
_FROM_TO, _BY_ZONE = 0, 1
_OUTPUTS = {_FROM_TO: "table", _BY_ZONE: "zones_table"}


class TablesDialog(QDialog):
    """Shows the sums of a result as it is filtered and reviewed, and saves them.

    Args:
        connection: Connection to the worker.
        result: Function that gives the result whose changes are listed; None for none.
        parent: Parent widget.

    Attributes:
        models: The tables: from what to what, and by zone.
        views: Their views.
    """

    def __init__(
        self,
        connection: Connection,
        result: Callable[[], QgsVectorLayer | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._connection, self._result = connection, result
        self._task: BackgroundTask | None = None
        self.setObjectName("GeochgTables")
        self.setWindowTitle(tr("Tables of the changes"))
        self.resize(*_SIZE_PX)
        self.zones, self.names = QgsMapLayerComboBox(self), QgsFieldComboBox(self)
        self.tabs, self.status = QTabWidget(self), plain_label(self, is_selectable=True)
        self.models = (SumsModel(self), SumsModel(self))
        self.views = tuple(self._view(model) for model in self.models)
        standard = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(standard.Close, parent=self)
        self.sum_up, self.copy, self.save = (
            QPushButton(text, self) for text in (tr("&Update"), tr("Co&py"), tr("&Save as CSV…"))
        )
        self._sum_later = single_shot_timer(self, _SUM_MS, self.update_sums)
        self._lay_out()
        self._name()
        self._connect()
        self._choose_layer(None)
        self._enable()

    def open_result(self) -> None:
        """Shows the sums of the result that is listed now."""
        # Results are polygons too; they are no zones of themselves.
        self.zones.setExceptedLayerList(results_in_project())
        self.show()
        self.raise_()
        self.update_sums()

    def update_sums(self) -> None:
        """Asks the worker for the sums."""
        self._ask({}, self._show_sums)

    def save_as(self, path: str) -> None:
        """Writes the table that is shown.

        Args:
            path: The file; `.csv` is put behind it where that is missing.
        """
        if not path:
            return
        file = Path(path)
        file = file if file.suffix.lower() == ".csv" else file.with_name(f"{file.name}.csv")
        outputs = {_OUTPUTS[self.tabs.currentIndex()]: str(file)}
        # The file dialog has asked whether the file may be replaced.
        self._ask(
            {"outputs": outputs, "overwrite": True},
            lambda sums: self._show_sums(sums, tr("Saved as {}").format(file)),
        )

    def copy_rows(self) -> None:
        """Puts the chosen rows, or all where none is, into the clipboard."""
        view, model = self._shown_table()
        rows = sorted({index.row() for index in view.selectionModel().selectedIndexes()})
        QApplication.clipboard().setText(model.text(rows or None))
        count = formatted_number(len(rows) or model.rowCount())
        self.status.setText(tr("{} rows are in the clipboard").format(count))

    def close_down(self) -> None:
        """Stops asking the worker."""
        self._sum_later.stop()
        task, self._task = self._task, None
        if task is not None:
            task.abandon()

    def _ask(self, values: Mapping[str, Any], show: Callable[[Mapping[str, Any]], object]) -> None:
        """Asks the worker for the sums with further parameters, and shows what it answers."""
        self.close_down()
        try:
            features, zones = self._features(), self._zone_source()
        except LinkError as error:
            self._show_error(error)
            return
        self.status.setText(tr("Summing up"))

        def ask_worker(task: BackgroundTask) -> Mapping[str, Any]:
            parameters = {"features": features, **values}
            if zones is not None:
                parameters |= zones.parameters(task.isCanceled)
            client = self._connection.client(task.isCanceled)
            return client.ask("tables", parameters, is_cancelled=task.isCanceled)

        task = BackgroundTask(tr("geochg: tables"), ask_worker)
        task.answered.connect(lambda sums: show(sums) if task is self._task else None)
        task.failed.connect(lambda error: self._show_failure(task, error))
        self._task = start_unlisted(task)

    def _features(self) -> str:
        """The result with its filter, as the worker takes it."""
        layer = self._result()
        if layer is None:
            raise LinkError(tr("There is no result"), tr("choose one in the list of changes"))
        return readable_source(layer)

    def _zone_source(self) -> ZoneSource | None:
        layer = self.zones.currentLayer()
        return None if layer is None else zone_source(layer, self.names.currentField())

    def _show_sums(self, sums: Mapping[str, Any], notice: str = "") -> None:
        has_zones = "zones" in sums
        # Without zones each row would be called outside of them.
        omitted = () if has_zones else ("zone",)
        for model, table in zip(self.models, (sums.get("table"), sums.get("zones"))):
            model.set_table(table or {}, omitted)
        for view in self.views:
            view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
            view.resizeColumnsToContents()
        self.tabs.setTabEnabled(_BY_ZONE, has_zones)
        if not has_zones:
            self.tabs.setCurrentIndex(_FROM_TO)
        parts = [tr("{} changes").format(formatted_number(int(sums.get("features", 0))))]
        if rejected := int(sums.get("rejected", 0)):
            parts.append(tr("{} rejected ones are left out").format(formatted_number(rejected)))
        layer = self._result()
        if layer is not None and layer.isModified():
            parts.append(tr("edits of the layer that are not saved do not count"))
        texts = [", ".join(parts), *map(str, sums.get("remarks", ())), notice]
        self.status.setText(" ".join(f"{sentence(text)}." for text in texts if text))
        self._enable()

    def _show_failure(self, task: BackgroundTask, error: LinkError) -> None:
        if task is self._task and not isinstance(error, Cancelled):
            self._show_error(error)

    def _show_error(self, error: LinkError) -> None:
        for model in self.models:
            model.set_table({})
        text = f"{error.message}. {sentence(error.hint)}" if error.hint else error.message
        self.status.setText(text)
        self._enable()

    def _choose_layer(self, layer: QgsMapLayer | None) -> None:
        """Offers the columns of a layer of zones."""
        self.names.setLayer(layer)
        self.names.setField("")
        self.names.setEnabled(layer is not None)

    def _shown_table(self) -> tuple[QTableView, SumsModel]:
        tab = self.tabs.currentIndex()
        return self.views[tab], self.models[tab]

    def _enable(self, *_: object) -> None:
        has_rows = self._shown_table()[1].rowCount() > 0
        self.copy.setEnabled(has_rows)
        self.save.setEnabled(has_rows)

    def _choose_file(self, *_: object) -> None:
        title, kinds = tr("Save as CSV"), "CSV (*.csv)"
        path, _kind = QFileDialog.getSaveFileName(self, title, self._usual_path(), kinds)
        self.save_as(path)

    def _usual_path(self) -> str:
        """A path beside the result."""
        layer = self._result()
        source = result_source(layer).partition("|")[0] if layer is not None else ""
        ending = {_FROM_TO: "from_to", _BY_ZONE: "zones"}[self.tabs.currentIndex()]
        path = Path(source)
        return str(path.with_name(f"{path.stem}_{ending}.csv")) if source else f"{ending}.csv"

    def _view(self, model: SumsModel) -> QTableView:
        view = QTableView(self)
        view.setModel(model)
        view.setSortingEnabled(True)
        view.setAlternatingRowColors(True)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.verticalHeader().setVisible(False)
        view.setTabKeyNavigation(False)
        view.horizontalHeader().setStretchLastSection(True)
        return view

    def _connect(self) -> None:
        self.zones.layerChanged.connect(self._choose_layer)
        self.zones.layerChanged.connect(self._sum_later.start)
        self.names.fieldChanged.connect(self._sum_later.start)
        self.tabs.currentChanged.connect(self._enable)
        self.sum_up.clicked.connect(lambda _: self.update_sums())
        self.copy.clicked.connect(lambda _: self.copy_rows())
        self.save.clicked.connect(self._choose_file)
        self.buttons.rejected.connect(self.reject)
        self.finished.connect(lambda _: self.close_down())

    def _lay_out(self) -> None:
        self.zones.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.zones.setAllowEmptyLayer(True)
        self.zones.setLayer(None)
        self.names.setAllowEmptyFieldName(True)
        self.names.setFilters(QgsFieldProxyModel.Filter.AllTypes)
        form = QFormLayout()
        form.addRow(tr("&Zones"), self.zones)
        form.addRow(tr("Named b&y"), self.names)
        self.tabs.addTab(self.views[_FROM_TO], tr("From what to what"))
        self.tabs.addTab(self.views[_BY_ZONE], tr("By zone"))
        self.tabs.setTabEnabled(_BY_ZONE, False)
        for button in (self.sum_up, self.copy, self.save):
            self.buttons.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.buttons)

    def _name(self) -> None:
        for widget, name, label, tip in (
            (
                self.zones,
                "Zones",
                tr("Zones"),
                tr("Polygons in which changes are summed up, such as parcels or districts"),
            ),
            (
                self.names,
                "ZoneNames",
                tr("Named by"),
                tr(
                    "The column that names the zones; empty for name, zone or id, else their number"
                ),
            ),
            (self.tabs, "TableTabs", tr("Tables"), tr("The two tables")),
            (
                self.views[_FROM_TO],
                "FromTo",
                tr("From what to what"),
                tr("Changes by class, direction and land cover before and after"),
            ),
            (
                self.views[_BY_ZONE],
                "ByZone",
                tr("By zone"),
                tr("Changes by zone, class and direction"),
            ),
            (self.status, "TableStatus", tr("Status"), tr("What the tables count")),
            (
                self.sum_up,
                "UpdateTables",
                tr("Update"),
                tr("Sums up the result as it is filtered and reviewed now"),
            ),
            (
                self.copy,
                "CopyTable",
                tr("Copy"),
                tr("Copies the chosen rows, or all, for a spreadsheet"),
            ),
            (self.save, "SaveTable", tr("Save as CSV"), tr("Writes the shown table to a file")),
        ):
            name_widget(widget, f"Geochg{name}", label, tip)
        name_dialog_buttons(self.buttons, "GeochgTables", {"Close": tr("Closes the tables")})
        set_focus_order(self)
        # The views lie in the tabs, which have no layout.
        chain = (self.names, self.tabs.tabBar(), *self.views, self.sum_up)
        for first, second in zip(chain, chain[1:]):
            QWidget.setTabOrder(first, second)
