"""The list of changes: in step with the map, reviewed with a click."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from qgis.core import QgsProject, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QItemSelection, QItemSelectionModel, Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.layers.fields import ACCEPTED, CLASSES, REJECTED, REVIEW, REVIEW_CLASS
from geochg_qgis.layers.result import results_in_project
from geochg_qgis.layers.review import confidence_filter, set_attribute
from geochg_qgis.layers.style import apply_style
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.change_model import (
    AREA,
    CAPTION,
    ID_ROLE,
    STATE,
    ChangeFilter,
    ChangeModel,
)
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
        self._layer: QgsVectorLayer | None = None
        self._following = False
        self.results = QComboBox(self)
        self.results.setMinimumWidth(80)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(tr("Filter: class, change or words of the caption"))
        self.filter.setClearButtonEnabled(True)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, 100)
        self.least = QLabel("0 %", self)
        self.model = ChangeModel(self)
        self.shown = ChangeFilter(self.model, self)
        self.table = _table(self, self.shown)
        self.caption = QLabel(self)
        self.caption.setWordWrap(True)
        # A caption is a model's: never markup.
        self.caption.setTextFormat(Qt.TextFormat.PlainText)
        self.caption.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.count = QLabel(self)
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
        self._load()
        self.refresh()

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
        return [self.shown.index(row, 0).data(ID_ROLE) for row in self._chosen_rows()]

    def _connect(self) -> None:
        project = QgsProject.instance()
        project.layersAdded.connect(self.refresh)
        project.layersRemoved.connect(self.refresh)
        self.results.currentIndexChanged.connect(self._take_result)
        self.filter.textChanged.connect(self._filter)
        self.slider.valueChanged.connect(self._slide)
        self._slid.timeout.connect(self._filter_layer)
        self.table.selectionModel().selectionChanged.connect(self._select_on_map)
        self.table.doubleClicked.connect(lambda _: self._zoom())
        self.table.clicked.connect(lambda _: self._zoom())
        self.accept.clicked.connect(lambda: self.review(ACCEPTED))
        self.reject.clicked.connect(lambda: self.review(REJECTED))
        self.undo.clicked.connect(lambda: self.review(None))
        self.relabel.activated.connect(self._relabel)

    def _lay_out(self) -> None:
        slide = QHBoxLayout()
        slide.addWidget(self.slider, 1)
        slide.addWidget(self.least)
        form = QFormLayout()
        form.addRow(tr("Result"), self.results)
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
        if layer is not self._layer:
            self._follow(layer)
            self._load()

    def _follow(self, layer: QgsVectorLayer | None) -> None:
        former = self._layer
        # A layer that was removed has taken its signals with it.
        if former is not None and QgsProject.instance().mapLayer(self._layer_id) is former:
            former.selectionChanged.disconnect(self._select_in_table)
        self._layer = layer
        self._layer_id = layer.id() if layer is not None else ""
        if layer is not None:
            layer.selectionChanged.connect(self._select_in_table)

    def _load(self) -> None:
        self.model.load(self._layer)
        for widget in (self.accept, self.reject, self.undo, self.relabel, self.slider):
            widget.setEnabled(self._layer is not None)
        self._say_count()

    def _say_count(self) -> None:
        self.count.setText(
            tr("{0} of {1} changes").format(self.shown.rowCount(), self.model.rowCount())
            if self._layer is not None
            else tr("No result yet: run an analysis first.")
        )

    def _filter(self, text: str) -> None:
        self.shown.setFilterFixedString(text)
        self._say_count()

    def _slide(self, percent: int) -> None:
        self.least.setText(f"{percent} %")
        self._slid.start()

    def _filter_layer(self) -> None:
        if self._layer is None:
            return
        if not self._layer.setSubsetString(confidence_filter(self.slider.value())):
            self._show_error(
                LinkError(
                    tr("The result cannot be filtered while it is edited"),
                    tr("save or discard the edits first"),
                )
            )
        self._load()

    def _select_on_map(self, _: QItemSelection, __: QItemSelection) -> None:
        self._tell_caption()
        if self._layer is not None and not self._following:
            with self._in_step():
                self._layer.selectByIds(self.chosen())

    def _select_in_table(self, *_: object) -> None:
        if self._layer is None or self._following:
            return
        rows = [self.shown.row_of(feature) for feature in self._layer.selectedFeatureIds()]
        rows = sorted(row for row in rows if row >= 0)
        flag = QItemSelectionModel.SelectionFlag
        with self._in_step():
            self.table.selectionModel().select(
                self._selection(rows), flag.ClearAndSelect | flag.Rows
            )
        if rows:
            self.table.scrollTo(self.shown.index(rows[0], 0))

    @contextmanager
    def _in_step(self) -> Iterator[None]:
        """While the table follows the map or the map the table, neither is answered."""
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def _selection(self, rows: Sequence[int]) -> QItemSelection:
        """Sorted rows as few ranges: Qt's time grows with the square of their number."""
        selection = QItemSelection()
        last = self.shown.columnCount() - 1
        for _, numbered in groupby(enumerate(rows), lambda each: each[1] - each[0]):
            run = [row for _, row in numbered]
            selection.select(self.shown.index(run[0], 0), self.shown.index(run[-1], last))
        return selection

    def _chosen_rows(self) -> list[int]:
        """Sorted; read off the ranges, which is quicker than Qt's list of rows."""
        ranges = self.table.selectionModel().selection()
        return sorted({row for each in ranges for row in range(each.top(), each.bottom() + 1)})

    def _tell_caption(self) -> None:
        rows = self._chosen_rows()
        alone = self.shown.index(rows[0], CAPTION).data() if len(rows) == 1 else ""
        self.caption.setText(str(alone))

    def _zoom(self) -> None:
        chosen = self.chosen()
        if self._layer is None or not chosen:
            return
        canvas = self._iface.mapCanvas()
        canvas.zoomToFeatureIds(self._layer, chosen)
        canvas.zoomByFactor(2)
        canvas.flashFeatureIds(self._layer, chosen)

    def _relabel(self, row: int) -> None:
        name = self.relabel.itemData(row)
        self.relabel.setCurrentIndex(0)
        if name is not None and self._layer is not None:
            self._write(REVIEW_CLASS, name)
            # The legend may lack the class.
            apply_style(self._layer)

    def _write(self, field: str, value: str | None) -> None:
        chosen = self.chosen()
        if self._layer is None or not chosen:
            return
        try:
            set_attribute(self._layer, chosen, field, value)
        except LinkError as error:
            self._show_error(error)
        self.model.reread(self._layer, chosen)
        self._say_count()


def _table(parent: QWidget, model: ChangeFilter) -> QTreeView:
    table = QTreeView(parent)
    table.setModel(model)
    table.setRootIsDecorated(False)
    table.setUniformRowHeights(True)
    table.setAlternatingRowColors(True)
    table.setSortingEnabled(True)
    table.sortByColumn(AREA, Qt.SortOrder.DescendingOrder)
    table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    table.setMinimumHeight(160)
    header = table.header()
    header.setStretchLastSection(False)
    # The mark before the caption, which takes what is left.
    header.moveSection(STATE, 0)
    header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    header.setSectionResizeMode(CAPTION, QHeaderView.ResizeMode.Stretch)
    for column, width in ((0, 78), (1, 92), (AREA, 68), (3, 46), (STATE, 26)):
        header.resizeSection(column, width)
    return table
