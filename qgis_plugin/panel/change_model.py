"""The changes of a result as a table that sorts and filters itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt

from geochg_qgis.layers.changes import Change
from geochg_qgis.layers.fields import ACCEPTED, REJECTED
from geochg_qgis.layers.style import class_color
from geochg_qgis.panel.markup import as_tip
from geochg_qgis.words import area_in_words, tr

CLASS, CHANGE, AREA, CONFIDENCE, CAPTION, STATE, COVER = range(7)

_MARKS = {ACCEPTED: "✓", REJECTED: "✗"}

# Numbers, because a look-up of Qt's enums at each of a table's many calls takes as long as the
# answer.
_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_DECORATION = int(Qt.ItemDataRole.DecorationRole)
_TIP = int(Qt.ItemDataRole.ToolTipRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight) | int(Qt.AlignmentFlag.AlignVCenter)

_SORTED_BY: dict[int, Callable[[Change], Any]] = {
    CLASS: lambda change: tr(change.name).lower(),
    CHANGE: lambda change: tr(change.change).lower(),
    AREA: lambda change: change.area_m2,
    CONFIDENCE: lambda change: change.confidence,
    CAPTION: lambda change: change.caption.lower(),
    STATE: lambda change: change.review,
    COVER: lambda change: cover_words(change).lower(),
}


class ChangeModel(QAbstractTableModel):
    """One row a change.

    It sorts and filters in Python, without one of Qt's proxies: those ask for each cell that they
    compare, which takes seconds where there are thousands of changes.
    """

    def __init__(self, parent: Any = None) -> None:  # noqa: ANN401
        super().__init__(parent)
        self._changes: list[Change] = []
        self._rows: list[Change] = []
        self._row_of: dict[int, int] = {}
        self._column, self._is_descending = AREA, True
        self._words = ""

    @property
    def total(self) -> int:
        """Changes, with those that the filter hides."""
        return len(self._changes)

    @property
    def tells_covers(self) -> bool:
        """Whether any change says what the ground was or is."""
        return any(change.before or change.after for change in self._changes)

    def set_changes(self, changes: Iterable[Change]) -> None:
        """Shows other changes; the same ones again are no reason to reset."""
        changes = list(changes)
        if changes != self._changes:
            self._changes = changes
            self._arrange()

    def set_words(self, words: str) -> None:
        """Shows those that have it in class, direction or caption, however it is written."""
        self._words = words.strip().lower()
        self._arrange()

    def update(self, asked: Collection[int], found: Iterable[Change]) -> None:
        """Takes some changes as they are now; those asked for and not found are dropped."""
        new = {change.feature: change for change in found}
        gone = set(asked) - set(new)
        self._changes = [
            new.get(change.feature, change)
            for change in self._changes
            if change.feature not in gone
        ]
        if any(feature in self._row_of for feature in gone):
            self._arrange()
            return
        # They keep their rows, in which the user sees them.
        rows = sorted(self._row_of[feature] for feature in new if feature in self._row_of)
        for row in rows:
            self._rows[row] = new[self._rows[row].feature]
        if rows:
            self.dataChanged.emit(self.index(rows[0], 0), self.index(rows[-1], COVER))

    def at(self, row: int) -> Change:
        """The change in a row."""
        return self._rows[row]

    def row_of(self, feature: int) -> int:
        """The row that shows a feature; -1 when none does."""
        return self._row_of.get(feature, -1)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts by a column; called by the table."""
        if column in _SORTED_BY:
            self._column = column
            self._is_descending = order == Qt.SortOrder.DescendingOrder
            self._arrange()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Columns."""
        return 7

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:  # noqa: ANN401
        """Their names."""
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
        """A cell."""
        change, column = self._rows[index.row()], index.column()
        if role == _DISPLAY:
            return _shown(column, change)
        if role == _TIP:
            return as_tip(change.caption)
        if role == _DECORATION and column == CLASS:
            return class_color(change.name)
        if role == _ALIGNMENT and column in (AREA, CONFIDENCE):
            return _RIGHT
        return None

    def _arrange(self) -> None:
        """Filters and sorts; whoever shows it chooses its rows anew."""
        self.beginResetModel()
        self._rows = [change for change in self._changes if self._is_sought(change)]
        self._rows.sort(key=_SORTED_BY[self._column], reverse=self._is_descending)
        self._row_of = {change.feature: row for row, change in enumerate(self._rows)}
        self.endResetModel()

    def _is_sought(self, change: Change) -> bool:
        words = self._words
        return (
            not words
            or words in change.caption.lower()
            or words in f"{tr(change.name)} {tr(change.change)} {cover_words(change)}".lower()
        )


def cover_words(change: Change) -> str:
    """What the ground was and is, such as `low plants → building`; "?" where that is not known."""
    if not change.before and not change.after:
        return ""
    return " → ".join(tr(cover) if cover else "?" for cover in (change.before, change.after))


def _shown(column: int, change: Change) -> str:
    if column == CLASS:
        return tr(change.name)
    if column == CHANGE:
        return tr(change.change)
    if column == AREA:
        return area_in_words(change.area_m2)
    if column == CONFIDENCE:
        return f"{100 * change.confidence:.0f} %"
    if column == CAPTION:
        return change.caption
    if column == COVER:
        return cover_words(change)
    return _MARKS.get(change.review, "")
