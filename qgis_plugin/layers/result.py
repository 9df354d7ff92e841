"""A result on the map: in a group with its sources, styled, ready for a review."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from geochg_qgis.layers.times import PairTimes, set_time
from geochg_qgis.link.errors import LinkError
from geochg_qgis.words import tr

RESULT = "geochg/result"
"""Property of a layer that is a result: its confidence filter and sources follow."""

BEFORE, AFTER, OPTIONS = "geochg/before", "geochg/after", "geochg/options"


def ready_layer(path: Path, name: str, times: PairTimes | None = None) -> QgsVectorLayer:
    """Opens a result: with the fields for a review, and its style kept as the file's default.

    For any thread, so that a slow disk does not block the main one, whose the layer is then.

    Args:
        path: The GeoPackage.
        name: What the layer is called.
        times: When the pair was taken, where that is known.

    Raises:
        LinkError: If it cannot be opened or changed.
    """
    layer = QgsVectorLayer(f"{path}|layername=changes", name, "ogr")
    if not layer.isValid():
        raise LinkError(tr("{} cannot be opened").format(path), tr("see the log, and run it again"))
    _add_review(layer)
    apply_style(layer)
    if times is not None:
        # What changed is seen from the later date on.
        set_time(layer, times.after)
    layer.setCustomProperty(RESULT, True)
    layer.saveStyleToDatabase("geochg", "", True, "")
    layer.moveToThread(QgsApplication.instance().thread())
    return layer


def ready_heatmap(path: Path, name: str) -> QgsRasterLayer | None:
    """Opens a heatmap, whose values QGIS looks through first; for any thread.

    Args:
        path: The raster.
        name: What the layer is called.

    Returns:
        The layer, which is the main thread's then; None where there is no such raster.
    """
    layer = QgsRasterLayer(str(path), name)
    if not layer.isValid():
        return None
    layer.moveToThread(QgsApplication.instance().thread())
    return layer


def placing(
    layer: QgsVectorLayer, before: str, after: str, heatmap: QgsRasterLayer | None
) -> Iterator[Callable[[], object]]:
    """The steps that put a result into a group of its own on top, with the two images below it.

    Each makes QGIS do much, so that the window is to be served between them. The images are taken
    along only if they are in the project by then; one that lies in another group stays there, too.

    Args:
        layer: The result.
        before: Id of the earlier image's layer.
        after: Id of the later one's.
        heatmap: Goes below the result, switched off.
    """
    project, name = QgsProject.instance(), layer.name()
    group: list[QgsLayerTreeGroup] = []
    yield lambda: project.addMapLayer(layer, False)
    yield lambda: group.append(project.layerTreeRoot().insertGroup(0, name))
    yield lambda: group[0].addLayer(layer)
    if heatmap is not None:
        yield lambda: project.addMapLayer(heatmap, False)
        yield lambda: group[0].addLayer(heatmap).setItemVisibilityChecked(False)
    for source in (after, before):
        yield lambda source=source: _move_into(group[0], source)


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


def _move_into(group: QgsLayerTreeGroup, layer_id: str) -> None:
    """Moves a layer's node, unless it lies in another group already."""
    project = QgsProject.instance()
    layer, root = project.mapLayer(layer_id), project.layerTreeRoot()
    if layer is None:
        return
    node = root.findLayer(layer_id)
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
