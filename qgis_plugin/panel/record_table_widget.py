"""The table widget that lists of changes and of sample units share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

from qgis.PyQt.QtCore import QItemSelection, QItemSelectionModel, Qt
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from geochg_qgis.panel.record_table_model import RecordTableModel

MARGINS_PX = 12
"""Margins around the text of a cell."""

_LEAST_ROWS = 3


class RecordTableWidget(QTableView):
    """Shows a `RecordTableModel`, one row a record.

    No tree, which requests something of every row whenever the model is reset.

    Args:
        model: The records.
        lines: Lines of text in a row.
        stretched: Column that takes the remaining width.
        parent: Parent widget.
    """

    def __init__(
        self,
        model: RecordTableModel,
        lines: int,
        stretched: int,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        row_height_px = lines * self.fontMetrics().lineSpacing() + 4
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
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(stretched, QHeaderView.ResizeMode.Stretch)
        self._widths_px = self.column_widths()
        for column, width_px in self._widths_px.items():
            header.resizeSection(column, width_px)
        model.modelReset.connect(self.hide_columns)

    def column_widths(self) -> dict[int, int]:
        """Width of each column but the stretched one, in px."""
        advance_px = self.fontMetrics().horizontalAdvance
        return {
            column: max(map(advance_px, texts)) + MARGINS_PX
            for column, texts in self.widest_texts().items()
        }

    def widest_texts(self) -> Mapping[int, Sequence[str]]:
        """Texts by column that are as wide as any, for columns other than the stretched one."""
        raise NotImplementedError

    def shown_columns(self) -> Collection[int]:
        """The columns of `column_widths` that there is room for."""
        return self._widths_px

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leaves out columns that there is no room for."""
        super().resizeEvent(event)
        self.hide_columns()

    def hide_columns(self) -> None:
        """Shows the columns that there is room for."""
        columns = self.shown_columns()
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
        for first, last in _spans(rows):
            last_index = model.index(last, model.columnCount() - 1)
            selection.select(model.index(first, 0), last_index)
        return selection


def _spans(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last row of each run of rows, which are sorted."""
    for _, numbered_rows in groupby(
        enumerate(rows), lambda numbered_row: numbered_row[1] - numbered_row[0]
    ):
        span = [row for _, row in numbered_rows]
        yield span[0], span[-1]
