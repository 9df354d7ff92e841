"""Styles that are saved with a layer's file, which QGIS opens the file with."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsVectorLayer

GEOPACKAGE = "GPKG"
"""How QGIS names the format that holds styles itself."""

_NAME = "geochg"


def save_default_style(layer: QgsVectorLayer, mark: str = "") -> None:
    """Saves the style of a layer from a file where QGIS looks for it; for any thread.

    Args:
        layer: The layer, of a GeoPackage or of a file of its own.
        mark: What a style beside a file holds that may be replaced; empty where none may be.
    """
    if layer.dataProvider().storageType() == GEOPACKAGE:
        _save_in_geopackage(layer)
    else:
        _save_beside(layer, Path(layer.source().partition("|")[0]), mark)


def _save_in_geopackage(layer: QgsVectorLayer) -> None:
    """Saves the style; one of the same name, of a layer that was replaced, is removed before.

    QGIS 3.22 would ask in a window whether to replace it, also on a thread and in a model.
    """
    _, ids, names, _, _ = layer.listStylesInDatabase()
    for style_id, name in zip(ids, names):
        if name == _NAME:
            layer.deleteStyleFromDatabase(style_id)
    layer.saveStyleToDatabase(_NAME, "", True, "")


def _save_beside(layer: QgsVectorLayer, file: Path, mark: str) -> None:
    style = file.with_suffix(".qml")
    try:
        is_free = not style.exists()
        if not is_free and mark:
            is_free = mark in style.read_text(encoding="utf-8", errors="ignore")
    except OSError:
        return
    if is_free:
        layer.saveNamedStyle(str(style))
