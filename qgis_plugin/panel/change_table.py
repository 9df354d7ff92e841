"""The table of the changes as it looks, and which of its rows are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from qgis.PyQt.QtCore import QItemSelection, QItemSelectionModel, Qt
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QStyle, QTreeView, QWidget

from geochg_qgis.layers.fields import CHANGES, CLASSES
from geochg_qgis.panel.change_model import (
    AREA,
    CAPTION,
    CHANGE,
    CLASS,
    CONFIDENCE,
    COVER,
    STATE,
    ChangeModel,
)
from geochg_qgis.words import tr

_MARGINS_PX = 10
"""Around the text of a cell."""


class ChangeTable(QTreeView):
    """Shows a model of changes."""

    def __init__(self, model: ChangeModel, parent: QWidget | None = None) -> None:
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
        # The mark before the caption, which takes what is left.
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

        # A model that tells no land cover needs no room for it.
        model.modelReset.connect(lambda: self.setColumnHidden(COVER, not model.tells_covers))
        self.setColumnHidden(COVER, True)

    def chosen_rows(self) -> list[int]:
        """Sorted; read off the ranges, which is quicker than Qt's list of rows."""
        ranges = self.selectionModel().selection()
        return sorted({row for each in ranges for row in range(each.top(), each.bottom() + 1)})

    def choose(self, rows: Sequence[int]) -> None:
        """Chooses sorted rows, and no others, and shows the first."""
        flag = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(self._selection(rows), flag.ClearAndSelect | flag.Rows)
        if rows:
            self.scrollTo(self.model().index(rows[0], 0))

    def _selection(self, rows: Sequence[int]) -> QItemSelection:
        """As few ranges: Qt's time grows with the square of their number."""
        selection, model = QItemSelection(), self.model()
        for _, numbered in groupby(enumerate(rows), lambda each: each[1] - each[0]):
            run = [row for _, row in numbered]
            selection.select(model.index(run[0], 0), model.index(run[-1], COVER))
        return selection
