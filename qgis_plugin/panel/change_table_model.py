"""The Qt model of a result's changes, which sorts and filters them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt

from geochg_qgis.formatting import as_tip, formatted_area
from geochg_qgis.i18n import tr
from geochg_qgis.layers.changes import ChangeRecord
from geochg_qgis.layers.result_fields import ACCEPTED, REJECTED
from geochg_qgis.layers.style import class_color

CLASS, CHANGE, AREA, CONFIDENCE, CAPTION, STATE, COVER = range(7)

_MARKS = {ACCEPTED: "✓", REJECTED: "✗"}

# Numbers, because to look up Qt's enums at each of the view's many calls takes as long as the
# rest of the call.
_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_DECORATION = int(Qt.ItemDataRole.DecorationRole)
_TIP = int(Qt.ItemDataRole.ToolTipRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight) | int(Qt.AlignmentFlag.AlignVCenter)

_SORT_KEYS: dict[int, Callable[[ChangeRecord], Any]] = {
    CLASS: lambda change: tr(change.name).lower(),
    CHANGE: lambda change: tr(change.change).lower(),
    AREA: lambda change: change.area_m2,
    CONFIDENCE: lambda change: change.confidence,
    CAPTION: lambda change: change.caption.lower(),
    STATE: lambda change: change.review,
    COVER: lambda change: cover_transition(change).lower(),
}


class ChangeTableModel(QAbstractTableModel):
    """One row a change.

    It sorts and filters in Python, without one of Qt's proxies: those request each cell that they
    compare, which takes seconds for thousands of changes.
    """

    def __init__(self, parent: Any = None) -> None:  # noqa: ANN401
        super().__init__(parent)
        self._changes: list[ChangeRecord] = []
        self._rows: list[ChangeRecord] = []
        self._row_of: dict[int, int] = {}
        self._column, self._is_descending = AREA, True
        self._filter_text = ""

    @property
    def total(self) -> int:
        """Number of changes, with those that the filter hides."""
        return len(self._changes)

    @property
    def has_covers(self) -> bool:
        """Whether any change has a land cover."""
        return any(change.before or change.after for change in self._changes)

    def set_changes(self, changes: Iterable[ChangeRecord]) -> None:
        """Sets the changes; resets the model unless they are the same."""
        changes = list(changes)
        if changes != self._changes:
            self._changes = changes
            self._arrange()

    def set_filter_text(self, text: str) -> None:
        """Shows the changes that have a text in class, direction, land covers or caption."""
        self._filter_text = text.strip().lower()
        self._arrange()

    def update(self, features: Collection[int], changes: Iterable[ChangeRecord]) -> None:
        """Replaces the changes of some features, and drops those of features without one."""
        new = {change.feature: change for change in changes}
        gone_ids = set(features) - set(new)
        self._changes = [
            new.get(change.feature, change)
            for change in self._changes
            if change.feature not in gone_ids
        ]
        if any(feature in self._row_of for feature in gone_ids):
            self._arrange()
            return
        # The others keep their rows, in which the user sees them.
        rows = sorted(self._row_of[feature] for feature in new if feature in self._row_of)
        for row in rows:
            self._rows[row] = new[self._rows[row].feature]
        if rows:
            self.dataChanged.emit(self.index(rows[0], 0), self.index(rows[-1], COVER))

    def at(self, row: int) -> ChangeRecord:
        """The change in a row."""
        return self._rows[row]

    def row_of(self, feature: int) -> int:
        """The row of a feature; -1 when it is not shown."""
        return self._row_of.get(feature, -1)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts by a column; called by the table."""
        if column in _SORT_KEYS:
            self._column = column
            self._is_descending = order == Qt.SortOrder.DescendingOrder
            self._arrange()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of columns."""
        return 7

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:  # noqa: ANN401
        """Title of a column."""
        if role != _DISPLAY or orientation != Qt.Orientation.Horizontal:
            return None
        names = (
            tr("Class"),
            tr("Change"),
            tr("Area"),
            tr("Sure"),
            tr("Caption"),
            "✓",
            tr("Ground"),
        )
        return names[section]

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Text, colour, tool tip or alignment of a cell."""
        change, column = self._rows[index.row()], index.column()
        if role == _DISPLAY:
            return _cell_text(column, change)
        if role == _TIP:
            return as_tip(change.caption)
        if role == _DECORATION and column == CLASS:
            return class_color(change.name)
        if role == _ALIGNMENT and column in (AREA, CONFIDENCE):
            return _RIGHT
        return None

    def _arrange(self) -> None:
        """Filters and sorts; views lose their selection."""
        self.beginResetModel()
        self._rows = [change for change in self._changes if self._matches_filter(change)]
        self._rows.sort(key=_SORT_KEYS[self._column], reverse=self._is_descending)
        self._row_of = {change.feature: row for row, change in enumerate(self._rows)}
        self.endResetModel()

    def _matches_filter(self, change: ChangeRecord) -> bool:
        text = self._filter_text
        if not text or text in change.caption.lower():
            return True
        names = f"{tr(change.name)} {tr(change.change)} {cover_transition(change)}"
        return text in names.lower()


def cover_transition(change: ChangeRecord) -> str:
    """The land covers, such as `low plants → building`; "?" for one that is not known."""
    if not change.before and not change.after:
        return ""
    return " → ".join(tr(cover) if cover else "?" for cover in (change.before, change.after))


def _cell_text(column: int, change: ChangeRecord) -> str:
    if column == CLASS:
        return tr(change.name)
    if column == CHANGE:
        return tr(change.change)
    if column == AREA:
        return formatted_area(change.area_m2)
    if column == CONFIDENCE:
        return f"{100 * change.confidence:.0f} %"
    if column == CAPTION:
        return change.caption
    if column == COVER:
        return cover_transition(change)
    return _MARKS.get(change.review, "")
