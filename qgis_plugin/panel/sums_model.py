"""The Qt model of a table of sums: numbers and areas of changes, sorted and written as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt

from geochg_qgis.formatting import as_tip, class_title, formatted_area, formatted_number
from geochg_qgis.i18n import tr

_NUMBERS = ("features", "count", "area_m2", "step")
_KINDS = ("class", "change", "before_class", "after_class")
_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_TIP = int(Qt.ItemDataRole.ToolTipRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight) | int(Qt.AlignmentFlag.AlignVCenter)
_FORMULAS = ("=", "+", "-", "@")


class SumsModel(QAbstractTableModel):
    """One row for each class, direction, land cover and zone that the worker tells."""

    def __init__(self, parent: Any = None) -> None:  # noqa: ANN401
        super().__init__(parent)
        self.columns: list[str] = []
        self.rows: list[Sequence[Any]] = []

    def set_table(self, table: Mapping[str, Any], omitted: Sequence[str] = ()) -> None:
        """Shows a table of the worker's: `columns`, and `data` of as many values a row.

        Args:
            table: The table; empty for none.
            omitted: Columns that are not shown.
        """
        names = [str(name) for name in table.get("columns", ())]
        numbers = [number for number, name in enumerate(names) if name not in omitted]
        self.beginResetModel()
        self.columns = [names[number] for number in numbers]
        self.rows = [[row[number] for number in numbers] for row in table.get("data", ())]
        self.endResetModel()

    def text(self, rows: Iterable[int] | None = None) -> str:
        """Rows as text with tabs between cells, for the clipboard; all of them where None is given.

        Numbers have no separators, and texts that a spreadsheet would compute an apostrophe.
        """
        numbers = range(len(self.rows)) if rows is None else rows
        lines = [self.columns, *([_plain(value) for value in self.rows[row]] for row in numbers)]
        return "\n".join("\t".join(line) for line in lines) + "\n"

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - as Qt calls it
        """Number of rows."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of columns."""
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:  # noqa: ANN401
        """The titles of columns."""
        if orientation != Qt.Orientation.Horizontal or role != _DISPLAY:
            return None
        return _titles().get(self.columns[section], self.columns[section])

    def data(self, index: QModelIndex, role: int = _DISPLAY) -> Any:  # noqa: ANN401
        """A cell in the user's language and with the numbers of their locale."""
        if not index.isValid():
            return None
        name, value = self.columns[index.column()], self.rows[index.row()][index.column()]
        if role == _ALIGNMENT:
            return _RIGHT if name in _NUMBERS else None
        if role not in (_DISPLAY, _TIP):
            return None
        text = _shown(name, value)
        return as_tip(text) if role == _TIP and text else text

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts the rows; those without a value come last, equal ones keep their order."""
        if not 0 <= column < len(self.columns):
            return
        self.layoutAboutToBeChanged.emit()
        valued_rows = [row for row in self.rows if row[column] not in (None, "")]
        missing = [row for row in self.rows if row[column] in (None, "")]
        name = self.columns[column]
        is_number = name in _NUMBERS
        valued_rows.sort(
            key=lambda row: row[column] if is_number else _shown(name, row[column]).lower(),
            reverse=order == Qt.SortOrder.DescendingOrder,
        )
        self.rows = [*valued_rows, *missing]
        self.layoutChanged.emit()


def _titles() -> dict[str, str]:
    return {
        "zone": tr("Zone"),
        "class": tr("Class"),
        "change": tr("Change"),
        "before_class": tr("From"),
        "after_class": tr("To"),
        "features": tr("Changes"),
        "count": tr("Changes"),
        "area_m2": tr("Area"),
        "step": tr("Step"),
        "from_date": tr("From date"),
        "to_date": tr("To date"),
    }


def _shown(name: str, value: Any) -> str:  # noqa: ANN401
    if name == "zone":
        return str(value) if value else tr("outside all zones")
    if value is None:
        return ""
    if name == "area_m2":
        return formatted_area(float(value))
    if name in _NUMBERS:
        return formatted_number(float(value))
    if name == "change":
        return tr(str(value))
    return class_title(str(value)) if name in _KINDS else str(value)


def _plain(value: Any) -> str:  # noqa: ANN401
    """A cell as spreadsheets take it from the clipboard."""
    if value is None:
        return ""
    text = " ".join(str(value).split())
    is_formula = isinstance(value, str) and text.startswith(_FORMULAS)
    return f"'{text}" if is_formula else text
