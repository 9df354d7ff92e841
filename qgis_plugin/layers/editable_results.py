"""Which results can be reviewed where they are, and a copy of those that cannot."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsCoordinateTransformContext,
    QgsFeedback,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtXml import QDomDocument

from geochg_qgis.i18n import tr
from geochg_qgis.layers.attribute_form import apply_form
from geochg_qgis.layers.default_style import save_default_style
from geochg_qgis.layers.review_fields import add_review_fields
from geochg_qgis.layers.run_metadata import run_metadata, write_run_metadata
from geochg_qgis.layers.sample_layers import SAMPLE, SAMPLE_LAYER
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import result_path

_RENUMBERED_FORMATS = ("FlatGeobuf",)
"""Formats whose features get other ids with each edit, so that the next one hits others."""

_WITHOUT_SHAPE_EDITS = (*_RENUMBERED_FORMATS, "GeoJSON")
"""Formats whose features get other ids when some are added or removed."""


_COPY_LAYER = "changes"


class NotEditable(LinkError):
    """A result cannot be reviewed where it is; a copy can.

    Attributes:
        result_id: Id of the result's layer.
    """

    def __init__(self, layer: QgsVectorLayer, message: str) -> None:
        super().__init__(message, tr("press “Review a copy” to go on with it as a GeoPackage"))
        self.result_id = layer.id()


def check_editable(layer: QgsVectorLayer, *, has_shapes: bool = False) -> None:
    """Refuses an edit which a result does not take, or after which decisions would hit others.

    Args:
        layer: Layer of the result.
        has_shapes: Whether the edit adds, removes or moves features.

    Raises:
        NotEditable: If it is refused.
    """
    provider = layer.dataProvider()
    name, kind = layer.name(), provider.storageType()
    if kind in _RENUMBERED_FORMATS:
        raise NotEditable(layer, tr("{0} cannot be reviewed: it is a {1} file").format(name, kind))
    if has_shapes and kind in _WITHOUT_SHAPE_EDITS:
        raise NotEditable(
            layer, tr("In {0}, changes cannot be drawn: it is a {1} file").format(name, kind)
        )
    if not provider.capabilities() & provider.Capability.ChangeAttributeValues:
        raise NotEditable(layer, tr("{} cannot be written to").format(name))


class ResultCopy:
    """A copy of a result as a GeoPackage; made on the main thread, written on any.

    Args:
        layer: Layer of the result.
        other_folders: Folders for the copy where that of the result cannot be written to.

    Raises:
        LinkError: If no folder can be written to.
    """

    def __init__(self, layer: QgsVectorLayer, other_folders: list[Path]) -> None:
        self._source, self._provider = layer.source(), layer.providerType()
        self._style = QDomDocument()
        layer.exportNamedStyle(self._style)
        parts = QgsProviderRegistry.instance().decodeUri(self._provider, self._source)
        file = Path(str(parts.get("path") or layer.name()))
        self._file, self._layer_name = file, str(parts.get("layerName") or "")
        self._is_sample = bool(layer.customProperty(SAMPLE))
        self._copy_name = SAMPLE_LAYER if self._is_sample else _COPY_LAYER
        path = result_path(file.stem, [file.parent, *other_folders], ending="_review")
        if path is None:
            raise LinkError(
                tr("There is no folder to write the copy to"), tr("save the project in one, first")
            )
        self.path = path

    def write(self, feedback: QgsFeedback) -> QgsVectorLayer:
        """Writes the copy, all features with the style and the marks, and opens it.

        Args:
            feedback: Cancels the copy, of which nothing is left then.

        Returns:
            The layer, moved to the main thread.

        Raises:
            LinkError: If it cannot be written, or was cancelled.
        """
        source = QgsVectorLayer(self._source, self.path.stem, self._provider)
        # The slider hides changes, which are none the less part of the result.
        source.setSubsetString("")
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName, options.layerName = "GPKG", self._copy_name
        # The numbers of a GeoJSON's features are the file's ids there.
        options.layerOptions = ["FID=fid"]
        options.feedback = feedback
        outcome = QgsVectorFileWriter.writeAsVectorFormatV3(
            source, str(self.path), QgsCoordinateTransformContext(), options
        )
        if outcome[0] != QgsVectorFileWriter.WriterError.NoError:
            # There was no file at this path.
            with suppress(OSError):
                self.path.unlink()
            raise LinkError(
                tr("{0} cannot be written: {1}").format(self.path, outcome[1]),
                tr("check that there is room, and its permissions"),
            )
        # So that geochg takes the copy for a result of its own, too.
        if metadata := run_metadata(self._file, self._layer_name):
            write_run_metadata(self.path, self._copy_name, metadata)
        name = self.path.stem.replace("_", " ")
        layer = QgsVectorLayer(f"{self.path}|layername={self._copy_name}", name, "ogr")
        layer.importNamedStyle(self._style)
        layer.setSubsetString("")
        if not self._is_sample:
            add_review_fields(layer)
            apply_form(layer)
        save_default_style(layer)
        layer.moveToThread(QgsApplication.instance().thread())
        return layer
