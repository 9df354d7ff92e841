"""The Qt model of a sample's units, which sorts and filters them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QModelIndex, Qt

from geochg_qgis.formatting import as_tip, class_title, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.layers.result_fields import CHANGES
from geochg_qgis.layers.sample_fields import UNCHANGED
from geochg_qgis.layers.units import UnitRecord
from geochg_qgis.panel.record_table_model import (
    ACCESSIBLE,
    ALIGNMENT,
    DISPLAY,
    RIGHT,
    TIP,
    RecordTableModel,
)

MARK, NUMBER, JUDGEMENT = range(3)

ALL, TO_JUDGE, JUDGED = "all", "to judge", "judged"
"""What the list may show."""

_SORT_KEYS: dict[int, Callable[[UnitRecord], Any]] = {
    MARK: lambda unit: unit.is_decided,
    NUMBER: lambda unit: unit.number,
    JUDGEMENT: lambda unit: judgement_text(unit).lower(),
}


class UnitTableModel(RecordTableModel):
    """One row a unit."""

    def __init__(self, parent: Any = None) -> None:  # noqa: ANN401
        super().__init__(_SORT_KEYS, (NUMBER, False), parent)
        self._state = ALL

    @property
    def judged_count(self) -> int:
        """Number of the units that are judged."""
        return sum(unit.is_decided for unit in self.records)

    def set_layer(self, _: QgsVectorLayer | None) -> None:
        """Empties the list for another sample, whose units come later."""
        self.set_records([])

    def set_state(self, state: str) -> None:
        """Shows the units of a state: `ALL`, `TO_JUDGE` or `JUDGED`."""
        self._state = state
        self.arrange()

    def is_shown(self, record: UnitRecord) -> bool:
        """Whether the state shows a unit."""
        return self._state == ALL or record.is_decided == (self._state == JUDGED)

    def titles(self) -> tuple[tuple[str, str], ...]:
        """Title and description of each column."""
        return (
            ("✓", tr("Judged: ✓; with words that an assessment does not take: ?")),
            (tr("Unit"), tr("Number of the unit")),
            (tr("Judgement"), tr("What changed there, as you saw it")),
        )

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Text, tool tip or alignment of a cell."""
        unit, column = self.at(index.row()), index.column()
        if role == DISPLAY:
            return (_mark(unit), str(unit.number), judgement_text(unit))[column]
        if role == TIP and unit.note:
            return as_tip(unit.note)
        if role == ALIGNMENT and column == NUMBER:
            return RIGHT
        if role == ACCESSIBLE and column == MARK:
            return tr("Judged") if unit.is_decided else tr("To judge")
        return None


def unit_state_texts() -> list[tuple[str, str]]:
    """The states that the list may show, with their names for the user."""
    return [(ALL, tr("All")), (TO_JUDGE, tr("To judge")), (JUDGED, tr("Judged"))]


def judgement_text(unit: UnitRecord) -> str:
    """What a person said of a unit, such as `Building appeared`; empty where nothing is said."""
    change = unit.reference_change.strip()
    if UNCHANGED in (change.lower(), unit.reference_class.strip().lower() if not change else ""):
        return tr("Unchanged")
    direction = tr(change.lower()) if change.lower() in CHANGES else change
    name = class_title(unit.reference_class.strip()) if unit.reference_class.strip() else ""
    return sentence(" ".join(text for text in (name, direction) if text))


def _mark(unit: UnitRecord) -> str:
    if unit.is_decided:
        return "✓"
    return "?" if unit.reference_class or unit.reference_change else ""
