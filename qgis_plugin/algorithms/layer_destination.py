"""Where an algorithm writes its layer, as Processing names it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qgis.core import QgsDataSourceUri, QgsProcessingContext

_DATABASE = "ogr:"
_MULTI_LAYER_SUFFIX = ".gpkg"


class LayerDestination(NamedTuple):
    """The file and layer to write.

    Attributes:
        text: The destination as Processing names it; its list of layers to load goes by that.
        path: Path of the file.
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
        exists = path.lower().endswith(_MULTI_LAYER_SUFFIX) and Path(path).exists()
        return cls(text, path, layer, bool(layer) or exists)

    def register_source(self, default_layer: str, context: QgsProcessingContext) -> str:
        """Makes Processing load the written layer, and returns its source.

        Args:
            default_layer: Name of the layer where the user gave none.
            context: Context whose list of layers to load names the destination.
        """
        if not self.is_shared:
            return self.path
        source = f"{self.path}|layername={self.layer or default_layer}"
        layers = context.layersToLoadOnCompletion()
        if self.text in layers:
            layers[source] = layers.pop(self.text)
            context.setLayersToLoadOnCompletion(layers)
        return source
