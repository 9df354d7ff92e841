"""The changes of a result as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qgis.core import NULL, QgsFeatureRequest, QgsVectorLayer
from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt

from geochg_qgis.layers.fields import ACCEPTED, REJECTED, REVIEW, REVIEW_CLASS
from geochg_qgis.layers.style import class_color
from geochg_qgis.panel.markup import as_tip
from geochg_qgis.words import tr

CLASS, CHANGE, AREA, CONFIDENCE, CAPTION, STATE = range(6)

SORT_ROLE = Qt.ItemDataRole.UserRole
ID_ROLE = Qt.ItemDataRole.UserRole + 1

_MARKS = {ACCEPTED: "✓", REJECTED: "✗"}
_FIELDS = ("class", "change", "area_m2", "confidence", "caption", REVIEW, REVIEW_CLASS)


class ChangeModel(QAbstractTableModel):
    """One row a change; reads the layer anew on `load`, or rows of it on `reread`."""

    def __init__(self, parent: Any = None) -> None:  # noqa: ANN401
        super().__init__(parent)
        self._rows: list[tuple[int, dict[str, Any]]] = []
        self._row_of: dict[int, int] = {}

    def load(self, layer: QgsVectorLayer | None) -> None:
        """Reads a layer, without its shapes."""
        self.beginResetModel()
        self._rows = []
        if layer is not None and layer.isValid():
            features = layer.getFeatures(_request(layer))
            self._rows = [(each.id(), _values(each)) for each in features]
        self._row_of = {number: row for row, (number, _) in enumerate(self._rows)}
        self.endResetModel()

    def reread(self, layer: QgsVectorLayer, features: Iterable[int]) -> None:
        """Reads features anew; those that are no rows are passed over."""
        request = _request(layer).setFilterFids(list(features))
        changed = []
        for each in layer.getFeatures(request):
            row = self.row_of(each.id())
            if row >= 0:
                self._rows[row] = (each.id(), _values(each))
                changed.append(row)
        # Who shows this sorts anew at each signal: one for all, however far apart they are.
        if changed:
            last = self.columnCount() - 1
            self.dataChanged.emit(self.index(min(changed), 0), self.index(max(changed), last))

    def feature_ids(self) -> list[int]:
        """Of the rows, in order."""
        return [number for number, _ in self._rows]

    def row_of(self, feature: int) -> int:
        """The row of a feature; -1 when there is none."""
        return self._row_of.get(feature, -1)

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Columns."""
        return 6

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:  # noqa: ANN401
        """Their names."""
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return (tr("Class"), tr("Change"), tr("Area"), tr("Sure"), tr("Caption"), "✓")[section]

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """A cell."""
        number, values = self._rows[index.row()]
        column = index.column()
        if role == ID_ROLE:
            return number
        if role == SORT_ROLE:
            return _sorted_by(column, values)
        if role == Qt.ItemDataRole.DisplayRole:
            return _shown(column, values)
        if role == Qt.ItemDataRole.ToolTipRole:
            return as_tip(_shown(CAPTION, values))
        if role == Qt.ItemDataRole.DecorationRole and column == CLASS:
            return class_color(_class(values))
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (AREA, CONFIDENCE):
            return int(Qt.AlignmentFlag.AlignRight) | int(Qt.AlignmentFlag.AlignVCenter)
        return None


class ChangeFilter(QSortFilterProxyModel):
    """The table, sorted, and filtered by text in any column."""

    def __init__(self, model: ChangeModel, parent: Any = None) -> None:  # noqa: ANN401
        super().__init__(parent)
        self.setSourceModel(model)
        self.setSortRole(SORT_ROLE)
        self.setFilterKeyColumn(-1)
        self.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)

    def row_of(self, feature: int) -> int:
        """The row that shows a feature; -1 when none does."""
        source = self.sourceModel()
        # The index of no row is invalid here and there.
        return int(self.mapFromSource(source.index(source.row_of(feature), 0)).row())


def _request(layer: QgsVectorLayer) -> QgsFeatureRequest:
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    return request.setSubsetOfAttributes(list(_FIELDS), layer.fields())


def _values(feature: Any) -> dict[str, Any]:  # noqa: ANN401
    names = [field.name() for field in feature.fields()]
    given = {name: feature[name] for name in _FIELDS if name in names}
    return {name: None if value == NULL else value for name, value in given.items()}


def _class(values: dict[str, Any]) -> str:
    return str(values.get(REVIEW_CLASS) or values.get("class") or "")


def _sorted_by(column: int, values: dict[str, Any]) -> Any:  # noqa: ANN401
    if column == AREA:
        return float(values.get("area_m2") or 0)
    if column == CONFIDENCE:
        return float(values.get("confidence") or 0)
    return _shown(column, values)


def _shown(column: int, values: dict[str, Any]) -> str:
    if column == CLASS:
        return tr(_class(values))
    if column == CHANGE:
        return tr(str(values.get("change") or ""))
    if column == AREA:
        area = float(values.get("area_m2") or 0)
        return f"{area / 1e4:,.2f} ha" if area >= 1e4 else f"{area:,.0f} m²"
    if column == CONFIDENCE:
        return f"{100 * float(values.get('confidence') or 0):.0f} %"
    if column == CAPTION:
        return str(values.get("caption") or "")
    return _MARKS.get(str(values.get(REVIEW) or ""), "")
