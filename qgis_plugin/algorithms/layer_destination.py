"""Where an algorithm writes its layer, as Processing names it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qgis.core import QgsDataSourceUri, QgsProcessingContext

from geochg_qgis.link.absolute_paths import absolute_path

_DATABASE = "ogr:"
_MULTI_LAYER_SUFFIX = ".gpkg"


class LayerDestination(NamedTuple):
    """The file and layer to write.

    Attributes:
        text: The destination as Processing names it; its list of layers to load goes by that.
        path: Absolute path of the file.
        layer: Name of the layer in the file; empty for the default name.
        is_shared: Whether the file exists already, and may hold other layers.
    """

    text: str
    path: str
    layer: str
    is_shared: bool

    @classmethod
    def from_text(cls, text: str) -> LayerDestination:
        """Reads a path, or what "Save to GeoPackage" gives: `ogr:dbname='...' table="..."`."""
        path, layer = text, ""
        if text.startswith(_DATABASE):
            uri = QgsDataSourceUri(text[len(_DATABASE) :])
            path, layer = uri.database(), uri.table()
        path = absolute_path(path)
        exists = path.lower().endswith(_MULTI_LAYER_SUFFIX) and Path(path).exists()
        return cls(text, path, layer, bool(layer) or exists)

    def register_source(self, default_layer: str, context: QgsProcessingContext) -> str:
        """Makes Processing load the written layer, and returns its source.

        Args:
            default_layer: Name of the layer where the user gave none.
            context: Context whose list of layers to load names the destination.
        """
        layer = f"|layername={self.layer or default_layer}" if self.is_shared else ""
        source = f"{self.path}{layer}"
        load_from(source, self.text, context)
        return source


def load_from(source: str, text: str, context: QgsProcessingContext) -> None:
    """Makes Processing load a layer from its source, instead of from what the user wrote.

    Args:
        source: Source of the layer.
        text: Destination as Processing names it.
        context: Context whose list of layers to load names the destination.
    """
    layers = context.layersToLoadOnCompletion()
    if source != text and text in layers:
        layers[source] = layers.pop(text)
        context.setLayersToLoadOnCompletion(layers)
