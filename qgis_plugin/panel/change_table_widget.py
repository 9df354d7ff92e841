"""The table widget of a result's changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from qgis.PyQt.QtCore import QItemSelection, QItemSelectionModel, Qt
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QStyle, QTreeView, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.class_colors import CLASSES
from geochg_qgis.layers.result_fields import CHANGES
from geochg_qgis.panel.change_table_model import (
    AREA,
    CAPTION,
    CHANGE,
    CLASS,
    CONFIDENCE,
    COVER,
    STATE,
    ChangeTableModel,
)

_MARGINS_PX = 10  # margins around the text of a cell


class ChangeTableWidget(QTreeView):
    """Shows a `ChangeTableModel`."""

    def __init__(self, model: ChangeTableModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setAlternatingRowColors(True)
        self.setSortingEnabled(True)
        self.sortByColumn(AREA, Qt.SortOrder.DescendingOrder)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setMinimumHeight(160)
        header = self.header()
        header.setStretchLastSection(False)
        # The mark comes first; the caption takes the remaining width.
        header.moveSection(STATE, 0)
        header.moveSection(header.visualIndex(COVER), header.visualIndex(CHANGE) + 1)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(CAPTION, QHeaderView.ResizeMode.Stretch)
        swatch_px = self.style().pixelMetric(QStyle.PixelMetric.PM_SmallIconSize)
        for column, texts, more_px in (
            (CLASS, map(tr, CLASSES), swatch_px),
            (CHANGE, map(tr, CHANGES), 0),
            (AREA, ("9,999 m²",), 0),
            (CONFIDENCE, ("100 %",), 0),
            (STATE, ("✓",), 0),
            (COVER, (f"{tr('bare')} → {tr('building')}",), 0),
        ):
            widest_px = max(self.fontMetrics().horizontalAdvance(text) for text in texts)
            header.resizeSection(column, widest_px + more_px + _MARGINS_PX)

        # Without land covers their column is hidden.
        model.modelReset.connect(lambda: self.setColumnHidden(COVER, not model.has_covers))
        self.setColumnHidden(COVER, True)

    def selected_rows(self) -> list[int]:
        """The selected rows, sorted; of the ranges, which is quicker than Qt's list of rows."""
        spans = self.selectionModel().selection()
        return sorted({row for span in spans for row in range(span.top(), span.bottom() + 1)})

    def select_rows(self, rows: Sequence[int]) -> None:
        """Selects only these rows, which are sorted, and scrolls to the first."""
        flag = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(self._selection(rows), flag.ClearAndSelect | flag.Rows)
        if rows:
            self.scrollTo(self.model().index(rows[0], 0))

    def _selection(self, rows: Sequence[int]) -> QItemSelection:
        """The rows in as few ranges as possible: Qt takes time by the square of their number."""
        selection, model = QItemSelection(), self.model()
        for _, numbered_rows in groupby(
            enumerate(rows), lambda numbered_row: numbered_row[1] - numbered_row[0]
        ):
            span = [row for _, row in numbered_rows]
            selection.select(model.index(span[0], 0), model.index(span[-1], COVER))
        return selection
