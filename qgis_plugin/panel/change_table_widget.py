"""The table widget of a result's changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QStyle, QWidget

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
from geochg_qgis.panel.record_table_widget import MARGINS_PX, RecordTableWidget

_LEAST_CAPTION_PX = 160
_NARROWED = (COVER, CONFIDENCE, AREA)
"""Columns that leave room for the caption, in this order; the chosen change shows them below."""


class ChangeTableWidget(RecordTableWidget):
    """Shows a `ChangeTableModel`, each change in two lines."""

    def __init__(self, model: ChangeTableModel, parent: QWidget | None = None) -> None:
        self._model = model
        super().__init__(model, lines=2, stretched=CAPTION, parent=parent)
        self.sortByColumn(AREA, Qt.SortOrder.DescendingOrder)
        header = self.horizontalHeader()
        # The mark comes first; the caption takes the remaining width.
        header.moveSection(STATE, 0)
        header.moveSection(header.visualIndex(COVER), header.visualIndex(CLASS) + 1)
        self.hide_columns()

    def widest_texts(self) -> Mapping[int, Sequence[str]]:
        """Texts by column that are as wide as any."""
        return {
            CLASS: [tr(name) for name in (*CLASSES, *CHANGES)],
            AREA: [formatted_area(9999), tr("Area")],
            CONFIDENCE: [formatted_share(1), tr("Sure")],
            STATE: ["✓"],
            COVER: [f"→ {tr(cover)}" for cover in COVERS],
        }

    def column_widths(self) -> dict[int, int]:
        """Width of each column but the caption's, in px."""
        swatch_px = self.style().pixelMetric(QStyle.PixelMetric.PM_SmallIconSize)
        widths_px = super().column_widths()
        widths_px[CLASS] += swatch_px + MARGINS_PX // 2
        return widths_px

    def shown_columns(self) -> Collection[int]:
        """The columns that leave the caption its least width."""
        room_px = self.viewport().width() - _LEAST_CAPTION_PX
        is_needed = {COVER: self._model.has_covers}
        columns = [column for column in self._widths_px if is_needed.get(column, True)]
        for column in _NARROWED:
            if column in columns and sum(self._widths_px[c] for c in columns) > room_px:
                columns.remove(column)
        return columns
