"""Where a layer is to be written, as Processing names it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qgis.core import QgsDataSourceUri, QgsProcessingContext

_DATABASE = "ogr:"
_SHARED = ".gpkg"


class Destination(NamedTuple):
    """Where a layer is to be written.

    Attributes:
        given: As Processing names it; its list of layers to load goes by that.
        path: The file.
        layer: The layer's name in it; empty for the usual one.
        is_shared: Whether the file is there already, and may hold other layers.
    """

    given: str
    path: str
    layer: str
    is_shared: bool

    @classmethod
    def of(cls, given: str) -> Destination:
        """Reads a path, or what "Save to GeoPackage" gives: `ogr:dbname='...' table="..."`."""
        path, layer = given, ""
        if given.startswith(_DATABASE):
            uri = QgsDataSourceUri(given[len(_DATABASE) :])
            path, layer = uri.database(), uri.table()
        is_there = path.lower().endswith(_SHARED) and Path(path).exists()
        return cls(given, path, layer, bool(layer) or is_there)

    def written(self, usual: str, context: QgsProcessingContext) -> str:
        """The layer as other algorithms and the map take it, once it is written.

        Args:
            usual: The layer's name where none was given.
            context: What is to be loaded under the name that was given is loaded under this one.
        """
        if not self.is_shared:
            return self.path
        name = f"{self.path}|layername={self.layer or usual}"
        wanted = context.layersToLoadOnCompletion()
        if self.given in wanted:
            wanted[name] = wanted.pop(self.given)
            context.setLayersToLoadOnCompletion(wanted)
        return name
