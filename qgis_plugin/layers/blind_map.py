"""What the map says of changes, hidden on QGIS's map while a sample is judged."""

from __future__ import annotations

from collections.abc import Iterator

from qgis.core import QgsLayerTreeLayer, QgsProject, QgsRasterLayer

from geochg_qgis.layers.image_identity import AFTER, BEFORE, source_layer
from geochg_qgis.layers.layer_source import gdal_name
from geochg_qgis.layers.result_layers import result_source, results_in_project


class BlindMap:
    """Hides results and their heatmaps in the layer tree, and shows those that it hid again."""

    def __init__(self) -> None:
        self._hidden_ids: list[str] = []

    def hide(self) -> None:
        """Hides what is shown of results."""
        for node in _result_nodes():
            if node.itemVisibilityChecked():
                node.setItemVisibilityChecked(False)
                self._hidden_ids.append(node.layerId())

    def show(self) -> None:
        """Shows again what was hidden, as far as it is still there."""
        root = QgsProject.instance().layerTreeRoot()
        hidden_ids, self._hidden_ids = self._hidden_ids, []
        for node in map(root.findLayer, hidden_ids):
            if node is not None:
                node.setItemVisibilityChecked(True)


def _result_nodes() -> Iterator[QgsLayerTreeLayer]:
    """The nodes of the results and of their heatmaps, which lie beside them in files."""
    root, results = QgsProject.instance().layerTreeRoot(), results_in_project()
    stems = {result_source(result).partition("|")[0].rpartition(".")[0] for result in results}
    result_ids = {result.id() for result in results}
    images = [source_layer(result, role) for result in results for role in (BEFORE, AFTER)]
    image_ids = {image.id() for image in images if image is not None}
    for node in root.findLayers():
        layer = node.layer()
        is_raster = isinstance(layer, QgsRasterLayer) and layer.providerType() == "gdal"
        is_heatmap = is_raster and gdal_name(layer).rpartition(".")[0] in stems
        if node.layerId() in result_ids or (is_heatmap and node.layerId() not in image_ids):
            yield node
