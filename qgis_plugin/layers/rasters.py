"""Raster layers as the worker is to open them.

What is needed of a layer is taken on the main thread (`raster_of`); what takes time is done later,
on any thread (`Raster.parameter`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsProcessingUtils,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterBlockFeedback,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
)

from geochg_qgis.layers.grounds import crs_text, moved
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.words import tr

MOST_PIXELS = 4096
"""Side of the largest picture taken from a layer that no file stands behind."""

_OPENED_BY_WORKER = ("gdal",)


@dataclass(frozen=True)
class Export:
    """A picture to be taken of a layer that no file stands behind.

    Attributes:
        pipe: The layer's data, for a thread of its own.
        extent: The area, in `crs`.
        crs: The layer's.
        width_px: Columns.
        height_px: Rows.
        context: How coordinates are moved.
        path: Where to; in the folder that QGIS clears when it ends.
    """

    pipe: QgsRasterPipe
    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    width_px: int
    height_px: int
    context: QgsCoordinateTransformContext
    path: Path


@dataclass(frozen=True)
class Raster:
    """A layer as the worker is to open it.

    Attributes:
        name: The layer's.
        path: GDAL's name; empty where there is an export.
        crs: What it is to be taken in, where that is not what the file says; else empty.
        export: A picture to take first.
        note: What the user should know.
    """

    name: str
    path: str
    crs: str = ""
    export: Export | None = None
    note: str = ""

    def parameter(self, is_cancelled: Callable[[], bool] = bool) -> str | dict[str, str]:
        """What the worker is told; takes the picture where there is one to take.

        Raises:
            LinkError: If it cannot be taken.
            Cancelled: If it was.
        """
        path = _exported(self.name, self.export, is_cancelled) if self.export else self.path
        return {"path": path, "crs": self.crs} if self.crs else path

    def folder(self) -> Path | None:
        """Where its file lies, if it is a plain file."""
        if self.export is not None or self.path.startswith("/vsi"):
            return None
        folder = Path(self.path).parent
        return folder if folder.is_absolute() and folder.is_dir() else None


def raster_of(
    layer: QgsRasterLayer, area: QgsRectangle, area_crs: QgsCoordinateReferenceSystem
) -> Raster:
    """A layer as the worker is to open it; for the main thread.

    Args:
        layer: The layer.
        area: What will be analysed at most: what is exported of a layer without a file.
        area_crs: Its CRS.

    Raises:
        LinkError: If the layer cannot be used.
    """
    name = layer.name()
    if not layer.isValid():
        raise LinkError(tr("The layer {} is broken").format(name), tr("repair or remove it"))
    if not layer.crs().isValid():
        raise LinkError(
            tr("The layer {} has no coordinate reference system").format(name),
            tr("set one: right-click the layer, Layer CRS"),
        )
    if layer.providerType() not in _OPENED_BY_WORKER or _is_from_network(layer):
        export, note = _export(layer, area, area_crs)
        return Raster(name, "", export=export, note=note)
    own = layer.dataProvider().crs()
    overridden = (own.isValid() and layer.crs() != own) or not own.isValid()
    return Raster(name, gdal_name(layer), crs_text(layer.crs()) if overridden else "")


def gdal_name(layer: QgsRasterLayer) -> str:
    """GDAL's name of a layer's raster: its source without QGIS's options behind it."""
    source = layer.source()
    parts = QgsProviderRegistry.instance().decodeUri("gdal", source)
    path = str(parts.get("path") or source)
    inner = str(parts.get("layerName") or "")
    if inner and source.upper().startswith("GPKG:"):
        return f"GPKG:{path}:{inner}"
    prefix, suffix = str(parts.get("vsiPrefix") or ""), str(parts.get("vsiSuffix") or "")
    return f"{prefix}{path}{suffix}" if prefix else source.partition("|")[0]


def _is_from_network(layer: QgsRasterLayer) -> bool:
    """Services that GDAL opens, too, but the worker's GDAL may lack or ask tile by tile."""
    return layer.source().lstrip().upper().startswith(("WMS:", "WMTS:", "<GDAL_WMS"))


def _export(
    layer: QgsRasterLayer, area: QgsRectangle, area_crs: QgsCoordinateReferenceSystem
) -> tuple[Export, str]:
    wanted = moved(area, area_crs, layer.crs()).intersect(layer.extent())
    if wanted.isEmpty():
        raise LinkError(
            tr("The layer {} does not reach into the area").format(layer.name()),
            tr("choose another area or layer"),
        )
    pixel = _pixel_size(layer)
    width, height = (max(1, math.ceil(side / pixel)) for side in (wanted.width(), wanted.height()))
    note = tr("{}: no file stands behind this layer; a picture of the area is taken").format(
        layer.name()
    )
    if max(width, height) > MOST_PIXELS:
        factor = max(width, height) / MOST_PIXELS
        width, height = (max(1, round(side / factor)) for side in (width, height))
        note += " " + tr("at {0} x {1} pixels, coarser than it is; choose a smaller area for more")
        note = note.format(width, height)
    pipe = QgsRasterPipe()
    if not pipe.set(layer.dataProvider().clone()):
        raise LinkError(tr("The layer {} cannot be copied").format(layer.name()))
    context = QgsProject.instance().transformContext()
    path = Path(QgsProcessingUtils.generateTempFilename("picture.tif"))
    return Export(pipe, wanted, layer.crs(), width, height, context, path), note


def _pixel_size(layer: QgsRasterLayer) -> float:
    """In units of its CRS; of the finest level for tile services."""
    if layer.providerType() != "wms" and layer.rasterUnitsPerPixelX() > 0:
        return float(layer.rasterUnitsPerPixelX())
    resolutions = layer.dataProvider().nativeResolutions()
    if resolutions:
        return float(min(resolutions))
    return max(layer.extent().width(), layer.extent().height()) / MOST_PIXELS


def _exported(name: str, export: Export, is_cancelled: Callable[[], bool]) -> str:
    path = export.path
    writer = QgsRasterFileWriter(str(path))
    writer.setOutputFormat("GTiff")
    feedback = QgsRasterBlockFeedback()
    with _cancelling(feedback, is_cancelled):
        done = writer.writeRaster(
            export.pipe,
            export.width_px,
            export.height_px,
            export.extent,
            export.crs,
            export.context,
            feedback,
        )
    if is_cancelled():
        raise Cancelled(tr("cancelled"))
    if int(done) != 0 or not path.is_file():
        raise LinkError(
            tr("No picture could be taken of the layer {}").format(name),
            tr("check that it shows on the map, or save it as GeoTIFF (Export, Save As)"),
        )
    return str(path)


@contextmanager
def _cancelling(
    feedback: QgsRasterBlockFeedback, is_cancelled: Callable[[], bool]
) -> Iterator[None]:
    """Cancels a feedback when asked to: QGIS looks at it in C++, where nothing of ours is asked."""
    done = Event()

    def watch() -> None:
        while not done.wait(0.2):
            if is_cancelled():
                feedback.cancel()
                return

    Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
