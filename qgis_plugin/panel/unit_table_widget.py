"""The table widget of a sample's units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QWidget

from geochg_qgis.formatting import formatted_number
from geochg_qgis.i18n import tr
from geochg_qgis.panel.record_table_widget import RecordTableWidget
from geochg_qgis.panel.unit_table_model import JUDGEMENT, MARK, NUMBER, UnitTableModel

_LARGE_NUMBER = 99_999


class UnitTableWidget(RecordTableWidget):
    """Shows a `UnitTableModel`, each unit in a line."""

    def __init__(self, model: UnitTableModel, parent: QWidget | None = None) -> None:
        super().__init__(model, lines=1, stretched=JUDGEMENT, parent=parent)
        self.sortByColumn(NUMBER, Qt.SortOrder.AscendingOrder)

    def widest_texts(self) -> Mapping[int, Sequence[str]]:
        """Texts by column that are as wide as any."""
        # Beside the title there is the arrow of the sorting.
        titles = [f"{tr('Unit')} ▼"]
        return {MARK: ["✓", "?"], NUMBER: [formatted_number(_LARGE_NUMBER), *titles]}
