"""Rasters of one colour, and the colours that QGIS's map shows; for QGIS's own Python."""

import numpy as np
from osgeo import gdal, osr
from qgis.core import QgsApplication, QgsRasterLayer

RED, BLUE, GREEN, WHITE = (200, 30, 30), (30, 30, 200), (20, 160, 20), (255, 255, 255)
CRS = "EPSG:32640"
WEST, NORTH, SIDE_M = 500_000, 2_800_000, 1000


def raster(path, color, corner=WHITE):
    """One colour, 1 km wide; but for its north-western eighth."""
    path = str(path)
    made = gdal.GetDriverByName("GTiff").Create(path, 100, 100, 3)
    made.SetGeoTransform([WEST, SIDE_M / 100, 0, NORTH, 0, -SIDE_M / 100])
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32640)
    made.SetProjection(reference.ExportToWkt())
    for band, (value, other) in enumerate(zip(color, corner, strict=True), 1):
        values = np.full((100, 100), value, np.uint8)
        values[:12, :12] = other
        made.GetRasterBand(band).WriteArray(values)
    made.FlushCache()
    return QgsRasterLayer(path, path.rpartition("/")[2].removesuffix(".tif"))


def width(canvas):
    """Of the map within its frame."""
    return canvas.viewport().width()


def height(canvas):
    """Of the map within its frame."""
    return canvas.viewport().height()


def seen(canvas, across, down):
    """The colour at shares of the map's width and height."""
    QgsApplication.processEvents()
    image = canvas.viewport().grab().toImage()
    x, y = int(across * (image.width() - 1)), int(down * (image.height() - 1))
    return image.pixelColor(x, y).getRgb()[:3]
