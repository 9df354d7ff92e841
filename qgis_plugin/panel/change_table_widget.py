"""The table widget of a result's changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from qgis.PyQt.QtCore import QItemSelection, QItemSelectionModel, Qt
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QStyle, QTableView, QWidget

from geochg_qgis.formatting import formatted_area, formatted_share
from geochg_qgis.i18n import tr
from geochg_qgis.layers.class_colors import CLASSES
from geochg_qgis.layers.result_fields import CHANGES, COVERS
from geochg_qgis.panel.change_table_model import (
    AREA,
    CAPTION,
    CLASS,
    CONFIDENCE,
    COVER,
    STATE,
    ChangeTableModel,
)

_MARGINS_PX = 12  # margins around the text of a cell
_LEAST_CAPTION_PX = 160
_LEAST_ROWS = 3
_NARROWED = (COVER, CONFIDENCE, AREA)
"""Columns that leave room for the caption, in this order; the chosen change shows them below."""


class ChangeTableWidget(QTableView):
    """Shows a `ChangeTableModel`, each change in two lines.

    No tree, which requests something of every row whenever the model is reset.
    """

    def __init__(self, model: ChangeTableModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row_height_px = 2 * self.fontMetrics().lineSpacing() + 4
        self._model = model
        self.setModel(model)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        rows = self.verticalHeader()
        rows.setVisible(False)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setMinimumSectionSize(1)
        rows.setDefaultSectionSize(row_height_px)
        self.setAlternatingRowColors(True)
        self.setSortingEnabled(True)
        self.sortByColumn(AREA, Qt.SortOrder.DescendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        # Painting a header asks whether each of its columns is selected in all of its rows.
        header.setSelectionModel(QItemSelectionModel(model, header))
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setMinimumHeight(_LEAST_ROWS * row_height_px + header.sizeHint().height())
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(16)
        # The mark comes first; the caption takes the remaining width.
        header.moveSection(STATE, 0)
        header.moveSection(header.visualIndex(COVER), header.visualIndex(CLASS) + 1)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(CAPTION, QHeaderView.ResizeMode.Stretch)
        self._widths_px = self._column_widths()
        for column, width_px in self._widths_px.items():
            header.resizeSection(column, width_px)
        model.modelReset.connect(self._hide_columns)
        self._hide_columns()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leaves out columns where the caption would be too narrow."""
        super().resizeEvent(event)
        self._hide_columns()

    def _column_widths(self) -> dict[int, int]:
        """Width of each column but the caption's, in px."""
        swatch_px = self.style().pixelMetric(QStyle.PixelMetric.PM_SmallIconSize)
        texts = {
            CLASS: [tr(name) for name in (*CLASSES, *CHANGES)],
            AREA: [formatted_area(9999), tr("Area")],
            CONFIDENCE: [formatted_share(1), tr("Sure")],
            STATE: ["✓"],
            COVER: [f"→ {tr(cover)}" for cover in COVERS],
        }
        advance_px = self.fontMetrics().horizontalAdvance
        widths_px = {c: max(map(advance_px, t)) + _MARGINS_PX for c, t in texts.items()}
        widths_px[CLASS] += swatch_px + _MARGINS_PX // 2
        return widths_px

    def _hide_columns(self) -> None:
        room_px = self.viewport().width() - _LEAST_CAPTION_PX
        is_needed = {COVER: self._model.has_covers}
        columns = [column for column in self._widths_px if is_needed.get(column, True)]
        for column in _NARROWED:
            if column in columns and sum(self._widths_px[c] for c in columns) > room_px:
                columns.remove(column)
        for column in self._widths_px:
            self.setColumnHidden(column, column not in columns)

    def selected_rows(self) -> list[int]:
        """The selected rows, sorted; of the ranges, which is quicker than Qt's list of rows."""
        spans = self.selectionModel().selection()
        return sorted({row for span in spans for row in range(span.top(), span.bottom() + 1)})

    def select_rows(self, rows: Sequence[int]) -> None:
        """Selects only these rows, which are sorted, and scrolls to the first."""
        flag = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(self._selection(rows), flag.ClearAndSelect | flag.Rows)
        if rows:
            index = self.model().index(rows[0], 0)
            # Where the arrow keys go on from.
            self.selectionModel().setCurrentIndex(index, flag.NoUpdate)
            self.scrollTo(index)

    def _selection(self, rows: Sequence[int]) -> QItemSelection:
        """The rows in as few ranges as possible: Qt takes time by the square of their number."""
        selection, model = QItemSelection(), self.model()
        for _, numbered_rows in groupby(
            enumerate(rows), lambda numbered_row: numbered_row[1] - numbered_row[0]
        ):
            span = [row for _, row in numbered_rows]
            selection.select(model.index(span[0], 0), model.index(span[-1], COVER))
        return selection
