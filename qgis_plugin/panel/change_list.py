"""The list of changes: in step with the map, reviewed with a click."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qgis.core import QgsProject, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QItemSelection, Qt, QTimer
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.layers.changes import Change, ChangeReader, changes_of
from geochg_qgis.layers.confidence import confidence_filter, set_least_confidence
from geochg_qgis.layers.fields import ACCEPTED, CLASSES, REJECTED, REVIEW, REVIEW_CLASS
from geochg_qgis.layers.follower import ResultFollower
from geochg_qgis.layers.result import results_in_project
from geochg_qgis.layers.review import set_attribute
from geochg_qgis.layers.style import apply_style
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.change_model import ChangeModel, cover_words
from geochg_qgis.panel.change_table import ChangeTable
from geochg_qgis.panel.swipe_button import SwipeButton
from geochg_qgis.words import tr

_SLIDER_MS = 250


class ChangeList(QWidget):
    """The changes of one result.

    Args:
        iface: QGIS.
        show_error: Tells the user of an error.
        parent: Its parent.
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
        self._following = False
        self._follower, self._reader = ResultFollower(self), ChangeReader(self)
        self.results = QComboBox(self)
        self.results.setMinimumWidth(80)
        self.swipe = SwipeButton(iface, show_error, self)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(tr("Filter: class, change or words of the caption"))
        self.filter.setClearButtonEnabled(True)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, 100)
        self.least = QLabel("0 %", self)
        self.model = ChangeModel(self)
        self.table = ChangeTable(self.model, self)
        self.caption = QLabel(self)
        self.caption.setWordWrap(True)
        # A caption is a model's, and a filter a file's: never markup.
        self.caption.setTextFormat(Qt.TextFormat.PlainText)
        self.caption.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.count = QLabel(self)
        self.count.setWordWrap(True)
        self.count.setTextFormat(Qt.TextFormat.PlainText)
        self.accept, self.reject, self.undo = (
            QPushButton(text, self) for text in (tr("Accept"), tr("Reject"), tr("Undo"))
        )
        self.relabel = QComboBox(self)
        self.relabel.addItem(tr("Relabel"), None)
        for name in CLASSES:
            self.relabel.addItem(tr(name), name)
        self._slid = QTimer(self)
        self._slid.setSingleShot(True)
        self._slid.setInterval(_SLIDER_MS)
        self._lay_out()
        self._connect()
        self._follow(None)
        self.refresh()

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The result whose changes are shown."""
        return self._follower.layer

    def show_layer(self, layer: QgsVectorLayer) -> None:
        """Shows the changes of a result."""
        self.refresh()
        self.results.setCurrentIndex(self.results.findData(layer.id()))

    def refresh(self, *_: object) -> None:
        """Looks which results the project holds."""
        chosen = self.results.currentData()
        self.results.blockSignals(True)
        self.results.clear()
        for layer in results_in_project():
            self.results.addItem(layer.name(), layer.id())
        self.results.setCurrentIndex(max(0, self.results.findData(chosen)))
        self.results.blockSignals(False)
        self._take_result()

    def review(self, state: str | None) -> None:
        """Accepts, rejects, or (None) takes back, the chosen changes."""
        self._write(REVIEW, state)
        if state is None:
            self._write(REVIEW_CLASS, None)

    def chosen(self) -> list[int]:
        """The features of the chosen rows."""
        return [self.model.at(row).feature for row in self.table.chosen_rows()]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape ends the swipe also while the list is used."""
        if event.key() == Qt.Key.Key_Escape and self.swipe.isChecked():
            self.swipe.close_down()
        else:
            super().keyPressEvent(event)

    def close_down(self) -> None:
        """Takes what is drawn off the map and reads no further."""
        self.swipe.close_down()
        self._slid.stop()
        self._reader.stop()
        self._follower.follow(None)

    def _connect(self) -> None:
        project = QgsProject.instance()
        project.layersAdded.connect(self.refresh)
        project.layersRemoved.connect(self.refresh)
        self.results.currentIndexChanged.connect(self._take_result)
        self._follower.changed.connect(self._read)
        self._follower.filtered.connect(self._show_filter)
        self._follower.selected.connect(self._select_in_table)
        self._reader.done.connect(self._show_read)
        self.filter.textChanged.connect(self.model.set_words)
        self.slider.valueChanged.connect(self._slide)
        self._slid.timeout.connect(self._filter_layer)
        self.model.modelReset.connect(self._choose_again)
        self.table.selectionModel().selectionChanged.connect(self._select_on_map)
        self.table.doubleClicked.connect(lambda _: self._zoom())
        self.table.clicked.connect(lambda _: self._zoom())
        self.accept.clicked.connect(lambda: self.review(ACCEPTED))
        self.reject.clicked.connect(lambda: self.review(REJECTED))
        self.undo.clicked.connect(lambda: self.review(None))
        self.relabel.activated.connect(self._relabel)

    def _lay_out(self) -> None:
        result = QHBoxLayout()
        result.addWidget(self.results, 1)
        result.addWidget(self.swipe)
        slide = QHBoxLayout()
        slide.addWidget(self.slider, 1)
        slide.addWidget(self.least)
        form = QFormLayout()
        form.addRow(tr("Result"), result)
        form.addRow(tr("At least"), slide)
        buttons = QHBoxLayout()
        for button in (self.accept, self.reject, self.undo, self.relabel):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.filter)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.caption)
        layout.addWidget(self.count)
        layout.addLayout(buttons)

    def _take_result(self, *_: object) -> None:
        found = QgsProject.instance().mapLayer(str(self.results.currentData() or ""))
        layer = found if isinstance(found, QgsVectorLayer) else None
        # Any layer that comes or goes asks for this; only another result needs to be read.
        if layer is not self.layer or layer is None:
            self._follow(layer)

    def _follow(self, layer: QgsVectorLayer | None) -> None:
        self._follower.follow(layer)
        self.swipe.set_result(layer)
        self.model.set_changes([])
        for widget in (self.accept, self.reject, self.undo, self.relabel, self.slider):
            widget.setEnabled(layer is not None)
        self._show_filter()

    def _show_filter(self) -> None:
        """Follows the layer's filter, whoever set it."""
        text = self.layer.subsetString() if self.layer is not None else ""
        self.slider.blockSignals(True)
        self.slider.setValue(confidence_filter(text).percent)
        self.slider.blockSignals(False)
        self.least.setText(f"{self.slider.value()} %")
        self._read()

    def _read(self) -> None:
        self._reader.read(self.layer)
        self._say_count()

    def _show_read(self, changes: list[Change]) -> None:
        self.model.set_changes(changes)
        self._say_count()

    def _say_count(self) -> None:
        self.count.setText(self._count_in_words())

    def _count_in_words(self) -> str:
        if self.layer is None:
            return tr("No result yet: run an analysis first.")
        if self._reader.is_reading:
            return tr("reading the changes")
        text = tr("{0} of {1} changes").format(self.model.rowCount(), self.model.total)
        own = confidence_filter(self.layer.subsetString()).own
        return text + ("; " + tr("the layer is also filtered by {}").format(own) if own else "")

    def _slide(self, percent: int) -> None:
        self.least.setText(f"{percent} %")
        self._slid.start()

    def _filter_layer(self) -> None:
        if self.layer is None:
            return
        try:
            set_least_confidence(self.layer, self.slider.value())
        except LinkError as error:
            self._show_error(error)
            self._show_filter()

    def _select_on_map(self, _: QItemSelection, __: QItemSelection) -> None:
        self._tell_caption()
        if self.layer is not None and not self._following:
            with self._in_step():
                self.layer.selectByIds(self.chosen())

    def _choose_again(self) -> None:
        """A table that is filled, sorted or filtered anew has no rows chosen."""
        self._select_in_table()
        self._tell_caption()
        self._say_count()

    def _select_in_table(self) -> None:
        if self.layer is None or self._following:
            return
        rows = [self.model.row_of(feature) for feature in self.layer.selectedFeatureIds()]
        with self._in_step():
            self.table.choose(sorted(row for row in rows if row >= 0))

    @contextmanager
    def _in_step(self) -> Iterator[None]:
        """While the table follows the map or the map the table, neither is answered."""
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def _tell_caption(self) -> None:
        rows = self.table.chosen_rows()
        chosen = [self.model.at(row) for row in rows]
        self.caption.setText(_detail(chosen[0]) if len(chosen) == 1 else "")

    def _zoom(self) -> None:
        there = [change.feature for change in self._refreshed(self.chosen())]
        if self.layer is None or not there:
            return
        canvas = self._iface.mapCanvas()
        canvas.zoomToFeatureIds(self.layer, there)
        canvas.zoomByFactor(2)
        canvas.flashFeatureIds(self.layer, there)

    def _relabel(self, row: int) -> None:
        name = self.relabel.itemData(row)
        self.relabel.setCurrentIndex(0)
        if name is not None and self.layer is not None:
            self._write(REVIEW_CLASS, name)
            # The legend may lack the class.
            apply_style(self.layer)

    def _write(self, field: str, value: str | None) -> None:
        chosen = self.chosen()
        if self.layer is None or not chosen:
            return
        try:
            set_attribute(self.layer, chosen, field, value)
        except LinkError as error:
            self._show_error(error)
        self._refreshed(chosen)

    def _refreshed(self, features: list[int]) -> list[Change]:
        """Some changes as they are now, also in the list, which drops those that are gone."""
        found = changes_of(self.layer, features) if self.layer is not None else []
        self.model.update(features, found)
        self._say_count()
        return found


def _detail(change: Change) -> str:
    """The caption, and what the ground was and is."""
    covers = cover_words(change)
    return f"{change.caption}\n{tr('Ground')}: {covers}" if covers else change.caption
