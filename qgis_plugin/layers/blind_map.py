"""What the map says of changes, hidden on QGIS's map while a sample is judged."""

from __future__ import annotations

from qgis.core import QgsProject

from geochg_qgis.layers.heatmaps import heatmaps_in_project
from geochg_qgis.layers.result_layers import results_in_project


class BlindMap:
    """Hides results and heatmaps in the layer tree, and shows those that it hid again."""

    def __init__(self) -> None:
        self._hidden_ids: list[str] = []

    def hide(self) -> None:
        """Hides what is shown of results."""
        root = QgsProject.instance().layerTreeRoot()
        for layer in (*results_in_project(), *heatmaps_in_project()):
            node = root.findLayer(layer.id())
            if node is not None and node.itemVisibilityChecked():
                node.setItemVisibilityChecked(False)
                self._hidden_ids.append(layer.id())

    def show(self) -> None:
        """Shows again what was hidden, as far as it is still there."""
        root = QgsProject.instance().layerTreeRoot()
        hidden_ids, self._hidden_ids = self._hidden_ids, []
        for node in map(root.findLayer, hidden_ids):
            if node is not None:
                node.setItemVisibilityChecked(True)
