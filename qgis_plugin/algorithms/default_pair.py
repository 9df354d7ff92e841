"""The images that a dialog of an algorithm shows at first."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QThread

from geochg_qgis.layers.image_identity import images_in_project
from geochg_qgis.link.dates import guessed_pair


def default_pair() -> tuple[str | None, str | None]:
    """Ids of the likeliest layers before and after, else of two different ones; None for none."""
    application = QgsApplication.instance()
    # Models make their algorithms on threads, which must leave the project alone.
    if application is None or QThread.currentThread() != application.thread():
        return None, None
    layers = images_in_project()
    if len(layers) < 2:
        return None, None
    nodes = [node.layerId() for node in QgsProject.instance().layerTreeRoot().findLayers()]
    layers.sort(key=lambda layer: nodes.index(layer.id()) if layer.id() in nodes else len(nodes))
    first, second = guessed_pair([layer.name() for layer in layers]) or (0, 1)
    return layers[first].id(), layers[second].id()
