"""The Qt model that lists of changes and of sample units share: it sorts and filters records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt

from geochg_qgis.formatting import as_tip
from geochg_qgis.layers.record_reader import FeatureRecord

DISPLAY = int(Qt.ItemDataRole.DisplayRole)
DECORATION = int(Qt.ItemDataRole.DecorationRole)
TIP = int(Qt.ItemDataRole.ToolTipRole)
ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
RIGHT = int(Qt.AlignmentFlag.AlignRight) | int(Qt.AlignmentFlag.AlignVCenter)
"""Numbers, because to look up Qt's enums at each of the view's many calls takes as long as the
rest of the call."""

_MAX_REMOVALS = 50
"""Rows that are removed one by one; of more, the model is reset."""


class RecordTableModel(QAbstractTableModel):
    """One row a record; a subclass says which are shown and what their cells hold.

    It sorts and filters in Python, without one of Qt's proxies: those request each cell that they
    compare, which takes seconds for thousands of records.

    Args:
        sort_keys: Function by column that gives what a record is sorted by.
        sorting: Column that rows are sorted by at first, and whether that descends.
        parent: Parent object.
    """

    def __init__(
        self,
        sort_keys: Mapping[int, Callable[[Any], Any]],
        sorting: tuple[int, bool],
        parent: Any = None,  # noqa: ANN401
    ) -> None:
        super().__init__(parent)
        self._sort_keys, self._sorting = sort_keys, [sorting]
        self._records: list[Any] = []
        self._rows: list[Any] = []
        self._row_of: dict[int, int] = {}
        self._position_of: dict[int, int] = {}

    def is_shown(self, record: Any) -> bool:  # noqa: ANN401
        """Whether the filters show a record."""
        raise NotImplementedError

    def titles(self) -> tuple[tuple[str, str], ...]:
        """Title and description of each column."""
        raise NotImplementedError

    def forget(self, features: Collection[int]) -> None:
        """Called when some records, or all where none is named, are other ones."""

    @property
    def total(self) -> int:
        """Number of records, with those that the filters hide."""
        return len(self._records)

    @property
    def records(self) -> list[Any]:
        """All records, with those that the filters hide."""
        return self._records

    def set_records(self, records: Iterable[FeatureRecord]) -> None:
        """Sets the records; unless they are the same, sorts them and resets the model."""
        record_list = list(records)
        if len(record_list) != len(self._records) or not all(map(self._has, record_list)):
            self._keep(self._sorted(record_list))
            self.forget(())
            self.arrange()

    def update(self, features: Collection[int], records: Iterable[FeatureRecord]) -> None:
        """Replaces or adds the records of some features, and drops those of features without."""
        new = {record.feature: record for record in records}
        gone_ids = {f for f in features if f in self._position_of and f not in new}
        added_records = [record for f, record in new.items() if f not in self._position_of]
        for feature, record in new.items():
            if feature in self._position_of:
                self._records[self._position_of[feature]] = record
        if gone_ids or added_records:
            left_records = [r for r in self._records if r.feature not in gone_ids]
            self._keep(self._sorted([*left_records, *added_records]))
        self.forget(features)
        rows = sorted(self._row_of[feature] for feature in new if feature in self._row_of)
        comes_in = any(self.is_shown(new[f]) for f in new if f not in self._row_of)
        leaving_rows = [row for row in rows if not self.is_shown(new[self._rows[row].feature])]
        is_small = len(leaving_rows) <= _MAX_REMOVALS
        if comes_in or not is_small or any(f in self._row_of for f in gone_ids):
            self.arrange()
            return
        # The others keep their rows, in which the user sees them.
        for row in rows:
            self._rows[row] = new[self._rows[row].feature]
        if rows:
            last_column = self.columnCount() - 1
            self.dataChanged.emit(self.index(rows[0], 0), self.index(rows[-1], last_column))
        for row in reversed(leaving_rows):
            self.beginRemoveRows(QModelIndex(), row, row)
            del self._rows[row]
            self.endRemoveRows()
        if leaving_rows:
            self._row_of = {record.feature: row for row, record in enumerate(self._rows)}

    def at(self, row: int) -> Any:  # noqa: ANN401
        """The record in a row."""
        return self._rows[row]

    def row_of(self, feature: int) -> int:
        """The row of a feature; -1 when it is not shown."""
        return self._row_of.get(feature, -1)

    def next_undecided(self, row: int, passed: Collection[int] = ()) -> int | None:
        """The first undecided feature below a row, else from the top; None when there is none.

        Args:
            row: Row to begin below; -1 for the top.
            passed: Features that do not count.
        """
        for record in (*self._rows[row + 1 :], *self._rows[: row + 1]):
            if not record.is_decided and record.feature not in passed:
                return int(record.feature)
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts by a column; called by the table. Equal rows keep their former order."""
        if column in self._sort_keys:
            former = [key for key in self._sorting if key[0] != column]
            self._sorting = [*former, (column, order == Qt.SortOrder.DescendingOrder)]
            self._keep(self._sorted(self._records))
            self.arrange()

    def arrange(self) -> None:
        """Filters; views lose their selection."""
        self.beginResetModel()
        self._rows = [record for record in self._records if self.is_shown(record)]
        self._row_of = {record.feature: row for row, record in enumerate(self._rows)}
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of columns."""
        return len(self._sort_keys)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:  # noqa: ANN401
        """Title of a column, and what it holds as its tool tip."""
        if orientation != Qt.Orientation.Horizontal or role not in (DISPLAY, TIP):
            return None
        title, tip = self.titles()[section]
        return title if role == DISPLAY else as_tip(tip)

    def _has(self, record: FeatureRecord) -> bool:
        place = self._position_of.get(record.feature, -1)
        return bool(place >= 0 and self._records[place] == record)

    def _keep(self, records: list[Any]) -> None:
        """Keeps records, which are sorted."""
        self._records = records
        self._position_of = {record.feature: place for place, record in enumerate(records)}

    def _sorted(self, records: Iterable[Any]) -> list[Any]:
        """Records by the column clicked last, then by those clicked before."""
        rows = list(records)
        for column, is_descending in self._sorting:
            rows.sort(key=self._sort_keys[column], reverse=is_descending)
        return rows
