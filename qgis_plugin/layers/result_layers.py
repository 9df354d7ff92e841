"""The layers of a result: opened, styled, put into a group with their sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from geochg_qgis.i18n import tr
from geochg_qgis.layers.review_edits import add_review_fields
from geochg_qgis.layers.style import apply_style
from geochg_qgis.layers.temporal import PairTimes, set_time
from geochg_qgis.link.errors import LinkError

RESULT = "geochg/result"
"""Property that marks a layer as a result."""

BEFORE, AFTER, OPTIONS = "geochg/before", "geochg/after", "geochg/options"
"""Properties of a result: the ids of its images' layers, and the options of the run."""


def open_result(path: Path, name: str, times: PairTimes | None = None) -> QgsVectorLayer:
    """Opens a result, adds the fields for a review, and writes its style as the file's default.

    For any thread, so that a slow disk does not block the main one; the layer is moved to that.

    Args:
        path: Path of the GeoPackage.
        name: Name for the layer.
        times: Dates of the pair, where they are known.

    Raises:
        LinkError: If the result cannot be opened or changed.
    """
    layer = QgsVectorLayer(f"{path}|layername=changes", name, "ogr")
    if not layer.isValid():
        raise LinkError(tr("{} cannot be opened").format(path), tr("see the log, and run it again"))
    add_review_fields(layer)
    apply_style(layer)
    if times is not None:
        # Changes show at the later date.
        set_time(layer, times.after)
    layer.setCustomProperty(RESULT, True)
    layer.saveStyleToDatabase("geochg", "", True, "")
    layer.moveToThread(QgsApplication.instance().thread())
    return layer


def open_heatmap(path: Path, name: str) -> QgsRasterLayer | None:
    """Opens a heatmap, whose values QGIS reads through first; for any thread.

    Args:
        path: Path of the raster.
        name: Name for the layer.

    Returns:
        The layer, moved to the main thread; None where there is no such raster.
    """
    layer = QgsRasterLayer(str(path), name)
    if not layer.isValid():
        return None
    layer.moveToThread(QgsApplication.instance().thread())
    return layer


def placement_steps(
    layer: QgsVectorLayer, before: str, after: str, heatmap: QgsRasterLayer | None
) -> Iterator[Callable[[], object]]:
    """Steps that put a result into a group of its own on top, with the two images below it.

    Each keeps QGIS busy, so that the window should handle its events between them. The images are
    moved only if they are still in the project; one in another group stays there, too.

    Args:
        layer: Layer of the result.
        before: Id of the earlier image's layer.
        after: Id of the later image's layer.
        heatmap: Layer to put below the result, switched off; None for none.
    """
    project, name = QgsProject.instance(), layer.name()
    group: list[QgsLayerTreeGroup] = []
    yield lambda: project.addMapLayer(layer, False)
    yield lambda: group.append(project.layerTreeRoot().insertGroup(0, name))
    yield lambda: group[0].addLayer(layer)
    if heatmap is not None:
        yield lambda: project.addMapLayer(heatmap, False)
        yield lambda: group[0].addLayer(heatmap).setItemVisibilityChecked(False)
    for image in (after, before):
        yield lambda image=image: _move_into(group[0], image)


def results_in_project() -> list[QgsVectorLayer]:
    """The layers of the project that are results."""
    layers = QgsProject.instance().mapLayers().values()
    return [
        layer
        for layer in layers
        if isinstance(layer, QgsVectorLayer) and layer.customProperty(RESULT)
    ]


def source_layer(result: QgsMapLayer, date: str) -> QgsRasterLayer | None:
    """The image of a result at a date (`BEFORE`, `AFTER`), if it is still in the project."""
    layer = QgsProject.instance().mapLayer(str(result.customProperty(date) or ""))
    return layer if isinstance(layer, QgsRasterLayer) else None


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
