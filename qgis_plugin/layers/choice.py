"""The chosen changes of a result: a variable of its layer, which its style reads.

A style cannot ask safely which features are selected: the map is drawn on other threads.
"""

from __future__ import annotations

from collections.abc import Collection

from qgis.core import QgsExpressionContextUtils, QgsVectorLayer

_VARIABLE = "geochg_chosen"
_ALL = "*"
_MAX_IDS = 200
"""Ids that the style seeks one by one; of longer selections all changes are outlines."""

IS_CHOSEN = (
    f"(coalesce(@{_VARIABLE}, '') = '{_ALL}'"
    f" or strpos(coalesce(@{_VARIABLE}, ''), ',' || $id || ',') > 0)"
)
"""QGIS expression: whether a feature is chosen."""


def mark_choice(layer: QgsVectorLayer, features: Collection[int]) -> None:
    """Tells a result's style which features are chosen."""
    ids = ",".join(map(str, features))
    text = _ALL if len(features) > _MAX_IDS else f",{ids},"
    QgsExpressionContextUtils.setLayerVariable(layer, _VARIABLE, text if features else "")
