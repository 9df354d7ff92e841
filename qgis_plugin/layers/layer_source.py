"""Raster layers as the worker is to open them.

What a request needs of a layer is read on the main thread (`layer_source`); what takes time is done
later, on any thread (`LayerSource.worker_parameter`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
)

from geochg_qgis.i18n import tr
from geochg_qgis.layers.extents import check_crs, crs_parameter, transformed_extent
from geochg_qgis.layers.raster_export import EXPORTS, MAX_SIDE_PX, RasterExport, export_size
from geochg_qgis.link.absolute_paths import absolute_gdal_name
from geochg_qgis.link.errors import LinkError


class RasterOpener(Protocol):
    """Knows which rasters the worker opens; `Connection` does."""

    def opens(
        self, name: str, is_cancelled: Callable[[], bool] = bool, *, allow_remote: bool = False
    ) -> bool:
        """Whether the worker opens a raster by GDAL's name."""

    def is_known_not_to_open(self, name: str) -> bool:
        """Whether the worker answered that it does not open a raster."""


@dataclass(frozen=True)
class RasterAccess:
    """What a request needs to turn layers into the worker's parameters.

    Attributes:
        opener: Object that knows which rasters the worker opens.
        user: Object for which exports of layers are kept, as long as it lives.
        is_cancelled: Function that is polled during an export.
        warn: Function that is given notices for the user.
        allow_remote: Whether files on this machine may name rasters elsewhere.
    """

    opener: RasterOpener
    user: object
    is_cancelled: Callable[[], bool] = bool
    warn: Callable[[str], object] = str
    allow_remote: bool = False

    def opens(self, path: str) -> bool:
        """Whether the worker opens a raster by GDAL's name."""
        return self.opener.opens(path, self.is_cancelled, allow_remote=self.allow_remote)


@dataclass(frozen=True)
class LayerSource:
    """A raster layer, read from the project.

    Attributes:
        name: Name of the layer.
        path: GDAL's name of the raster; empty where the layer has to be exported.
        crs: CRS of the layer where it differs from the file's; else empty.
        export: Makes the description of the export for where the worker cannot open the raster.
    """

    name: str
    path: str
    crs: str
    export: Callable[[], RasterExport]

    def worker_parameter(self, access: RasterAccess) -> str | dict[str, str]:
        """The worker's parameter for the raster. Not for the main thread: it may export the layer.

        Raises:
            LinkError: If the layer cannot be exported.
            Cancelled: If the user cancelled the export.
        """
        if self.path and access.opens(self.path):
            return {"path": self.path, "crs": self.crs} if self.crs else self.path
        export = self.export()
        access.warn(export.notice)
        return str(EXPORTS.path(export, access.user, access.is_cancelled))

    def identity(self, opener: RasterOpener) -> list[str]:
        """Texts that differ for different rasters, to recognise an unfinished run by."""
        if self.path and not opener.is_known_not_to_open(self.path):
            return [self.path, self.crs]
        # An export lasts for this session only.
        return [self.export().key, EXPORTS.session]

    def folder(self) -> Path | None:
        """Folder of the raster, if it is a plain file."""
        if not self.path or self.path.startswith("/vsi"):
            return None
        folder = Path(self.path).parent
        return folder if folder.is_absolute() and folder.is_dir() else None


def layer_source(
    layer: QgsRasterLayer, area: QgsRectangle, area_crs: QgsCoordinateReferenceSystem
) -> LayerSource:
    """Reads from a layer what a request needs of it; for the main thread.

    Args:
        layer: Raster layer.
        area: Extent that is analysed at most, and exported where the worker cannot open the raster.
        area_crs: CRS of the extent.

    Raises:
        LinkError: If the layer is broken or has no CRS.
    """
    name = layer.name()
    if not layer.isValid():
        raise LinkError(tr("The layer {} is broken").format(name), tr("repair or remove it"))
    check_crs(layer)
    file_crs = layer.dataProvider().crs()
    path = gdal_name(layer) if layer.providerType() == "gdal" else ""
    crs = "" if file_crs.isValid() and layer.crs() == file_crs else crs_parameter(layer.crs())
    # GDAL takes no other CRS for a name with a question mark (`vrt://NAME?a_srs=`).
    if _is_from_network(path) or (crs and "?" in path):
        path = ""
    return LayerSource(name, path, crs, _export_of(layer, area, area_crs))


def gdal_name(layer: QgsRasterLayer) -> str:
    """GDAL's name of a layer's raster: its source with an absolute path, without QGIS's options."""
    source = layer.source()
    parts = QgsProviderRegistry.instance().decodeUri("gdal", source)
    path = absolute_gdal_name(str(parts.get("path") or source))
    inner = str(parts.get("layerName") or "")
    if inner and source.upper().startswith("GPKG:"):
        return f"GPKG:{path}:{inner}"
    return f"{parts.get('vsiPrefix') or ''}{path}{parts.get('vsiSuffix') or ''}"


def _is_from_network(path: str) -> bool:
    """Whether GDAL would request a raster tile by tile from a web service."""
    return path.lstrip().upper().startswith(("WMS:", "WMTS:", "<GDAL_WMS"))


def _export_of(
    layer: QgsRasterLayer, area: QgsRectangle, area_crs: QgsCoordinateReferenceSystem
) -> Callable[[], RasterExport]:
    """A function that describes the export of a layer, on any thread."""
    name, crs, pixel = layer.name(), layer.crs(), _pixel_size(layer)
    extent = _extent_in_area(layer, area, area_crs)
    source = f"{layer.providerType()} {layer.source()}"
    pipe, context = QgsRasterPipe(), QgsProject.instance().transformContext()
    if not pipe.set(layer.dataProvider().clone()):
        raise LinkError(tr("The layer {} cannot be copied").format(name))

    def export() -> RasterExport:
        if extent.isEmpty():
            raise LinkError(
                tr("The layer {} does not reach into the area").format(name),
                tr("choose another area or layer"),
            )
        return RasterExport(name, source, pipe, extent, crs, *export_size(extent, pixel), context)

    return export


def _extent_in_area(
    layer: QgsRasterLayer, area: QgsRectangle, area_crs: QgsCoordinateReferenceSystem
) -> QgsRectangle:
    """The part of an area that a layer covers, in the layer's CRS; may be empty."""
    try:
        return transformed_extent(area, area_crs, layer.crs()).intersect(layer.extent())
    except LinkError:
        return QgsRectangle()


def _pixel_size(layer: QgsRasterLayer) -> float:
    """Pixel size of a layer in units of its CRS; of the finest level for tile services."""
    if layer.providerType() != "wms" and layer.rasterUnitsPerPixelX() > 0:
        return float(layer.rasterUnitsPerPixelX())
    resolutions = layer.dataProvider().nativeResolutions()
    if resolutions:
        return float(min(resolutions))
    return max(layer.extent().width(), layer.extent().height()) / MAX_SIDE_PX
