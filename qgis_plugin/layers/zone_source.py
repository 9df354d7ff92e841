"""Polygon layers of the project as zones that the worker can read."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from geochg_qgis.i18n import tr
from geochg_qgis.layers.extents import check_crs
from geochg_qgis.link.absolute_paths import absolute_path
from geochg_qgis.link.errors import LinkError

_WORLD = "EPSG:4326"
_DECIMALS = 9
_NAME = "name"


@dataclass(frozen=True)
class ZoneSource:
    """A polygon layer, read from the project on the main thread.

    Attributes:
        text: The worker's parameter for its file, with layer and filter; empty where the layer has
            to be exported.
        column: Column that names the zones; empty for none.
        features: Its features, for an export on any thread.
        to_world: From the layer's CRS to that of GeoJSON.
        folder: Folder of the export, which is gone when nobody holds the source any more.
    """

    text: str
    column: str
    features: QgsVectorLayerFeatureSource
    to_world: QgsCoordinateTransform
    folder: tempfile.TemporaryDirectory = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="geochg-")
    )

    def parameters(self, is_cancelled: object) -> dict[str, str]:
        """The worker's parameters `zones` and `zone_name`; exports the layer where it must.

        Not for the main thread.

        Args:
            is_cancelled: A function that is polled during an export.

        Raises:
            LinkError: If a zone cannot be placed.
        """
        column = self.column
        if self.text:
            return {"zones": self.text, **({"zone_name": column} if column else {})}
        path = Path(self.folder.name) / "zones.geojson"
        if not path.exists():
            path.write_text(self._geojson(is_cancelled), encoding="utf-8")
        return {"zones": str(path), **({"zone_name": _NAME} if column else {})}

    def _geojson(self, is_cancelled: object) -> str:
        """The zones in longitude and latitude, with their names where a column has them."""
        rows = []
        for feature in self.features.getFeatures():
            if callable(is_cancelled) and is_cancelled():
                break
            shape = feature.geometry()
            if shape.isNull():
                continue
            shape.transform(self.to_world)
            value = feature.attribute(self.column) if self.column else None
            name = "" if value is None or str(value) == "NULL" else str(value)
            rows.append(
                {
                    "type": "Feature",
                    "properties": {_NAME: name} if self.column else {},
                    "geometry": json.loads(shape.asJson(_DECIMALS)),
                }
            )
        return json.dumps({"type": "FeatureCollection", "features": rows})


def zone_source(layer: QgsVectorLayer, column: str) -> ZoneSource:
    """Reads from a polygon layer what a request needs of it; for the main thread.

    Args:
        layer: The layer.
        column: Column that names the zones; empty for the worker's choice.

    Raises:
        LinkError: If the layer is broken or has no CRS.
    """
    if not layer.isValid():
        raise LinkError(
            tr("The layer {} is broken").format(layer.name()), tr("repair or remove it")
        )
    check_crs(layer)
    world = QgsCoordinateReferenceSystem(_WORLD)
    to_world = QgsCoordinateTransform(layer.crs(), world, QgsProject.instance())
    text = file_text(layer)
    return ZoneSource(text, column, QgsVectorLayerFeatureSource(layer), to_world)


def file_text(layer: QgsVectorLayer) -> str:
    """The file of a layer as the worker takes it; empty where it shows something else."""
    is_as_stored = layer.providerType() == "ogr" and not layer.isModified()
    if not is_as_stored or layer.dataProvider().crs() != layer.crs() or layer.vectorJoins():
        return ""
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    path = absolute_path(str(parts.get("path") or ""))
    if not Path(path).is_file():
        return ""
    name = str(parts.get("layerName") or "")
    layer_text = f"|layername={name}" if name else ""
    subset = layer.subsetString()
    return f"{path}{layer_text}{f'|subset={subset}' if subset else ''}"
