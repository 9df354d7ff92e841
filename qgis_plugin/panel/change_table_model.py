"""The Qt model of a result's changes, which sorts and filters them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt

from geochg_qgis.formatting import as_tip, class_title, formatted_area, formatted_share
from geochg_qgis.i18n import tr
from geochg_qgis.layers.changes import ChangeRecord
from geochg_qgis.layers.result_fields import ACCEPTED, REJECTED
from geochg_qgis.layers.style import color_among, layer_colors

CLASS, AREA, CONFIDENCE, CAPTION, STATE, COVER = range(6)

SHOWN, UNDECIDED, HIDDEN = "shown", "undecided", "hidden"
"""What the list may show beside `accepted` and `rejected`: all that the slider leaves, those not
decided, and those that the slider hides."""

_MARKS = {ACCEPTED: "✓", REJECTED: "✗"}
_MAX_REMOVALS = 50
"""Rows that are removed one by one; of more, the model is reset."""

# Numbers, because to look up Qt's enums at each of the view's many calls takes as long as the
# rest of the call.
_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_DECORATION = int(Qt.ItemDataRole.DecorationRole)
_TIP = int(Qt.ItemDataRole.ToolTipRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight) | int(Qt.AlignmentFlag.AlignVCenter)

_SORT_KEYS: dict[int, Callable[[ChangeRecord], Any]] = {
    CLASS: lambda change: (class_title(change.name).lower(), tr(change.change).lower()),
    AREA: lambda change: change.area_m2,
    CONFIDENCE: lambda change: -1.0 if change.confidence is None else change.confidence,
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
        self._colors = layer_colors(None)
        self._changes: list[ChangeRecord] = []
        self._rows: list[ChangeRecord] = []
        self._row_of: dict[int, int] = {}
        self._sorting = [(AREA, True)]
        self._filter_text, self._state, self._least = "", SHOWN, 0.0
        self._texts: dict[int, str] = {}
        self._position_of: dict[int, int] = {}
        self._counted: tuple[int, int] | None = None

    @property
    def total(self) -> int:
        """Number of changes, with those that the filters hide."""
        return len(self._changes)

    @property
    def hidden_count(self) -> int:
        """Number of changes that the slider hides."""
        return self._counts()[0]

    @property
    def undecided_count(self) -> int:
        """Number of changes that the slider leaves and no one has decided on."""
        return self._counts()[1]

    @property
    def has_covers(self) -> bool:
        """Whether any change has a land cover."""
        return any(change.before or change.after for change in self._changes)

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Takes the colours of a result, whose changes come later."""
        self._colors = layer_colors(layer)
        self.set_changes([])

    def set_changes(self, changes: Iterable[ChangeRecord]) -> None:
        """Sets the changes; unless they are the same, sorts them and resets the model."""
        changes = list(changes)
        if len(changes) != len(self._changes) or not all(map(self._has, changes)):
            self._keep(self._sorted(changes))
            self._texts.clear()
            self._arrange()

    def set_filter_text(self, text: str) -> None:
        """Shows the changes that have a text in class, direction, land covers or caption."""
        self._filter_text = text.strip().lower()
        self._arrange()

    def set_state(self, state: str) -> None:
        """Shows the changes of a state: `SHOWN`, `UNDECIDED`, `HIDDEN`, accepted or rejected."""
        self._state = state
        self._arrange()

    def set_least_confidence(self, percent: int) -> None:
        """Counts changes below a confidence as hidden."""
        least = round(percent / 100, 2)
        if least != self._least:
            self._least, self._counted = least, None
            self._arrange()

    def update(self, features: Collection[int], changes: Iterable[ChangeRecord]) -> None:
        """Replaces or adds the changes of some features, and drops those of features without."""
        new = {change.feature: change for change in changes}
        gone_ids = {f for f in features if f in self._position_of and f not in new}
        added_changes = [change for f, change in new.items() if f not in self._position_of]
        for feature in features:
            self._texts.pop(feature, None)
        for feature, change in new.items():
            if feature in self._position_of:
                self._changes[self._position_of[feature]] = change
        if gone_ids or added_changes:
            left_changes = [change for change in self._changes if change.feature not in gone_ids]
            self._keep(self._sorted([*left_changes, *added_changes]))
        self._counted = None
        rows = sorted(self._row_of[feature] for feature in new if feature in self._row_of)
        comes_in = any(self._is_shown(new[f]) for f in new if f not in self._row_of)
        leaving_rows = [row for row in rows if not self._is_shown(new[self._rows[row].feature])]
        is_small = len(leaving_rows) <= _MAX_REMOVALS
        if comes_in or not is_small or any(f in self._row_of for f in gone_ids):
            self._arrange()
            return
        # The others keep their rows, in which the user sees them.
        for row in rows:
            self._rows[row] = new[self._rows[row].feature]
        if rows:
            self.dataChanged.emit(self.index(rows[0], 0), self.index(rows[-1], COVER))
        for row in reversed(leaving_rows):
            self.beginRemoveRows(QModelIndex(), row, row)
            del self._rows[row]
            self.endRemoveRows()
        if leaving_rows:
            self._row_of = {change.feature: row for row, change in enumerate(self._rows)}

    def at(self, row: int) -> ChangeRecord:
        """The change in a row."""
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
        for change in (*self._rows[row + 1 :], *self._rows[: row + 1]):
            if not change.review and change.feature not in passed:
                return change.feature
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts by a column; called by the table. Equal rows keep their former order."""
        if column in _SORT_KEYS:
            former = [key for key in self._sorting if key[0] != column]
            self._sorting = [*former, (column, order == Qt.SortOrder.DescendingOrder)]
            self._keep(self._sorted(self._changes))
            self._arrange()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of columns."""
        return 6

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:  # noqa: ANN401
        """Title of a column, and what it holds as its tool tip."""
        if orientation != Qt.Orientation.Horizontal or role not in (_DISPLAY, _TIP):
            return None
        titles = _titles()[section]
        return titles[0] if role == _DISPLAY else as_tip(titles[1])

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Text, colour, tool tip or alignment of a cell."""
        change, column = self._rows[index.row()], index.column()
        if role == _DISPLAY:
            return _cell_text(column, change)
        if role == _TIP:
            return as_tip(change.caption)
        if role == _DECORATION and column == CLASS:
            return color_among(self._colors, change.name)
        if role == _ALIGNMENT and column in (AREA, CONFIDENCE):
            return _RIGHT
        if role == _ACCESSIBLE and column == STATE:
            return tr((change.review or UNDECIDED).capitalize())
        return None

    def _has(self, change: ChangeRecord) -> bool:
        place = self._position_of.get(change.feature, -1)
        return place >= 0 and self._changes[place] == change

    def _keep(self, changes: list[ChangeRecord]) -> None:
        """Keeps changes, which are sorted."""
        self._changes, self._counted = changes, None
        self._position_of = {change.feature: place for place, change in enumerate(changes)}

    def _counts(self) -> tuple[int, int]:
        """Numbers of the hidden and of the undecided changes, counted once after each edit."""
        if self._counted is None:
            listed_changes = [change for change in self._changes if not self._is_below(change)]
            undecided_count = sum(not change.review for change in listed_changes)
            self._counted = len(self._changes) - len(listed_changes), undecided_count
        return self._counted

    def _sorted(self, changes: Iterable[ChangeRecord]) -> list[ChangeRecord]:
        """Changes by the column clicked last, then by those clicked before."""
        rows = list(changes)
        for column, is_descending in self._sorting:
            rows.sort(key=_SORT_KEYS[column], reverse=is_descending)
        return rows

    def _arrange(self) -> None:
        """Filters; views lose their selection."""
        self.beginResetModel()
        self._rows = [change for change in self._changes if self._is_shown(change)]
        self._row_of = {change.feature: row for row, change in enumerate(self._rows)}
        self.endResetModel()

    def _is_below(self, change: ChangeRecord) -> bool:
        """Whether the slider hides a change; not where its confidence was not measured."""
        return change.confidence is not None and change.confidence < self._least

    def _is_shown(self, change: ChangeRecord) -> bool:
        if self._is_below(change) != (self._state == HIDDEN):
            return False
        review = change.review or UNDECIDED
        if self._state not in (SHOWN, HIDDEN) and self._state != review:
            return False
        return not self._filter_text or self._filter_text in self._searched_text(change)

    def _searched_text(self, change: ChangeRecord) -> str:
        text = self._texts.get(change.feature)
        if text is None:
            names = f"{class_title(change.name)} {tr(change.change)} {cover_transition(change)}"
            text = self._texts[change.feature] = f"{names}\n{change.caption}".lower()
        return text


def state_texts() -> list[tuple[str, str]]:
    """The states that the list may show, with their names for the user."""
    return [
        (SHOWN, tr("All")),
        (UNDECIDED, tr("Undecided")),
        (ACCEPTED, tr("Accepted")),
        (REJECTED, tr("Rejected")),
        (HIDDEN, tr("Below the slider")),
    ]


def cover_transition(change: ChangeRecord) -> str:
    """The land covers, such as `low plants → building`; "?" for one that is not known."""
    if not change.before and not change.after:
        return ""
    return " → ".join(
        class_title(cover) if cover else "?" for cover in (change.before, change.after)
    )


def _titles() -> tuple[tuple[str, str], ...]:
    """Title and description of each column."""
    return (
        (tr("Class"), tr("Class of the change, and what happened to it")),
        (tr("Area"), tr("Area on the ground")),
        (tr("Sure"), tr("Confidence of the model")),
        (tr("Caption"), tr("What the model says of the change")),
        ("✓", tr("Decision: ✓ accepted, ✗ rejected")),
        (tr("Ground"), tr("Land cover before and after")),
    )


def _cell_text(column: int, change: ChangeRecord) -> str:
    if column == CLASS:
        return f"{class_title(change.name)}\n{tr(change.change)}"
    if column == AREA:
        return formatted_area(change.area_m2)
    if column == CONFIDENCE:
        return formatted_share(change.confidence)
    if column == CAPTION:
        return change.caption
    if column == COVER:
        return cover_transition(change).replace(" → ", "\n→ ")
    return _MARKS.get(change.review, "")
