"""Raster layers as the worker is to open them.

What is needed of a layer is taken on the main thread (`raster_of`); what takes time is done later,
on any thread (`Raster.parameter`).
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

from geochg_qgis.layers.grounds import crs_text, moved
from geochg_qgis.layers.pictures import MOST_PIXELS, PICTURES, Picture, size_px
from geochg_qgis.link.errors import LinkError
from geochg_qgis.words import tr


class Opener(Protocol):
    """The worker as far as rasters go; `Connection` is one."""

    def opens(
        self, name: str, is_cancelled: Callable[[], bool] = bool, *, allow_remote: bool = False
    ) -> bool:
        """Whether it opens a raster by GDAL's name."""

    def is_known_not_to_open(self, name: str) -> bool:
        """Whether it said that it does not."""


@dataclass(frozen=True)
class Reader:
    """Who wants a raster.

    Attributes:
        opener: Knows what the worker opens.
        user: What a picture of the layer is kept for, as long as this object lives.
        is_cancelled: Asked while a picture is taken.
        tell: Told what the user should know.
        allow_remote: Whether files on this machine may name rasters elsewhere.
    """

    opener: Opener
    user: object
    is_cancelled: Callable[[], bool] = bool
    tell: Callable[[str], object] = str
    allow_remote: bool = False

    def opens(self, path: str) -> bool:
        """Whether the worker opens a raster by GDAL's name."""
        return self.opener.opens(path, self.is_cancelled, allow_remote=self.allow_remote)


@dataclass(frozen=True)
class Raster:
    """A layer as the worker is to open it.

    Attributes:
        name: The layer's.
        path: GDAL's name; empty where only a picture can be taken.
        crs: What it is to be taken in, where that is not what the file says; else empty.
        picture: Makes the picture of it that is taken where the worker cannot open it.
    """

    name: str
    path: str
    crs: str
    picture: Callable[[], Picture]

    def parameter(self, reader: Reader) -> str | dict[str, str]:
        """What the worker is told; takes a picture where it must. Not for the main thread.

        Raises:
            LinkError: If none can be taken.
            Cancelled: If it was.
        """
        if self.path and reader.opens(self.path):
            return {"path": self.path, "crs": self.crs} if self.crs else self.path
        picture = self.picture()
        reader.tell(picture.note)
        return str(PICTURES.path(picture, reader.user, reader.is_cancelled))

    def identity(self, opener: Opener) -> list[str]:
        """What tells it from other rasters, for a run that is gone on with later."""
        if self.path and not opener.is_known_not_to_open(self.path):
            return [self.path, self.crs]
        # A picture is of this session only.
        return [self.picture().key, PICTURES.session]

    def folder(self) -> Path | None:
        """Where its file lies, if it is a plain file."""
        if not self.path or self.path.startswith("/vsi"):
            return None
        folder = Path(self.path).parent
        return folder if folder.is_absolute() and folder.is_dir() else None


def raster_of(
    layer: QgsRasterLayer, area: QgsRectangle, area_crs: QgsCoordinateReferenceSystem
) -> Raster:
    """A layer as the worker is to open it; for the main thread.

    Args:
        layer: The layer.
        area: What will be analysed at most: what a picture is taken of.
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
    own = layer.dataProvider().crs()
    path = gdal_name(layer) if layer.providerType() == "gdal" else ""
    crs = "" if own.isValid() and layer.crs() == own else crs_text(layer.crs())
    # GDAL takes no other CRS for a name with a question mark (`vrt://NAME?a_srs=`).
    if _is_from_network(path) or (crs and "?" in path):
        path = ""
    return Raster(name, path, crs, _picture_of(layer, area, area_crs))


def gdal_name(layer: QgsRasterLayer) -> str:
    """GDAL's name of a layer's raster: its source without QGIS's options behind it."""
    source = layer.source()
    parts = QgsProviderRegistry.instance().decodeUri("gdal", source)
    path = str(parts.get("path") or source)
    inner = str(parts.get("layerName") or "")
    if inner and source.upper().startswith("GPKG:"):
        return f"GPKG:{path}:{inner}"
    return f"{parts.get('vsiPrefix') or ''}{path}{parts.get('vsiSuffix') or ''}"


def _is_from_network(path: str) -> bool:
    """Services that the worker's GDAL would ask tile by tile, if it knows them."""
    return path.lstrip().upper().startswith(("WMS:", "WMTS:", "<GDAL_WMS"))


def _picture_of(
    layer: QgsRasterLayer, area: QgsRectangle, area_crs: QgsCoordinateReferenceSystem
) -> Callable[[], Picture]:
    """Takes of a layer what a picture needs; what makes one of that, on any thread."""
    name, crs, pixel = layer.name(), layer.crs(), _pixel_size(layer)
    wanted = _reach(layer, area, area_crs)
    source = f"{layer.providerType()} {layer.source()}"
    pipe, context = QgsRasterPipe(), QgsProject.instance().transformContext()
    if not pipe.set(layer.dataProvider().clone()):
        raise LinkError(tr("The layer {} cannot be copied").format(name))

    def picture() -> Picture:
        if wanted.isEmpty():
            raise LinkError(
                tr("The layer {} does not reach into the area").format(name),
                tr("choose another area or layer"),
            )
        return Picture(name, source, pipe, wanted, crs, *size_px(wanted, pixel), context)

    return picture


def _reach(
    layer: QgsRasterLayer, area: QgsRectangle, area_crs: QgsCoordinateReferenceSystem
) -> QgsRectangle:
    """What a layer shows of an area, in the layer's CRS; empty where that is nothing."""
    try:
        return moved(area, area_crs, layer.crs()).intersect(layer.extent())
    except LinkError:
        return QgsRectangle()


def _pixel_size(layer: QgsRasterLayer) -> float:
    """In units of its CRS; of the finest level for tile services."""
    if layer.providerType() != "wms" and layer.rasterUnitsPerPixelX() > 0:
        return float(layer.rasterUnitsPerPixelX())
    resolutions = layer.dataProvider().nativeResolutions()
    if resolutions:
        return float(min(resolutions))
    return max(layer.extent().width(), layer.extent().height()) / MOST_PIXELS
