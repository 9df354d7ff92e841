"""The attribute form and table of a result: aliases, choices, constraints and hidden fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from qgis.core import (
    QgsEditorWidgetSetup,
    QgsExpression,
    QgsFieldConstraints,
    QgsVectorLayer,
)

from geochg_qgis.formatting import class_title
from geochg_qgis.i18n import tr
from geochg_qgis.layers.class_colors import CLASSES
from geochg_qgis.layers.result_fields import (
    ACCEPTED,
    CHANGES,
    COVERS,
    HAND,
    REJECTED,
    REVIEW,
    REVIEW_CLASS,
    SOURCE,
)
from geochg_qgis.layers.sample_fields import (
    NOTE,
    NUMBER,
    REFERENCE_CHANGE,
    REFERENCE_CHANGES,
    REFERENCE_CLASS,
    UNCHANGED,
)

_HIDDEN = ("fid", "cells", "tiles")
_NOTHING = "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}"
"""How QGIS writes NULL among the values of a choice."""


def apply_form(layer: QgsVectorLayer) -> None:
    """Sets the attribute form and table of a result."""
    for name, alias in _aliases().items():
        column = layer.fields().indexFromName(name)
        if column >= 0:
            layer.setFieldAlias(column, alias)
    classes = _with_own(layer, "class", CLASSES)
    _offer(layer, "class", classes, class_title)
    _offer(layer, "change", CHANGES)
    _offer(layer, REVIEW, (ACCEPTED, REJECTED), empty_text=tr("Undecided"))
    _offer(layer, REVIEW_CLASS, classes, class_title, empty_text=tr("As the model says"))
    _offer(layer, SOURCE, (HAND,), empty_text=tr("Model"))
    for name in ("before_class", "after_class"):
        covers = _with_own(layer, name, COVERS)
        _offer(layer, name, covers, class_title, empty_text=tr("Unknown"))
    caption = layer.fields().indexFromName("caption")
    if caption >= 0:
        several_lines = QgsEditorWidgetSetup("TextEdit", {"IsMultiline": True})
        layer.setEditorWidgetSetup(caption, several_lines)
    _hide(layer, _HIDDEN)


def apply_sample_form(layer: QgsVectorLayer, classes: Sequence[str]) -> None:
    """Sets the attribute form and table of a sample.

    Args:
        layer: The sample.
        classes: Classes of the change layer that it was drawn of.
    """
    for name, alias in (
        (NUMBER, tr("Number")),
        (REFERENCE_CLASS, tr("Class of what changed")),
        (REFERENCE_CHANGE, tr("Change")),
        (NOTE, tr("Note")),
    ):
        column = layer.fields().indexFromName(name)
        if column >= 0:
            layer.setFieldAlias(column, alias)
    names = [*classes, *(name for name in CLASSES if name not in classes)]
    own_names = _with_own(layer, REFERENCE_CLASS, names)
    _offer(layer, REFERENCE_CLASS, own_names, class_title, empty_text=tr("Nothing changed"))
    _offer(layer, REFERENCE_CHANGE, REFERENCE_CHANGES, _change_title, empty_text=tr("To judge"))
    _hide(layer, _HIDDEN)


def _change_title(change: str) -> str:
    return tr("Unchanged") if change == UNCHANGED else tr(change)


def _aliases() -> dict[str, str]:
    return {
        "id": tr("Number"),
        "class": tr("Class"),
        "change": tr("Change"),
        "before_class": tr("Ground before"),
        "after_class": tr("Ground after"),
        "from_date": tr("From"),
        "to_date": tr("To"),
        "step": tr("Step"),
        "first_seen": tr("First seen"),
        "last_seen": tr("Last seen"),
        "confidence": tr("Confidence"),
        "change_confidence": tr("Confidence of the direction"),
        "caption": tr("Caption"),
        "count": tr("Count"),
        "area_m2": tr("Area (m²)"),
        REVIEW: tr("Decision"),
        REVIEW_CLASS: tr("Class of the reviewer"),
        SOURCE: tr("Drawn by"),
    }


def _with_own(layer: QgsVectorLayer, field: str, names: Sequence[str]) -> list[str]:
    """Names, and those that occur in the layer besides: models may have classes of their own."""
    column = layer.fields().indexFromName(field)
    values = layer.uniqueValues(column) if column >= 0 else set()
    return [*names, *sorted({str(value) for value in values if value} - set(names))]


def _offer(
    layer: QgsVectorLayer,
    field: str,
    values: Sequence[str],
    title: Callable[[str], str] = tr,
    *,
    empty_text: str | None = None,
) -> None:
    """Offers the values of a field, and refuses others; with `empty_text` it may be empty."""
    column = layer.fields().indexFromName(field)
    if column < 0:
        return
    choices = [{title(value): value} for value in values]
    is_listed = f'"{field}" in ({", ".join(map(QgsExpression.quotedString, values))})'
    if empty_text is None:
        expression = is_listed
    else:
        choices.insert(0, {empty_text: _NOTHING})
        expression = f'"{field}" is null or {is_listed}'
    layer.setEditorWidgetSetup(column, QgsEditorWidgetSetup("ValueMap", {"map": choices}))
    layer.setConstraintExpression(column, expression, tr("One of the choices"))
    layer.setFieldConstraint(
        column,
        QgsFieldConstraints.Constraint.ConstraintExpression,
        QgsFieldConstraints.ConstraintStrength.ConstraintStrengthHard,
    )


def _hide(layer: QgsVectorLayer, names: Iterable[str]) -> None:
    """Leaves fields out of the form and of the table."""
    table = layer.attributeTableConfig()
    table.update(layer.fields())
    columns = table.columns()
    for column in columns:
        if column.name in names:
            column.hidden = True
            index = layer.fields().indexFromName(column.name)
            layer.setEditorWidgetSetup(index, QgsEditorWidgetSetup("Hidden", {}))
    table.setColumns(columns)
    layer.setAttributeTableConfig(table)
