"""The widget with the list of changes: in step with the map, reviewed with a click."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qgis.core import QgsProject, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QItemSelection, Qt
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QWidget,
)

from geochg_qgis.i18n import tr
from geochg_qgis.layers.changes import ChangeReader, ChangeRecord, changes_of
from geochg_qgis.layers.class_colors import CLASSES
from geochg_qgis.layers.confidence_filter import confidence_filter, set_least_confidence
from geochg_qgis.layers.result_fields import (
    ACCEPTED,
    REJECTED,
    REVIEW,
    REVIEW_CLASS,
    write_attribute,
)
from geochg_qgis.layers.result_layers import results_in_project
from geochg_qgis.layers.result_watcher import ResultWatcher
from geochg_qgis.layers.style import apply_style
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.change_table_model import ChangeTableModel, cover_transition
from geochg_qgis.panel.change_table_widget import ChangeTableWidget
from geochg_qgis.panel.layouts import choice_box, column_layout, plain_label, row_layout
from geochg_qgis.panel.swipe_button_widget import SwipeButton

_SLIDER_MS = 250


class ChangeListWidget(QWidget):
    """Shows the changes of one result.

    Args:
        iface: Interface of QGIS.
        show_error: Function that shows an error to the user.
        parent: Parent widget.
    """

    def __init__(
        self,
        iface: QgisInterface,
        show_error: Callable[[LinkError], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._iface = iface
        self._show_error = show_error
        self._is_syncing = False
        self._watcher, self._reader = ResultWatcher(self), ChangeReader(self)
        self.results = choice_box(self)
        self.swipe = SwipeButton(iface, show_error, self)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(tr("Filter: class, change or words of the caption"))
        self.filter.setClearButtonEnabled(True)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, 100)
        self.least = QLabel("0 %", self)
        self.model = ChangeTableModel(self)
        self.table = ChangeTableWidget(self.model, self)
        self.caption = plain_label(self, is_selectable=True)
        self.count = plain_label(self)
        self.accept, self.reject, self.undo = (
            QPushButton(text, self) for text in (tr("Accept"), tr("Reject"), tr("Undo"))
        )
        self.relabel = QComboBox(self)
        self.relabel.addItem(tr("Relabel"), None)
        for name in CLASSES:
            self.relabel.addItem(tr(name), name)
        self._slider_timer = single_shot_timer(self, _SLIDER_MS, self._filter_layer)
        self._lay_out()
        self._connect()
        self._set_result(None)
        self.refresh()

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The result whose changes are listed."""
        return self._watcher.layer

    def show_layer(self, layer: QgsVectorLayer) -> None:
        """Lists the changes of a result."""
        self.refresh()
        self.results.setCurrentIndex(self.results.findData(layer.id()))

    def refresh(self, *_: object) -> None:
        """Offers the results of the project."""
        chosen_result = self.results.currentData()
        self.results.blockSignals(True)
        self.results.clear()
        for layer in results_in_project():
            self.results.addItem(layer.name(), layer.id())
        self.results.setCurrentIndex(max(0, self.results.findData(chosen_result)))
        self.results.blockSignals(False)
        self._choose_result()

    def review(self, state: str | None) -> None:
        """Accepts, rejects, or (None) resets the selected changes."""
        self._write(REVIEW, state)
        if state is None:
            self._write(REVIEW_CLASS, None)

    def selected_features(self) -> list[int]:
        """Ids of the features in the selected rows."""
        return [self.model.at(row).feature for row in self.table.selected_rows()]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ends the swipe on Escape, also while the list has the focus."""
        if event.key() == Qt.Key.Key_Escape and self.swipe.isChecked():
            self.swipe.close_down()
        else:
            super().keyPressEvent(event)

    def close_down(self) -> None:
        """Ends the swipe and stops reading and watching the result."""
        self.swipe.close_down()
        self._slider_timer.stop()
        self._reader.stop()
        self._watcher.watch(None)

    def _connect(self) -> None:
        project = QgsProject.instance()
        project.layersAdded.connect(self.refresh)
        project.layersRemoved.connect(self.refresh)
        self.results.currentIndexChanged.connect(self._choose_result)
        self._watcher.changed.connect(self._read_changes)
        self._watcher.filtered.connect(self._show_filter)
        self._watcher.selected.connect(self._select_in_table)
        self._reader.done.connect(self._show_changes)
        self.filter.textChanged.connect(self.model.set_filter_text)
        self.slider.valueChanged.connect(self._change_slider)
        self.model.modelReset.connect(self._restore_selection)
        self.table.selectionModel().selectionChanged.connect(self._select_on_map)
        self.table.doubleClicked.connect(lambda _: self._zoom())
        self.table.clicked.connect(lambda _: self._zoom())
        self.accept.clicked.connect(lambda: self.review(ACCEPTED))
        self.reject.clicked.connect(lambda: self.review(REJECTED))
        self.undo.clicked.connect(lambda: self.review(None))
        self.relabel.activated.connect(self._relabel)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow(tr("Result"), row_layout(self.results, self.swipe))
        form.addRow(tr("At least"), row_layout(self.slider, self.least))
        buttons = QHBoxLayout()
        for button in (self.accept, self.reject, self.undo, self.relabel):
            buttons.addWidget(button)
        items = (form, self.filter, self.table, self.caption, self.count, buttons)
        column_layout(self, *items, tallest=self.table)

    def _choose_result(self, *_: object) -> None:
        layer = QgsProject.instance().mapLayer(str(self.results.currentData() or ""))
        layer = layer if isinstance(layer, QgsVectorLayer) else None
        # Called when any layer comes or goes; only another result needs to be read.
        if layer is not self.layer or layer is None:
            self._set_result(layer)

    def _set_result(self, layer: QgsVectorLayer | None) -> None:
        self._watcher.watch(layer)
        self.swipe.set_result(layer)
        self.model.set_changes([])
        for widget in (self.accept, self.reject, self.undo, self.relabel, self.slider):
            widget.setEnabled(layer is not None)
        self._show_filter()

    def _show_filter(self) -> None:
        """Shows the layer's filter, whoever set it."""
        text = self.layer.subsetString() if self.layer is not None else ""
        self.slider.blockSignals(True)
        self.slider.setValue(confidence_filter(text).percent)
        self.slider.blockSignals(False)
        self.least.setText(f"{self.slider.value()} %")
        self._read_changes()

    def _read_changes(self) -> None:
        self._reader.read(self.layer)
        self._show_count()

    def _show_changes(self, changes: list[ChangeRecord]) -> None:
        self.model.set_changes(changes)
        self._show_count()

    def _show_count(self) -> None:
        self.count.setText(self._count_text())

    def _count_text(self) -> str:
        if self.layer is None:
            return tr("No result yet: run an analysis first.")
        if self._reader.is_reading:
            return tr("reading the changes")
        text = tr("{0} of {1} changes").format(self.model.rowCount(), self.model.total)
        own_filter = confidence_filter(self.layer.subsetString()).own
        return text + (
            "; " + tr("the layer is also filtered by {}").format(own_filter) if own_filter else ""
        )

    def _change_slider(self, percent: int) -> None:
        self.least.setText(f"{percent} %")
        self._slider_timer.start()

    def _filter_layer(self) -> None:
        if self.layer is None:
            return
        try:
            set_least_confidence(self.layer, self.slider.value())
        except LinkError as error:
            self._show_error(error)
            self._show_filter()

    def _select_on_map(self, _: QItemSelection, __: QItemSelection) -> None:
        self._show_caption()
        if self.layer is not None and not self._is_syncing:
            with self._hold_sync():
                self.layer.selectByIds(self.selected_features())

    def _restore_selection(self) -> None:
        """Selects again after the model was reset, which clears the selection."""
        self._select_in_table()
        self._show_caption()
        self._show_count()

    def _select_in_table(self) -> None:
        if self.layer is None or self._is_syncing:
            return
        rows = [self.model.row_of(feature) for feature in self.layer.selectedFeatureIds()]
        with self._hold_sync():
            self.table.select_rows(sorted(row for row in rows if row >= 0))

    @contextmanager
    def _hold_sync(self) -> Iterator[None]:
        """Keeps the map from following the table back, and the table the map."""
        self._is_syncing = True
        try:
            yield
        finally:
            self._is_syncing = False

    def _show_caption(self) -> None:
        rows = self.table.selected_rows()
        self.caption.setText(_detail(self.model.at(rows[0])) if len(rows) == 1 else "")

    def _zoom(self) -> None:
        features = [change.feature for change in self._reread(self.selected_features())]
        if self.layer is None or not features:
            return
        canvas = self._iface.mapCanvas()
        canvas.zoomToFeatureIds(self.layer, features)
        canvas.zoomByFactor(2)
        canvas.flashFeatureIds(self.layer, features)

    def _relabel(self, row: int) -> None:
        name = self.relabel.itemData(row)
        self.relabel.setCurrentIndex(0)
        if name is not None and self.layer is not None:
            self._write(REVIEW_CLASS, name)
            # The legend may not have the class yet.
            apply_style(self.layer)

    def _write(self, field: str, value: str | None) -> None:
        features = self.selected_features()
        if self.layer is None or not features:
            return
        try:
            write_attribute(self.layer, features, field, value)
        except LinkError as error:
            self._show_error(error)
        self._reread(features)

    def _reread(self, features: list[int]) -> list[ChangeRecord]:
        """Reads changes again and updates the list, which drops those that are gone."""
        changes = changes_of(self.layer, features) if self.layer is not None else []
        self.model.update(features, changes)
        self._show_count()
        return changes


def _detail(change: ChangeRecord) -> str:
    """The caption, and the land cover before and after."""
    covers = cover_transition(change)
    return f"{change.caption}\n{tr('Ground')}: {covers}" if covers else change.caption
