"""Polygon layers of the project with their columns, as the worker takes a layer that it checks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from geochg_qgis.i18n import tr
from geochg_qgis.layers.extents import check_crs
from geochg_qgis.layers.image_identity import image_source
from geochg_qgis.layers.zone_source import file_text
from geochg_qgis.link.errors import Cancelled, LinkError

_FORMAT, _ID, _OWN_ID = "GPKG", "fid", "geochg_export_fid"


@dataclass(frozen=True)
class PolygonSource:
    """A polygon layer, read from the project on the main thread.

    Attributes:
        name: Name of the layer.
        text: The worker's parameter for its file, with layer and filter; empty where the layer has
            to be exported.
        notice: What its user should know, in a sentence; may be empty.
        features: Its features, for an export on any thread.
        columns: Its columns that are exported: their places and themselves.
        shape_type: Type of its shapes (`QgsWkbTypes`).
        crs: Its CRS.
        folder: Folder of the export, which is gone when nobody holds the source any more.
    """

    name: str
    text: str
    notice: str
    features: QgsVectorLayerFeatureSource
    columns: list[tuple[int, QgsField]]
    shape_type: int
    crs: QgsCoordinateReferenceSystem
    folder: tempfile.TemporaryDirectory = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="geochg-")
    )

    def worker_parameter(self, is_cancelled: Callable[[], bool]) -> str:
        """The worker's parameter; exports the layer where it must, so not for the main thread.

        Args:
            is_cancelled: Function that is polled during an export.

        Raises:
            LinkError: If the layer cannot be written.
            Cancelled: If the user cancelled the export.
        """
        if self.text:
            return self.text
        path = Path(self.folder.name) / "layer.gpkg"
        self._write(path, is_cancelled)
        return str(path)

    def _write(self, path: Path, is_cancelled: Callable[[], bool]) -> None:
        fields = QgsFields()
        for _, column in self.columns:
            fields.append(column)
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = _FORMAT
        # A column named fid is the user's: it need not hold whole numbers, or each only once.
        options.layerOptions = [f"FID={_OWN_ID}"]
        context = QgsProject.instance().transformContext()
        writer = QgsVectorFileWriter.create(
            str(path), fields, self.shape_type, self.crs, context, options
        )
        for feature in self.features.getFeatures():
            if is_cancelled():
                raise Cancelled(tr("cancelled"))
            copy = QgsFeature(fields)
            copy.setAttributes([feature.attribute(place) for place, _ in self.columns])
            copy.setGeometry(feature.geometry())
            if not writer.addFeature(copy, QgsFeatureSink.Flag.FastInsert):
                break
        writer.flushBuffer()
        if writer.errorMessage():
            raise LinkError(
                tr("The layer {0} cannot be exported: {1}").format(
                    self.name, writer.errorMessage()
                ),
                tr("save it as a GeoPackage, and choose that"),
            )


def polygon_source(layer: QgsVectorLayer) -> PolygonSource:
    """Reads from a polygon layer what a request needs of it; for the main thread.

    Args:
        layer: The layer, from a file, a database, a service or in memory.

    Raises:
        LinkError: If the layer is broken or has no CRS.
    """
    name, provider = layer.name(), layer.dataProvider()
    if not layer.isValid():
        raise LinkError(tr("The layer {} is broken").format(name), tr("repair or remove it"))
    check_crs(layer)
    fields = layer.fields()
    # Columns that QGIS joins or computes are not in the file.
    text = file_text(layer) if fields.names() == provider.fields().names() else ""
    own_ids = layer.primaryKeyAttributes() if provider.storageType() == _FORMAT else []
    columns = [(place, fields.at(place)) for place in range(fields.count()) if place not in own_ids]
    features = QgsVectorLayerFeatureSource(layer)
    notice = _notice(layer, is_exported=not text)
    return PolygonSource(name, text, notice, features, columns, layer.wkbType(), layer.crs())


def refuse_same_image(image: QgsRasterLayer, before: QgsRasterLayer | None) -> None:
    """Refuses an earlier image that is the image itself: nothing would be called gone.

    Raises:
        LinkError: If it is.
    """
    if before is not None and image_source(before) == image_source(image):
        raise LinkError(
            tr("Before and after are the same image"), tr("choose an earlier image, or none")
        )


def _notice(layer: QgsVectorLayer, *, is_exported: bool) -> str:
    if layer.isModified():
        return tr("{} is checked with its unsaved edits").format(layer.name())
    if layer.subsetString():
        return tr("{} is checked as it is filtered").format(layer.name())
    if is_exported:
        return tr("{} is exported for the check, as QGIS shows it").format(layer.name())
    return ""
