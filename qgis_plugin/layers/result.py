"""A result on the map: in a group with its sources, styled, ready for a review."""

from __future__ import annotations

from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsField,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

from geochg_qgis.layers.fields import REVIEW, REVIEW_CLASS
from geochg_qgis.layers.style import apply_style
from geochg_qgis.link.errors import LinkError
from geochg_qgis.words import tr

RESULT = "geochg/result"
"""Property of a layer that is a result: its confidence filter and sources follow."""

BEFORE, AFTER, OPTIONS = "geochg/before", "geochg/after", "geochg/options"


def ready_layer(path: Path, name: str) -> QgsVectorLayer:
    """Opens a result: with the fields for a review, and its style kept as the file's default.

    For any thread, so that a slow disk does not block the main one, whose the layer is then.

    Args:
        path: The GeoPackage.
        name: What the layer is called.

    Raises:
        LinkError: If it cannot be opened or changed.
    """
    layer = QgsVectorLayer(f"{path}|layername=changes", name, "ogr")
    if not layer.isValid():
        raise LinkError(tr("{} cannot be opened").format(path), tr("see the log, and run it again"))
    _add_review(layer)
    apply_style(layer)
    layer.setCustomProperty(RESULT, True)
    layer.saveStyleToDatabase("geochg", "", True, "")
    layer.moveToThread(QgsApplication.instance().thread())
    return layer


def add_result(
    layer: QgsVectorLayer, before: QgsMapLayer | None, after: QgsMapLayer | None
) -> QgsLayerTreeGroup:
    """Puts a result into a group of its own on top, with the two images below it.

    The images are taken along only if they are in the project; they stay where they are, too.
    """
    project = QgsProject.instance()
    project.addMapLayer(layer, False)
    group = project.layerTreeRoot().insertGroup(0, layer.name())
    group.addLayer(layer)
    for source in (after, before):
        if source is not None and project.mapLayer(source.id()) is not None:
            _move_into(group, source)
    return group


def results_in_project() -> list[QgsVectorLayer]:
    """The layers that are results."""
    layers = QgsProject.instance().mapLayers().values()
    return [
        layer
        for layer in layers
        if isinstance(layer, QgsVectorLayer) and layer.customProperty(RESULT)
    ]


def source_of(layer: QgsMapLayer, which: str) -> QgsRasterLayer | None:
    """The image a result was made of, if it is still in the project."""
    found = QgsProject.instance().mapLayer(str(layer.customProperty(which) or ""))
    return found if isinstance(found, QgsRasterLayer) else None


def _move_into(group: QgsLayerTreeGroup, layer: QgsMapLayer) -> None:
    """Moves a layer's node, unless it lies in another group already."""
    root = QgsProject.instance().layerTreeRoot()
    node = root.findLayer(layer.id())
    if node is None or node.parent() is not root:
        group.addLayer(layer)
        return
    copy = node.clone()
    group.addChildNode(copy)
    root.removeChildNode(node)


def _add_review(layer: QgsVectorLayer) -> None:
    there = {field.name() for field in layer.fields()}
    missing = [
        QgsField(name, QVariant.String) for name in (REVIEW, REVIEW_CLASS) if name not in there
    ]
    if missing and not layer.dataProvider().addAttributes(missing):
        raise LinkError(
            tr("{} cannot be changed").format(layer.source()),
            tr("check that nothing else has it open, and its permissions"),
        )
    layer.updateFields()
